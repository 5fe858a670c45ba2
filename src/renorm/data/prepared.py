"""Data sets as the trainer reads them: one file per split, of images or of a list of pictures, and a manifest with
their checksums.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from renorm.core.errors import RenormError
from renorm.core.files import read_sealed, sha256, write_atomic, write_sealed
from renorm.core.locks import locked
from renorm.data.pictures import PictureOptions, Pictures, prepare_pictures
from renorm.data.registry import PictureTree, RawImages, reader
from renorm.study.data_manifest import SPLITS, checksum
from renorm.study.known_datasets import PUBLISHED_NORMALISATION, Normalisation

AGAIN = "remove the folder and prepare the data set again (`renorm prepare`)"


@dataclass(frozen=True)
class Split:
    """`images`: uint8 (N, C, H, W); `labels`: int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape[1:]


@dataclass(frozen=True)
class Dataset:
    """A prepared data set; `mean` and `std` are those of the training images per channel, on the scale 0 to 1.

    Its splits are in memory, or lists of picture files that are decoded while they are used.
    """

    name: str
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Split | Pictures
    test: Split | Pictures
    checksum: str

    def normalisation(self, choice: str | dict[str, Any]) -> Normalisation:
        """Mean and standard deviation by the recipe's key `normalise`.

        `dataset`: those of the training images; `published`: those of the original code; `none`: pixels from 0 to 1 as
        they are; or a dict with `mean` and `std`. Raises `RenormError` when the channels do not match or nothing was
        published for this data set.
        """
        if choice == "dataset":
            return Normalisation(self.mean, self.std)
        if choice == "none":
            return Normalisation((0.0,) * self.channels, (1.0,) * self.channels)
        if choice == "published":
            if self.name not in PUBLISHED_NORMALISATION:
                raise RenormError(f"normalise: nothing was published for {self.name}: use dataset, or mean and std")
            return PUBLISHED_NORMALISATION[self.name]
        if len(choice["mean"]) != self.channels:
            raise RenormError(f"normalise: {len(choice['mean'])} channels, and {self.name} has {self.channels}")
        return Normalisation(tuple(choice["mean"]), tuple(choice["std"]))

    @property
    def channels(self) -> int:
        return self.train.shape[0]

    @property
    def image_size(self) -> int:
        return self.train.shape[-1]


def prepare(
    name: str, root: str | Path, folder: str | Path, download: bool = True, options: PictureOptions | None = None
) -> Path:
    """Read data set `name` from under `root` and write `train.npz`, `test.npz` and `manifest.json` into `folder`.

    `options` are for data sets of picture files only. Returns the manifest's path. The manifest is written last, so
    that it stands for a complete folder.
    """
    folder = Path(folder)
    raw = reader(name)(Path(root), download)
    if isinstance(raw, PictureTree):
        with locked(folder / ".lock", f"dataset {name}", wait_seconds=3600):
            prepare_pictures(name, raw, folder, options or PictureOptions())
        return folder / "manifest.json"
    if options not in (None, PictureOptions()):
        raise RenormError(f"dataset {name}: --sample, --move and --image-size are for data sets of picture files only")
    _check(name, raw)
    with locked(folder / ".lock", f"dataset {name}", wait_seconds=3600):
        for split in SPLITS:
            buffer = io.BytesIO()
            np.savez(buffer, images=getattr(raw, f"{split}_images"), labels=getattr(raw, f"{split}_labels"))
            write_atomic(folder / f"{split}.npz", buffer.getvalue())
        write_sealed(folder / "manifest.json", _manifest(name, raw, folder))
    return folder / "manifest.json"


def _check(name: str, raw: RawImages) -> None:
    for split in SPLITS:
        images, labels = getattr(raw, f"{split}_images"), getattr(raw, f"{split}_labels")
        good = images.dtype == np.uint8 and images.ndim == 4 and labels.shape == (len(images),) and len(images) > 0
        if not good or labels.min() < 0 or labels.max() >= raw.classes:
            raise RenormError(
                f"dataset {name}: {split} split is no set of uint8 images (N, C, H, W) with labels below "
                f"{raw.classes}: found {images.dtype} {images.shape}"
            )


def _manifest(name: str, raw: RawImages, folder: Path) -> dict:
    # Sums of whole numbers, so that the figures are the same on every machine.
    images = raw.train_images
    count = images.size // images.shape[1]
    total = images.sum(axis=(0, 2, 3), dtype=np.uint64).astype(float)
    squares = np.array([np.square(images[:, c], dtype=np.uint32).sum(dtype=np.uint64) for c in range(images.shape[1])])
    mean = total / count
    variance = squares.astype(float) / count - mean**2
    return {
        "dataset": name,
        "classes": raw.classes,
        "image_shape": list(images.shape[1:]),
        "counts": {split: len(getattr(raw, f"{split}_labels")) for split in SPLITS},
        "mean": [round(float(m) / 255, 10) for m in mean],
        "std": [round(float(np.sqrt(v)) / 255, 10) for v in variance],
        "sha256": {f"{split}.npz": sha256(folder / f"{split}.npz") for split in SPLITS},
    }


def open_prepared(folder: str | Path, name: str) -> Dataset:
    """The data set in `folder`, after its checksums were found right; anything else is a `RenormError`."""
    folder = Path(folder)
    if not (folder / "manifest.json").exists():
        raise RenormError(f"{folder}: data set {name} is not prepared: `renorm prepare {name} --out {folder}`")
    manifest = read_sealed(folder / "manifest.json", AGAIN)
    try:
        found, sums = manifest["dataset"], manifest["sha256"]
        mean, std, classes = tuple(manifest["mean"]), tuple(manifest["std"]), int(manifest["classes"])
        folders = {split: folder / place for split, place in manifest.get("folders", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RenormError(f"{folder / 'manifest.json'}: is no manifest of a data set; {AGAIN}") from None
    if found != name:
        raise RenormError(f"{folder}: holds '{found}', not '{name}'; {AGAIN}")
    splits = {s: _read_split(folder / f"{s}.npz", sums.get(f"{s}.npz"), folders.get(s)) for s in SPLITS}
    return Dataset(name, classes, mean, std, splits["train"], splits["test"], checksum(manifest))


def _read_split(path: Path, expected: str | None, pictures: Path | None) -> Split | Pictures:
    """The split in `path`; `pictures` is the folder of its picture files, if it is a list of such."""
    try:
        good = sha256(path) == expected
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}; {AGAIN}") from None
    if not good:
        raise RenormError(f"{path}: has not the checksum of its manifest: it was changed or damaged; {AGAIN}")
    if pictures and not pictures.is_dir():
        raise RenormError(f"{pictures}: the pictures of {path} are no longer there: bring them back, or {AGAIN}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if pictures:
                lists = (arrays[key] for key in ("names", "sizes", "labels"))
                return Pictures(pictures, *lists, int(arrays["image_size"]))
            return Split(arrays["images"], arrays["labels"])
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile):
        raise RenormError(f"{path}: holds no images and labels; {AGAIN}") from None


def obtain(name: str, root: str | Path, prepared: str | Path, download: bool = True) -> Dataset:
    """The data set, prepared under `prepared`/`name` first when it is not there yet."""
    folder = Path(prepared) / name
    if not (folder / "manifest.json").is_file():
        prepare(name, root, folder, download)
    return open_prepared(folder, name)
