"""The manifest of a prepared data set, read without torch, once for all the cells that ask."""

from functools import lru_cache
from pathlib import Path

from renorm.core import code_digest, files
from renorm.study.config import ImageData, Study

SPLITS = ("train", "test")


def read(results_dir: str | Path, dataset: str) -> dict:
    """What `results_dir/data/<dataset>/manifest.json` holds.

    Raises FileNotFoundError where the data set is not prepared, `RenormError` where the file is damaged.
    """
    path = Path(results_dir, "data", dataset, "manifest.json").absolute()
    return _read(path, path.stat().st_mtime_ns)


def checksum(manifest: dict) -> str:
    """The checksum of a prepared data set, as run records hold it."""
    return "+".join(manifest["sha256"][f"{split}.npz"][:16] for split in SPLITS)


def code_of(dataset: str) -> dict[str, str]:
    """What the manifest says of the code that reads the data set: its digest, where it is not renorm's own."""
    found = code_digest.dropped_in(dataset=dataset).get("dataset")
    return {"code": found} if found else {}


def is_prepared(folder: Path, dataset: str, wanted: ImageData | None = None) -> bool:
    """Whether `folder` holds the data set as the current code reads it; `RenormError` for a damaged manifest.

    `wanted`: its image size and classes, where the configuration says them.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return False
    manifest = _read(path.absolute(), path.stat().st_mtime_ns)
    if wanted and manifest["image_shape"][-1] != wanted.image_size:
        return False
    if wanted and wanted.classes and manifest.get("class_names") != wanted.classes:
        return False
    return manifest.get("code") == code_of(dataset).get("code")


def prepared_checksum(folder: Path, wanted: ImageData | None = None) -> str | None:
    """The checksum of the data set that is prepared in `folder`, which has its name; None when there is none of today's
    code."""
    if not is_prepared(folder, folder.name, wanted):
        return None
    return checksum(_read(folder.absolute() / "manifest.json", (folder / "manifest.json").stat().st_mtime_ns))


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> dict:
    return files.read_sealed(path, "prepare the data set again")


def data_checksum(study: Study, dataset: str) -> str | None:
    """The checksum of the study's prepared data set as run records hold it; None when it is not prepared here."""
    return prepared_checksum(Path(study.results_dir, "data", dataset), study.datasets.get(dataset))
