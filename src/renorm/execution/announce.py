"""What Snakemake prints beside its own lines: every finished cell, and at the end how far the study is."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from renorm.core.durations import duration
from renorm.core.errors import RenormError
from renorm.execution.status import survey
from renorm.runs import run_record
from renorm.runs.collect import run_folder
from renorm.study.cell import Cell
from renorm.study.config import Study

FINISHED = "job_finished"  # snakemake_interface_logger_plugins.common.LogEvent.JOB_FINISHED


class Announcer(logging.Handler):
    """Listens to Snakemake's log, and prints a line on standard error for every cell whose job has ended well.

    Args:
        study: The study.
        cells: Number of Snakemake's job → the cell that it trains.
    """

    def __init__(self, study: Study, cells: Mapping[int, Cell]) -> None:
        super().__init__(logging.INFO)
        self.study, self.cells, self.done = study, dict(cells), 0

    def emit(self, record: logging.LogRecord) -> None:
        event: Any = getattr(record, "event", None)
        cell = self.cells.get(getattr(record, "job_id", -1)) if getattr(event, "value", event) == FINISHED else None
        if cell:
            self.done += 1
            print(cell_line(self.study, cell, len(self.cells) - self.done), file=sys.stderr, flush=True)


def cell_line(study: Study, cell: Cell, left: int) -> str:
    """What came of a cell that has just ended: its value on the test split, its time, and how many are to go."""
    path = run_folder(study, cell) / run_record.RECORD
    try:
        record = run_record.read(path)
    except RenormError as error:
        return f"{cell}: {error}"
    said: str = record.status
    values = record.metrics.final.splits.get("test") if record.metrics.final else None
    if record.status == "completed" and values and values.values:
        # The metric that pairs are decided by, where the runner reported it.
        name = min(values.values, key=lambda name: name != study.judge.metric)
        metric = study.registry[name]
        said = f"{metric.label} {metric.with_unit(values.values[name])}"
    rest = f"{left} cell{'s' * (left != 1)} to go" if left else "the last one"
    return f"{cell}: {said} in {duration(record.seconds.total)}, {rest}"


def closing_line(study: Study) -> str:
    """How many of the study's cells are done, and where to ask about the others."""
    seen = survey(study)
    counts = seen.counts()
    done, planned = counts["completed"] + counts["diverged"], counts.total()
    rest = [f"{counts[state]} {state}" for state in ("failed", "missing", "running", "queued") if counts[state]]
    if seen.allowance:
        spent = f"spent {seen.allowance.spent:,.2f} of {seen.allowance.hours:g} {seen.allowance.unit}"
        rest += [f"{len(seen.left_out)} of them left out by the budget"] * bool(seen.left_out) + [spent]
    return ", ".join([f"{done} of {planned} cells", *rest]) + (": renorm status" if done < planned else "")


def closing_lines(study: Study, page: Path) -> list[str]:
    """The four answers of a page that was written, how many cells are behind it, and where it is."""
    from renorm.judging.verdict import lines, verdict

    return [*lines(verdict(page.parent)), closing_line(study), f"Report: {page.resolve()}"]
