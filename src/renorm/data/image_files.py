"""Data sets of image files: listed once with names, sizes and classes, and sealed by the list's checksum.

The images stay where they are. `train.npz` and `test.npz` hold the list, so that a run record names the very files
it was trained on, whatever folder they were in.
"""

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from renorm.core import plugins
from renorm.core.errors import RenormError, suggest
from renorm.core.files import sha256, write_atomic, write_sealed
from renorm.data.registry import ImageFolders
from renorm.study.data_manifest import SPLITS, code_of

# Mean and deviation of ImageNet's training images as torchvision and nearly every paper use them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ENDINGS = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class ImageFileOptions:
    """How a data set of image files is prepared.

    Attributes:
        sample: Go on although images are missing.
        move: Move test images that are not in class folders into such; otherwise links to them are made.
        image_size: Height and width, in pixels, of the square that the network sees.
        check: Decode every image once, so that a damaged one is found before the training.
        classes: Names of the class folders to use, in the order of their numbers; without them all.
    """

    sample: bool = False
    move: bool = False
    image_size: int = 224
    check: bool = False
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageFiles:
    """One split as a list of image files.

    Attributes:
        folder: Where the class folders are.
        names: (N,) bytes, class folder/file name.
        sizes: (N,) int64, bytes of each file.
        labels: (N,) int64 classes.
        image_size: Height and width, in pixels, of the square that is cut out of each.
    """

    folder: Path
    names: np.ndarray
    sizes: np.ndarray
    labels: np.ndarray
    image_size: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width) of an image as the network sees it."""
        return 3, self.image_size, self.image_size

    def path(self, number: int) -> Path:
        """The file of image `number`, from 0."""
        return self.folder / os.fsdecode(bytes(self.names[number]))


class _File(NamedTuple):
    """An image file: its class folder's name, its own name, where it is now, its size in bytes."""

    folder: str
    name: str
    path: str
    size: int


def prepare_image_files(name: str, tree: ImageFolders, folder: Path, options: ImageFileOptions) -> None:
    """List the images of `tree`, arrange the test ones in class folders, write the lists and the manifest.

    Called again after it was interrupted, it resumes.

    Args:
        name: Of the data set.
        tree: Where its files are.
        folder: Where the lists and the manifest are written.
        options: How.

    Raises:
        RenormError: The data set is incomplete and `options.sample` is not set, a file belongs to no class, or a
            folder cannot be read or written.
    """
    if not 1 <= options.image_size <= 4096:
        raise RenormError(f"--image-size: {options.image_size} is not a number of pixels from 1 to 4096")
    if options.classes:
        tree = _part(name, tree, options.classes)
    train, test = _in_class_folders(tree.train, tree), _in_class_folders(tree.test, tree)
    loose = _loose(tree)
    _check_whole(name, tree, train, test + loose, options.sample)
    _refuse_damaged(name, train + test + loose, options.check)
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
        "whole": tree.complete is None or _counts(train, test + loose) == dict(tree.complete),
        "class_names": list(tree.classes),
        "sha256": {f"{split}.npz": sha256(folder / f"{split}.npz") for split in SPLITS}, **code_of(name),
    })  # fmt: skip


def read_folder(name: str, root: Path, download: bool) -> ImageFolders:
    """A data set of the user's own: `train`, and `test` or `val`, with a folder of images per class.

    Args:
        name: `folder.<name>`.
        root: The folder with `train`, or one that has it as `<name>`.
        download: Not used.

    Raises:
        RenormError: The folders are not there.
    """
    own = name.removeprefix(plugins.FOLDER)
    source = f"a folder {own} with train and test (or val), in each a folder of images per class"
    for base in (root, root / own):
        tests = [base / split for split in ("test", "val") if (base / split).is_dir()]
        if (base / "train").is_dir() and tests:
            classes = [entry.name for entry in _entries(base / "train") if entry.is_dir()]
            return ImageFolders(base / "train", tests[0], tuple(classes), dict, None, source)
    raise RenormError(f"dataset {name}: {root / own}: not there: make {source}, or name it as datasets.{name}.folder")


def _part(name: str, tree: ImageFolders, classes: tuple[str, ...]) -> ImageFolders:
    missing = [one for one in classes if one not in tree.classes]
    if missing:
        hint = suggest(missing[0], tree.classes)
        raise RenormError(f"dataset {name}: classes: there is no folder '{missing[0]}' in {tree.train}: {hint}")
    return replace(tree, classes=classes, complete=None, part=True)


def _in_class_folders(folder: Path, tree: ImageFolders) -> list[_File]:
    """The images in the class folders below `folder`, in alphabetical order."""
    known, found = set(tree.classes), []
    for entry in _entries(folder):
        if entry.is_dir():
            if entry.name not in known and tree.part:
                continue
            if entry.name not in known:
                raise RenormError(f"{entry.path}: is not the folder of a class of this data set: remove it")
            found += [_File(entry.name, f.name, f.path, f.stat().st_size) for f in _entries(entry.path) if _image(f)]
    return found


def _loose(tree: ImageFolders) -> list[_File]:
    """The test images that are not in class folders, with their classes."""
    files = [entry for entry in _entries(tree.test) if _image(entry)]
    if not files:
        return []
    table, known = tree.test_classes(), set(tree.classes)
    unknown = [f for f in files if table.get(Path(f.name).stem) not in known]
    if unknown:
        label = table.get(Path(unknown[0].name).stem)
        raise RenormError(
            f"{unknown[0].path}: {f'is of class {label}, which is none of this data set' if label else 'has no class'}"
            f" ({len(unknown):,} of {len(files):,} test images): fetch the table of classes again ({tree.source})"
        )
    return [_File(table[Path(f.name).stem], f.name, f.path, f.stat().st_size) for f in files]


def _entries(folder: str | Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise RenormError(f"{folder}: cannot be read: {error.strerror}") from None


def _image(entry: os.DirEntry) -> bool:
    return entry.name.lower().endswith(ENDINGS) and entry.is_file()


def _counts(train: list[_File], test: list[_File]) -> dict[str, int]:
    return {"classes": len({f.folder for f in train}), "train": len(train), "test": len(test)}


def _check_whole(name: str, tree: ImageFolders, train: list[_File], test: list[_File], sample: bool) -> None:
    """Raise `RenormError` with what is missing, unless a sample will do and both splits have images."""
    found, complete = _counts(train, test), tree.complete
    if complete is None:
        complete = {"classes": len(tree.classes), "train": max(len(train), 1), "test": max(len(test), 1)}
    if found == complete or (sample and train and test):
        return
    parts = [f"{found[k]:,} of {complete[k]:,} {word}" for k, word in
             (("classes", "classes"), ("train", "training images"), ("test", "test images"))]  # fmt: skip
    empty = sorted(set(tree.classes) - {f.folder for f in train})
    first = f", for example no training image of {empty[0]}" if empty else ""
    raise RenormError(
        f"dataset {name}: {tree.train.parent} is incomplete: {', '.join(parts)}{first}: complete it ({tree.source}), "
        f"or prepare what is there as a sample: --sample"
    )


def _refuse_damaged(name: str, files: list[_File], decode: bool) -> None:
    """Raise `RenormError` for files of 0 bytes and, with `decode`, for those that Pillow cannot decode."""
    empty = [file.path for file in files if not file.size]
    damaged = empty or ([file.path for file in files if not _decodes(file.path)] if decode else [])
    if damaged:
        what = "empty" if empty else "damaged"
        raise RenormError(
            f"dataset {name}: {damaged[0]}: {what} image file ({len(damaged):,} of {len(files):,}): fetch it again, or "
            "remove it and prepare with --sample"
        )


def _decodes(path: str) -> bool:
    try:
        with Image.open(path) as image:
            image.convert("RGB")
    except Exception:  # Pillow's readers raise nearly anything on a broken file
        return False
    return True


def has_images(folder: Path) -> bool:
    """Whether there is an image file in the folder."""
    return any(_image(entry) for entry in _entries(folder))


def _move(folder: Path, files: list[_File]) -> None:
    try:
        for file in files:
            (folder / file.folder).mkdir(exist_ok=True)
            os.rename(file.path, folder / file.folder / file.name)
    except OSError as error:
        raise RenormError(f"{folder}: images cannot be moved: {error.strerror}; prepare without --move") from None


def _link(folder: Path, files: list[_File]) -> None:
    """Make class folders of links to the images; correct links stay, others of an earlier run are removed."""
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
        raise RenormError(f"{folder}: links to the images cannot be made: {error.strerror}") from None


def _write_list(path: Path, files: list[_File], classes: tuple[str, ...], image_size: int) -> None:
    number = {name: i for i, name in enumerate(classes)}
    buffer = io.BytesIO()
    np.savez(
        buffer, names=np.array([os.fsencode(f"{f.folder}/{f.name}") for f in files]),
        sizes=np.array([f.size for f in files], np.int64), labels=np.array([number[f.folder] for f in files], np.int64),
        image_size=np.int64(image_size),
    )  # fmt: skip
    write_atomic(path, buffer.getvalue())
