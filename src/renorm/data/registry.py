"""Data sets by name. A new one is a function under `@register_dataset`, of images or of where their files lie."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from renorm.core import plugins
from renorm.core.errors import RenormError, suggest


@dataclass(frozen=True)
class RawImages:
    """Both splits of a data set that fits into memory.

    Attributes:
        train_images: uint8 (N, C, H, W).
        train_labels: int64 (N,), from 0 to `classes` − 1.
        test_images: As `train_images`.
        test_labels: As `train_labels`.
        classes: Number of classes.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int


@dataclass(frozen=True)
class ImageFolders:
    """Where the files of a data set of image files are, which are decoded while they are trained on.

    Attributes:
        train: Folder with a folder of images per class.
        test: The same, or a folder with the images themselves.
        classes: Names of the class folders, in the order of their numbers.
        test_classes: File name without its ending → class, of images that are not in class folders; called only when
            there are any.
        complete: Number of "classes", and of "train" and "test" images, of the complete data set; None where what is
            there is complete.
        part: Whether there may be folders of other classes, which are left out.
        source: Where to get it, for messages.
    """

    train: Path
    test: Path
    classes: tuple[str, ...]
    test_classes: Callable[[], Mapping[str, str]]
    complete: Mapping[str, int] | None
    source: str
    part: bool = False


Reader = Callable[[Path, bool], RawImages | ImageFolders]
_READERS: dict[str, Reader] = {}


def register_dataset(function: Reader | None = None, *, files: Sequence[str] = ()) -> Callable[..., Any]:
    """Register a data set under the function's name.

    Args:
        function: What `@register_dataset` is written above: `(root, download)` → `RawImages` or `ImageFolders`; `root`
            is the folder of raw data sets, `download` says whether missing files may be downloaded.
        files: Paths of what the function reads beside the data, relative to its file and written out: their content is
            part of the identity of its cells (`renorm.core.code_digest` reads them from the source).

    Raises:
        ValueError: The name is registered already.
    """
    if function is None:
        return register_dataset
    known = _READERS.get(function.__name__)
    if known and plugins.is_shipped(Path(known.__code__.co_filename)):
        raise ValueError(f"data set '{function.__name__}' is registered twice")
    _READERS[function.__name__] = function
    return function


def list_datasets() -> list[str]:
    """All names that `reader` takes, sorted."""
    plugins.import_plugins("dataset")
    plugins.load()
    return sorted(_READERS)


def reader(name: str) -> Reader:
    """The function that reads the data set; RenormError for an unknown name."""
    # Not when the package is imported: a training job reads prepared data, and must not pay seconds for scikit-learn.
    if plugins.is_folder(name):
        from renorm.data.image_files import read_folder

        return partial(read_folder, name)
    plugins.import_plugins("dataset")
    plugins.load()
    if name not in _READERS:
        raise RenormError(f"dataset: unknown dataset '{name}': {suggest(name, _READERS)}")
    return _READERS[name]
