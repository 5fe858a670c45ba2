"""Data sets of picture files: listed once with names, sizes and classes, and sealed by the list's checksum.

The pictures stay where they are. `train.npz` and `test.npz` hold the list, so that a run record names the very files
it was trained on, whatever folder they lay in.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from renorm.core.errors import RenormError
from renorm.core.files import sha256, write_atomic, write_sealed
from renorm.data.registry import PictureTree
from renorm.study.data_manifest import SPLITS

# Mean and deviation of ImageNet's training pictures as torchvision and nearly every paper use them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ENDINGS = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class PictureOptions:
    """How a data set of picture files is prepared.

    sample      go on although pictures are missing
    move        move test pictures that lie side by side into class folders; otherwise links to them are made
    image_size  pixels of the square that the network sees
    """

    sample: bool = False
    move: bool = False
    image_size: int = 224


@dataclass(frozen=True)
class Pictures:
    """One split: `names` below `folder` (bytes, class/file), their `sizes` in bytes, their `labels`; all of shape (N,).

    `image_size`: pixels of the square that is cut out of each.
    """

    folder: Path
    names: np.ndarray
    sizes: np.ndarray
    labels: np.ndarray
    image_size: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, self.image_size, self.image_size

    def path(self, number: int) -> Path:
        return self.folder / os.fsdecode(bytes(self.names[number]))


class _File(NamedTuple):
    """A picture: its class folder's name, its own name, where it lies now, its bytes."""

    folder: str
    name: str
    path: str
    size: int


def prepare_pictures(name: str, tree: PictureTree, folder: Path, options: PictureOptions) -> None:
    """List the pictures of `tree`, arrange the test ones in class folders, write the lists and the manifest.

    Raises `RenormError` when the data set is not whole and `options.sample` is not set; started again after a stop it
    goes on.
    """
    if not 1 <= options.image_size <= 4096:
        raise RenormError(f"--image-size: {options.image_size} is no number of pixels from 1 to 4096")
    train, test = _in_class_folders(tree.train, tree.classes), _in_class_folders(tree.test, tree.classes)
    loose = _loose(tree)
    _check_whole(name, tree, train, test + loose, options.sample)
    linked = bool(loose) and not options.move
    if loose and options.move:
        _move(tree.test, loose)
    _link(folder / "test", test + loose if linked else [])
    for split, files in zip(SPLITS, (train, test + loose), strict=True):
        _write_list(folder / f"{split}.npz", sorted(files), tree.classes, options.image_size)
    write_sealed(folder / "manifest.json", {
        "dataset": name, "classes": len(tree.classes), "image_shape": [3, options.image_size, options.image_size],
        "counts": {"train": len(train), "test": len(test + loose)}, "mean": list(MEAN), "std": list(STD),
        # The folder of links travels with the manifest.
        "folders": {"train": os.path.abspath(tree.train), "test": "test" if linked else os.path.abspath(tree.test)},
        "whole": _counts(train, test + loose) == dict(tree.complete),
        "sha256": {f"{split}.npz": sha256(folder / f"{split}.npz") for split in SPLITS},
    })  # fmt: skip


def _in_class_folders(folder: Path, classes: tuple[str, ...]) -> list[_File]:
    """The pictures in the class folders below `folder`, in alphabetical order."""
    known, found = set(classes), []
    for entry in _entries(folder):
        if entry.is_dir():
            if entry.name not in known:
                raise RenormError(f"{entry.path}: is the folder of no class of this data set: take it out")
            found += [_File(entry.name, f.name, f.path, f.stat().st_size) for f in _entries(entry.path) if _picture(f)]
    return found


def _loose(tree: PictureTree) -> list[_File]:
    """The test pictures that lie side by side, with their classes."""
    files = [entry for entry in _entries(tree.test) if _picture(entry)]
    if not files:
        return []
    table, known = tree.test_classes(), set(tree.classes)
    unknown = [f for f in files if table.get(Path(f.name).stem) not in known]
    if unknown:
        label = table.get(Path(unknown[0].name).stem)
        raise RenormError(
            f"{unknown[0].path}: {f'is of class {label}, which is none of this data set' if label else 'has no class'}"
            f" ({len(unknown):,} of {len(files):,} test pictures): fetch the table of classes again ({tree.source})"
        )
    return [_File(table[Path(f.name).stem], f.name, f.path, f.stat().st_size) for f in files]


def _entries(folder: str | Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise RenormError(f"{folder}: cannot be read: {error.strerror}") from None


def _picture(entry: os.DirEntry) -> bool:
    return entry.name.lower().endswith(ENDINGS) and entry.is_file()


def _counts(train: list[_File], test: list[_File]) -> dict[str, int]:
    return {"classes": len({f.folder for f in train}), "train": len(train), "test": len(test)}


def _check_whole(name: str, tree: PictureTree, train: list[_File], test: list[_File], sample: bool) -> None:
    """One line that says what is missing, unless a sample will do and has pictures of both kinds."""
    found, complete = _counts(train, test), tree.complete
    if found == complete or (sample and train and test):
        return
    parts = [f"{found[k]:,} of {complete[k]:,} {word}" for k, word in
             (("classes", "classes"), ("train", "training pictures"), ("test", "test pictures"))]  # fmt: skip
    empty = sorted(set(tree.classes) - {f.folder for f in train})
    first = f", no training picture of {empty[0]} for one" if empty else ""
    raise RenormError(
        f"dataset {name}: {tree.train.parent} is not whole: {', '.join(parts)}{first}: complete it ({tree.source}), "
        f"or prepare what is there as a sample: --sample"
    )


def _move(folder: Path, files: list[_File]) -> None:
    try:
        for file in files:
            (folder / file.folder).mkdir(exist_ok=True)
            os.rename(file.path, folder / file.folder / file.name)
    except OSError as error:
        raise RenormError(f"{folder}: pictures cannot be moved: {error.strerror}; prepare without --move") from None


def _link(folder: Path, files: list[_File]) -> None:
    """Class folders of links to the pictures; links that are right stay, and others of an earlier time go."""
    targets = {folder / f.folder / f.name: os.path.abspath(f.path) for f in files}
    try:
        for link in folder.glob("*/*"):
            if link.is_symlink() and os.readlink(link) != targets.get(link):
                link.unlink()
        for link, target in targets.items():
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(target)
    except OSError as error:
        raise RenormError(f"{folder}: links to the pictures cannot be made: {error.strerror}") from None


def _write_list(path: Path, files: list[_File], classes: tuple[str, ...], image_size: int) -> None:
    number = {name: i for i, name in enumerate(classes)}
    buffer = io.BytesIO()
    np.savez(
        buffer, names=np.array([os.fsencode(f"{f.folder}/{f.name}") for f in files]),
        sizes=np.array([f.size for f in files], np.int64), labels=np.array([number[f.folder] for f in files], np.int64),
        image_size=np.int64(image_size),
    )  # fmt: skip
    write_atomic(path, buffer.getvalue())
