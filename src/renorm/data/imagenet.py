"""ImageNet as ILSVRC2012 is distributed: images in folders, the validation set's classes in a table beside them."""

import csv
from pathlib import Path
from xml.etree import ElementTree

from renorm.core.errors import RenormError
from renorm.data.image_files import has_images
from renorm.data.registry import ImageFolders, register_dataset

SOURCE = "ILSVRC2012 from https://image-net.org or https://www.kaggle.com/c/imagenet-object-localization-challenge"
# Where train and val may be below the folder that was named; "" is that folder itself.
BASES = ("", "imagenet", "ILSVRC2012", "imagenet-sample")
LAYOUTS = ("ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC", "")
CLASS_LISTS = ("LOC_synset_mapping.txt", "synsets.txt")
SOLUTION = "LOC_val_solution.csv"
ANNOTATIONS = "Annotations/CLS-LOC/val"


@register_dataset
def imagenet(root: Path, download: bool) -> ImageFolders:
    """ImageNet, ILSVRC2012: 1,281,167 + 50,000 colour images in 1,000 classes (Russakovsky et al. 2015).

    In the layout of the Kaggle competition, or as plain `train` and `val` folders. `download` is not used: the
    images are given to registered people only.
    """
    folder = _find(root)
    beside = [folder, *list(folder.parents)[:3]]
    return ImageFolders(
        train=folder / "train", test=folder / "val", classes=_classes(folder, beside),
        test_classes=lambda: _validation_classes(folder, beside),
        complete={"classes": 1000, "train": 1_281_167, "test": 50_000}, source=SOURCE,
    )  # fmt: skip


def _find(root: Path) -> Path:
    """The folder with `train` and `val` below `root`."""
    for base in BASES:
        for layout in LAYOUTS:
            folder = root / base / layout
            if (folder / "train").is_dir() and (folder / "val").is_dir():
                return folder
    raise RenormError(
        f"dataset imagenet: {root} is missing the folders train and val (looked there and in {', '.join(BASES[1:])}, "
        f"as {LAYOUTS[0]} too): download {SOURCE}, unpack it, and name its folder: renorm prepare imagenet DIR, or "
        f"set RENORM_DATA (data_dir)"
    )


def _classes(folder: Path, beside: list[Path]) -> tuple[str, ...]:
    """The synsets in alphabetical order, the usual numbering: of the list beside the images, else of `train`.

    A sample of a few classes keeps all thousand numbers when it has the list. Without the list a folder of `train`
    is a class if it is not hidden; one without an image is an error, since it would move the numbers of the others.
    """
    path = _first(beside, CLASS_LISTS)
    if path:
        names = {line.split()[0] for line in _text(path).splitlines() if line.strip()}
    else:
        found = [e for e in (folder / "train").iterdir() if e.is_dir() and not e.name.startswith(".")]
        empty = sorted(entry for entry in found if not has_images(entry))
        if empty:
            raise RenormError(
                f"dataset imagenet: {empty[0]}: holds no image ({len(empty)} such folders): remove it, or put the list "
                f"of classes {CLASS_LISTS[0]} beside the images"
            )
        names = {entry.name for entry in found}
    return tuple(sorted(names))


def _validation_classes(folder: Path, beside: list[Path]) -> dict[str, str]:
    """Image → synset, from the competition's table, else from the annotations."""
    table = _first(beside, (SOLUTION,))
    if table:
        return _solution(table)
    annotations = _first(beside, (ANNOTATIONS,))
    if annotations:
        return dict(map(_annotated, sorted(annotations.glob("*.xml"))))
    raise RenormError(
        f"dataset imagenet: the images in {folder / 'val'} are not in class folders and nothing names their classes: "
        f"put {SOLUTION} or {ANNOTATIONS} beside them ({SOURCE})"
    )


def _solution(path: Path) -> dict[str, str]:
    """`ImageId,PredictionString` with the synset as the string's first word."""
    rows = list(csv.reader(_text(path).splitlines()))
    if not rows or rows[0][:1] != ["ImageId"]:
        raise RenormError(f"{path}: is not a table of ImageId,PredictionString: download it again ({SOURCE})")
    for number, row in enumerate(rows[1:], 2):
        if len(row) < 2 or not row[1].split():
            raise RenormError(f"{path}: line {number} names no class: download it again ({SOURCE})")
    return {row[0]: row[1].split()[0] for row in rows[1:]}


def _annotated(path: Path) -> tuple[str, str]:
    """Image and synset of one annotation file; all objects of an image are of its class."""
    try:
        # Entities that multiply are refused by expat itself, since 2.4.1.
        name = ElementTree.fromstring(_text(path)).findtext("object/name")  # nosec B314
    except ElementTree.ParseError:
        name = None
    if not name:
        raise RenormError(f"{path}: names no class: download the annotations again ({SOURCE})")
    return path.stem, name


def _first(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    return next((f / name for f in folders for name in names if (f / name).exists()), None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RenormError(f"{path}: is not UTF-8 text: download it again") from None
