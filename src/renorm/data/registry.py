"""Data sets by name. A new one is a function under `@register_dataset` that returns `RawImages`."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from renorm.errors import RenormError, nearest


@dataclass(frozen=True)
class RawImages:
    """Both splits of a data set.

    `*_images`: uint8, shape (N, C, H, W); `*_labels`: int64, shape (N,), from 0 to `classes` − 1.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int


Reader = Callable[[Path, bool], RawImages]
_READERS: dict[str, Reader] = {}


def register_dataset(function: Reader) -> Reader:
    """Register `function(root, download) -> RawImages` under its own name."""
    if function.__name__ in _READERS:
        raise ValueError(f"data set '{function.__name__}' is registered twice")
    _READERS[function.__name__] = function
    return function


def list_datasets() -> list[str]:
    _import_all()
    return sorted(_READERS)


def _import_all() -> None:
    """Import the files of this room, which register their readers.

    Not when the package is imported: a training job reads prepared data, and must not pay seconds for scikit-learn.
    """
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"renorm.data.{module.name}")


def reader(name: str) -> Reader:
    _import_all()
    if name not in _READERS:
        raise RenormError(f"dataset: unknown dataset '{name}': {nearest(name, _READERS)}")
    return _READERS[name]
