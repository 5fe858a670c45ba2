"""The manifest of a prepared data set, read without torch, once for all the cells that ask."""

from functools import lru_cache
from pathlib import Path

from renorm.core import files
from renorm.study.config import Study

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


def prepared_checksum(folder: Path) -> str | None:
    """The checksum of the data set that is prepared in `folder`; None when there is none."""
    try:
        return checksum(_read(folder.absolute() / "manifest.json", (folder / "manifest.json").stat().st_mtime_ns))
    except FileNotFoundError:
        return None


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> dict:
    return files.read_sealed(path, "prepare the data set again")


def data_checksum(study: Study, dataset: str) -> str | None:
    """The checksum of the study's prepared data set as run records hold it; None when it is not prepared here."""
    return prepared_checksum(Path(study.results_dir, "data", dataset))
