"""Data sets as the trainer reads them: one file per split, of images or of a list of images, and a manifest with
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
from renorm.data.image_files import ImageFileOptions, ImageFiles, prepare_image_files
from renorm.data.registry import ImageFolders, RawImages, reader
from renorm.study.data_manifest import SPLITS, checksum, code_of, is_prepared
from renorm.study.known_datasets import PUBLISHED_NORMALISATION, Normalisation

AGAIN = "remove the folder and prepare the data set again (`renorm prepare`)"


@dataclass(frozen=True)
class Split:
    """One split in memory.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
    """

    images: np.ndarray
    labels: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width) of an image."""
        return self.images.shape[1:]


@dataclass(frozen=True)
class Dataset:
    """A prepared data set. Its splits are in memory, or lists of image files that are decoded while they are used.

    Attributes:
        name: As in the configuration.
        classes: Number of classes.
        mean: Of the training images, per channel, for pixels from 0 to 1.
        std: Their standard deviation, likewise.
        train: Training split.
        test: Test split.
        checksum: SHA-256 over its files' checksums, as in run records.
    """

    name: str
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Split | ImageFiles
    test: Split | ImageFiles
    checksum: str

    def normalisation(self, choice: str | dict[str, Any]) -> Normalisation:
        """Mean and standard deviation with which the inputs are normalised.

        Args:
            choice: The recipe's key `normalise`. "dataset": those of the training images; "published": those of the
                original code; "none": pixels from 0 to 1 as they are; or a dict with `mean` and `std`.

        Raises:
            RenormError: The channels do not match, or nothing was published for this data set.
        """
        if not isinstance(choice, str):
            if len(choice["mean"]) != self.channels:
                raise RenormError(f"normalise: {len(choice['mean'])} channels, and {self.name} has {self.channels}")
            return Normalisation(tuple(choice["mean"]), tuple(choice["std"]))
        if choice == "dataset":
            return Normalisation(self.mean, self.std)
        if choice == "none":
            return Normalisation((0.0,) * self.channels, (1.0,) * self.channels)
        if self.name not in PUBLISHED_NORMALISATION:
            raise RenormError(f"normalise: nothing was published for {self.name}: use dataset, or mean and std")
        return PUBLISHED_NORMALISATION[self.name]

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.train.shape[0]

    @property
    def image_size(self) -> int:
        """Width of an image in pixels."""
        return self.train.shape[-1]


def prepare(
    name: str, root: str | Path, folder: str | Path, download: bool = True, options: ImageFileOptions | None = None
) -> Path:
    """Read a data set, verify its checksums, and write it as the trainer reads it: train.npz, test.npz, manifest.json.

    The manifest is written last: where it is, the folder is complete.

    Args:
        name: A registered data set.
        root: Where its raw files are.
        folder: Where to write.
        download: Whether missing files may be downloaded.
        options: For data sets of image files only.

    Returns:
        The manifest's path.

    Raises:
        RenormError: The data set is unknown, incomplete, damaged, or cannot be downloaded or written.
    """
    folder = Path(folder)
    raw = reader(name)(Path(root), download)
    if isinstance(raw, ImageFolders):
        with locked(folder / ".lock", f"dataset {name}", wait_seconds=3600):
            prepare_image_files(name, raw, folder, options or ImageFileOptions())
        return folder / "manifest.json"
    if options not in (None, ImageFileOptions()):
        raise RenormError(f"dataset {name}: --sample, --move and --image-size are for data sets of image files only")
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
                f"dataset {name}: {split} split is not a set of uint8 images (N, C, H, W) with labels below "
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
        **code_of(name),
    }


def open_prepared(folder: str | Path, name: str) -> Dataset:
    """Open the prepared data set `name` in `folder`; `RenormError` if it is missing or a checksum does not match."""
    folder = Path(folder)
    if not (folder / "manifest.json").exists():
        raise RenormError(f"{folder}: data set {name} is not prepared: `renorm prepare {name} --out {folder}`")
    manifest = read_sealed(folder / "manifest.json", AGAIN)
    try:
        found, sums = manifest["dataset"], manifest["sha256"]
        mean, std, classes = tuple(manifest["mean"]), tuple(manifest["std"]), int(manifest["classes"])
        folders = {split: folder / place for split, place in manifest.get("folders", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RenormError(f"{folder / 'manifest.json'}: not a data-set manifest; {AGAIN}") from None
    if found != name:
        raise RenormError(f"{folder}: holds '{found}', not '{name}'; {AGAIN}")
    splits = {s: _read_split(folder / f"{s}.npz", sums.get(f"{s}.npz"), folders.get(s)) for s in SPLITS}
    return Dataset(name, classes, mean, std, splits["train"], splits["test"], checksum(manifest))


def _read_split(path: Path, expected: str | None, folder: Path | None) -> Split | ImageFiles:
    """The split in `path`; `folder` is that of its image files, if it is a list of such."""
    try:
        good = sha256(path) == expected
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}; {AGAIN}") from None
    if not good:
        raise RenormError(f"{path}: checksum mismatch with its manifest: the file was modified or is corrupt; {AGAIN}")
    if folder and not folder.is_dir():
        raise RenormError(f"{folder}: the images of {path} are no longer there: restore them, or {AGAIN}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if folder:
                names, sizes, labels = (arrays[key] for key in ("names", "sizes", "labels"))
                return ImageFiles(folder, names, sizes, labels, int(arrays["image_size"]))
            return Split(arrays["images"], arrays["labels"])
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile):
        raise RenormError(f"{path}: does not hold images and labels; {AGAIN}") from None


def obtain(name: str, root: str | Path, prepared: str | Path, download: bool = True) -> Dataset:
    """Open a data set, after preparing it where that was not done.

    Args:
        name: A registered data set.
        root: Where its raw files are.
        prepared: Folder of the prepared data sets; this one's is `prepared`/`name`.
        download: Whether missing files may be downloaded.

    Raises:
        RenormError: As `prepare` and `open_prepared` do.
    """
    folder = Path(prepared) / name
    if not is_prepared(folder, name):
        prepare(name, root, folder, download)
    return open_prepared(folder, name)
