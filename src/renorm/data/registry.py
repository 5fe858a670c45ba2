"""Data sets by name. A new one is a function under `@register_dataset`, of images or of where their files lie."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from renorm.core import plugins
from renorm.core.errors import RenormError, suggest


@dataclass(frozen=True)
class RawImages:
    """Both splits of a data set that fits into memory.

    `*_images`: uint8, shape (N, C, H, W); `*_labels`: int64, shape (N,), from 0 to `classes` − 1.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int


@dataclass(frozen=True)
class PictureTree:
    """Where the files of a data set lie whose pictures are decoded while they are trained on.

    train         folder with a folder of pictures per class
    test          the same, or a folder with all the pictures side by side
    classes       names of the class folders, in the order of their numbers
    test_classes  file name without its ending → class, of pictures side by side; called only when there are any
    complete      how many "classes", "train" and "test" pictures the whole data set has
    source        where to get it, for messages
    """

    train: Path
    test: Path
    classes: tuple[str, ...]
    test_classes: Callable[[], Mapping[str, str]]
    complete: Mapping[str, int]
    source: str


Reader = Callable[[Path, bool], RawImages | PictureTree]
_READERS: dict[str, Reader] = {}


def register_dataset(function: Reader | None = None, *, files: Sequence[str] = ()) -> Callable:
    """Register `function(root, download) -> RawImages or PictureTree` under its own name.

    Args:
        function: what `@register_dataset` is written above.
        files: paths of what the function reads beside the data, relative to its file and written out: their content is
            part of the identity of its cells (`renorm.core.code_digest` reads them from the source).
    """
    if function is None:
        return register_dataset
    if function.__name__ in _READERS:
        raise ValueError(f"data set '{function.__name__}' is registered twice")
    _READERS[function.__name__] = function
    return function


def list_datasets() -> list[str]:
    """All names that `reader` takes, sorted."""
    plugins.import_plugins("dataset")
    return sorted(_READERS)


def reader(name: str) -> Reader:
    """The function that reads the data set; RenormError for an unknown name."""
    # Not when the package is imported: a training job reads prepared data, and must not pay seconds for scikit-learn.
    plugins.import_plugins("dataset")
    if name not in _READERS:
        raise RenormError(f"dataset: unknown dataset '{name}': {suggest(name, _READERS)}")
    return _READERS[name]
