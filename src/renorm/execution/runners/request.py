"""What a runner is asked to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renorm.study.cell import Cell
from renorm.study.programs import Program


@dataclass(frozen=True)
class Request:
    """A cell, its hyper-parameters, and where and with what it is trained; see `renorm.training.job.Job`.

    `program`: what trains it in place of the built-in trainer; `checkpoint_minutes`, `download`, `prepared`, `workers`
    and `keep_weights` are for the built-in one alone.
    """

    cell: Cell
    hyper: dict[str, Any]
    program: Program | None
    out: Path
    data_root: Path
    prepared: Path
    device: str
    threads: int
    checkpoint_minutes: float
    download: bool
    quiet: bool
    wait_seconds: float
    gpus: int
    workers: int | None
    keep_weights: bool
    plugins: tuple[Path, ...] = ()
