"""How long a program's cell takes: as long, epoch by epoch, as the slowest finished one that is like it."""

import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from renorm.core.errors import RenormError
from renorm.runs import run_record
from renorm.study.cell import Cell
from renorm.study.config import Study

# Of a program of which no cell is finished yet.
UNKNOWN_SECONDS = 3600.0
# For how long the list of finished cells is not made again.
STALE_SECONDS = 30


def seconds(study: Study, cell: Cell) -> float | None:
    """The expected seconds of `cell` by the finished cells of its setting, else of its data set and recipe; None where
    there are none."""
    runs = Path(study.results_dir, "runs").absolute()
    own = runs / cell.dataset / cell.arch / cell.norm / cell.recipe
    each = _epochs(own.glob("e*/s*/run.json")) or _of_recipe(runs, cell.dataset, cell.recipe, _period())
    return cell.epochs * max(each) if each else None


def _period() -> int:
    return int(time.monotonic() / STALE_SECONDS)


@lru_cache(maxsize=64)
def _of_recipe(runs: Path, dataset: str, recipe: str, _period: int) -> list[float]:
    return _epochs((runs / dataset).glob(f"*/*/{recipe}/e*/s*/run.json"))


def _epochs(paths: Iterable[Path]) -> list[float]:
    """Seconds of an epoch of each run."""
    found = (_epoch(path, path.stat().st_mtime_ns) for path in paths)
    return [each for each in found if each is not None]


@lru_cache(maxsize=100_000)
def _epoch(path: Path, _changed: int) -> float | None:
    try:
        record = run_record.read(path)
    except RenormError:
        return None
    return record.seconds.total / max(record.epochs_completed, 1)
