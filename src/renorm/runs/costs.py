"""What a study has cost: hours of the devices that its cells had, by experiment (costs.csv).

The hours of a cell are those of all its jobs (jobs.csv): failed tries, start-up and waiting for locks included. Of a
cell that was trained without Slurm they are those of its record; tries that left no record are not known there.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renorm.runs import adopt, finished, job_log
from renorm.runs.job_log import JobEntry
from renorm.runs.run_record import RECORD, Record
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import Study

ALL, OTHER = "all", "other"  # rows of costs.csv beside the experiments


@dataclass(frozen=True)
class Cost:
    """Hours of GPUs, or of CPU cores where a study has no GPUs.

    Attributes:
        jobs: Jobs that were submitted to a cluster.
        hours: For which the devices were occupied.
        lost_hours: Of these, in jobs that did not complete.
        training_hours: Of these, of training and testing in the runs that count.
        unknown: Jobs whose end is not known, and so neither their hours.
    """

    jobs: int = 0
    hours: float = 0.0
    lost_hours: float = 0.0
    training_hours: float = 0.0
    unknown: int = 0

    @classmethod
    def sum(cls, parts: Iterable["Cost"]) -> "Cost":
        """Of all parts, to the last bit the same in whatever order they come."""
        parts = list(parts)
        return cls(
            sum(p.jobs for p in parts), math.fsum(p.hours for p in parts), math.fsum(p.lost_hours for p in parts),
            math.fsum(p.training_hours for p in parts), sum(p.unknown for p in parts),
        )  # fmt: skip


def devices(study: Study) -> int:
    """What a cell occupies: its GPUs, or the CPU cores of a study without."""
    return study.gpu or study.threads


def unit(study: Study) -> str:
    """The unit of a study's hours."""
    return "GPU-hours" if study.gpu else "CPU-hours"


def by_experiment(study: Study, records: Mapping[Cell, Record | None]) -> dict[str, Cost]:
    """Experiment → its cost; then `other` if there is anything of that kind, and `all`, where each cell counts once.

    Args:
        study: The study. With a budget, `other` has what else was spent in its results folder: jobs of cells that are
            not in the grid any more, and cells of experiments that `only` leaves out.
        records: The record of every cell that the study takes, None where there is none.

    Raises:
        RenormError: jobs.csv is damaged.
    """
    jobs: dict[str, list[JobEntry]] = defaultdict(list)
    for entry in job_log.read(Path(study.results_dir)):
        jobs[entry.cell].append(entry)
    own = {cell: _cost(study, cell, record, jobs.pop(cell.path, [])) for cell, record in records.items()}
    parts: dict[str, list[Cost]] = {name: [] for name in study.taken}
    for cell, names in grid.cells(study).items():
        for name in names:
            parts[name].append(own[cell])
    if study.budget:
        rest = [_cost(study, cell, finished.of(study, cell).record, jobs.pop(cell.path, []))
                for cell in grid.cells(study.model_copy(update={"only": None})) if cell not in own]  # fmt: skip
        rest += [_of_jobs(study, entries) for entries in jobs.values()]
        if any(cost != Cost() for cost in rest):
            parts[OTHER] = rest
    found = {name: Cost.sum(some) for name, some in parts.items()}
    return found | {ALL: Cost.sum([*own.values(), *parts.get(OTHER, ())])}


def rows(study: Study, records: Mapping[Cell, Record | None]) -> list[dict[str, Any]]:
    """Rows of costs.csv."""
    budget = study.budget.hours if study.budget else ""
    return [
        {"experiment": name, "unit": unit(study), **vars(cost), "budget": budget if name == ALL else ""}
        for name, cost in by_experiment(study, records).items()
    ]


def _cost(study: Study, cell: Cell, record: Record | None, entries: list[JobEntry]) -> Cost:
    if record is None or not _made_here(study, cell):
        return _of_jobs(study, entries)
    trained = (record.seconds.train or 0.0) + (record.seconds.test or 0.0)
    training = devices(study) * trained / 3600
    return _of_jobs(study, entries, training) if entries else Cost(
        hours=devices(study) * record.seconds.total / 3600, training_hours=training
    )  # fmt: skip


def _made_here(study: Study, cell: Cell) -> bool:
    """Whether the record was neither adopted nor is about to be."""
    return (finished.run_folder(study, cell) / RECORD).exists() and not adopt.origin(study, cell)


def _of_jobs(study: Study, entries: list[JobEntry], training_hours: float = 0.0) -> Cost:
    total = job_log.spent(entries)
    hours, lost = (total.gpu_hours, total.lost_gpu_hours) if study.gpu else (total.cpu_hours, total.lost_cpu_hours)
    return Cost(total.jobs, hours, lost, training_hours, total.unknown)
