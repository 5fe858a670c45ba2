"""Before anything is submitted: what the study consists of, what of it is done, and what the rest will cost."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from renorm.core.console import Line, fitted, screen
from renorm.core.durations import duration
from renorm.execution import budget
from renorm.execution.budget import Allowance
from renorm.execution.cost_model import basis, disk_mb, estimate
from renorm.runs import costs
from renorm.runs.collect import find, run_folder
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.claims import Claims, count_by_cell, load_claims, without_cell
from renorm.study.config import Study

DROPPED = ("disk", "shared", "longest job", "claims", "done")  # where the terminal is narrow, in this order


@dataclass(frozen=True)
class Row:
    """An experiment, or several together: its cells, the published values that its cells are compared with, the cells
    that a row above already has, those of the rest that are done and that are to run, and what these will cost."""

    name: str
    cells: int
    claims: int
    shared: int
    done: int
    left: int
    hours: float
    longest_seconds: float
    disk_mb: float


@dataclass(frozen=True)
class Plan:
    """What Snakemake would run, with its total, then what `only` leaves out, and the total of everything.

    `basis`: in words, where the hours come from. `without_cell`: a line for each source with claims of no cell.
    """

    taken: list[Row]
    total: Row
    left_out: list[Row]
    everything: Row
    basis: str
    without_cell: list[str]


def plan(
    study: Study, part: bool = False, as_json: bool = False, hours: float | None = None, order: str | None = None
) -> None:
    """Print the plan of all experiments; with `part`, of those that `only` takes alone.

    `hours` and `order` in place of the configuration's budget.
    """
    made = outline(study)
    limited = study.budget or hours is not None
    allowed = budget.allowance(study, budget.records_of(study), hours, order) if limited else None
    if as_json:
        print(json.dumps(document(study, made, allowed, part), indent=1))
        return
    rest = [] if part else made.left_out
    lines = [Line(_printed(row)) for row in made.taken]
    lines.append(Line(["would run" if rest else "all", *_printed(made.total)[1:]], "bold", ruled=True))
    lines += [Line([f"({row.name})", *_printed(row)[1:]], "dim", ruled=not i) for i, row in enumerate(rest)]
    if rest:
        lines.append(Line(_printed(made.everything), "dim bold", ruled=True))
    heads = ("experiment", "cells", "claims", "shared", "done", "to run", costs.unit(study), "longest job", "disk")
    console = screen()
    console.print(fitted(heads, lines, console.width, DROPPED))
    if rest:
        console.print("Experiments in brackets are left out by `only`; `snakemake … --config only=all` runs them too.",
                      style="dim")  # fmt: skip
    console.print("Claims are the published values that an experiment's cells are compared with. "
                  f"{made.basis} A job asks for at least half as much again and 10 minutes. "
                  "Disk is what the study grows to while every cell keeps its checkpoints.", style="dim")  # fmt: skip
    for line in made.without_cell:
        console.print(line, style="yellow")
    if allowed:
        how = "" if hours is None else (f": renorm targets --budget {allowed.hours:g} --order {allowed.order} | "
                                        "xargs snakemake … --")  # fmt: skip
        console.print(f"Budget, in the order '{allowed.order}': {allowed.line()}{how}", soft_wrap=True)


def document(study: Study, made: Plan, allowed: Allowance | None, part: bool = False) -> dict[str, Any]:
    """The plan for programs: the rows as the table prints them, hours of the device that the study asks for."""
    rest = [] if part else made.left_out
    return {
        "study": study.study,
        "device": "gpu" if study.gpu else "cpu",
        "experiments": [asdict(row) for row in made.taken],
        "total": asdict(made.total),
        "left_out": [asdict(row) for row in rest],
        "everything": asdict(made.everything if rest else made.total),
        "basis": made.basis,
        "without_cell": made.without_cell,
        "budget": allowed and allowed.document(),
    }


def outline(study: Study) -> Plan:
    """The rows of the plan; experiments that `only` takes come first, so that what they share counts as theirs."""
    everything = study.model_copy(update={"only": None})
    counter = _Counter(everything)
    taken = [counter.row(name) for name in study.taken]
    total = counter.total(taken)
    left_out = [counter.row(name) for name in study.experiments if name not in study.taken]
    missing = [cell for cell in grid.cells(study) if cell in counter.open]
    lost = claims_without_cell(everything, counter.published)
    return Plan(taken, total, left_out, counter.total([*taken, *left_out]), basis(study, missing), lost)


class _Counter:
    """Counts experiment after experiment, and remembers which cells it has seen."""

    def __init__(self, study: Study):
        self.study = study
        self.open = {f.cell for f in find(study) if f.record is None}
        self.published = published(study)
        self.claims = _claims(study, self.published)
        self.seen: dict[Cell, None] = {}

    def row(self, name: str) -> Row:
        cells = grid.experiment_cells(self.study.experiments[name])
        new = [cell for cell in cells if cell not in self.seen]
        self.seen.update(dict.fromkeys(new))
        return self._row(name, len(cells), cells, new)

    def total(self, rows: list[Row]) -> Row:
        """Of all that was counted so far."""
        seen = list(self.seen)
        return self._row("all", sum(row.cells for row in rows), seen, seen)

    def _row(self, name: str, count: int, cells: list[Cell], new: list[Cell]) -> Row:
        left = [cell for cell in new if cell in self.open]
        seconds = [estimate(self.study, cell).seconds for cell in left]
        claims = sum(self.claims[group] for group in {_group(cell) for cell in cells})
        return Row(name, count, claims, count - len(new), len(new) - len(left), len(left),
                   sum(seconds) * max(self.study.gpu, 1) / 3600, max(seconds, default=0.0),
                   disk_mb(self.study, left))  # fmt: skip


def _group(cell: Cell) -> tuple:
    return cell.dataset, cell.arch, cell.norm, cell.recipe, cell.epochs


def published(study: Study) -> dict[str, Claims]:
    """Folder → its claims, those that are checked first; each sentence asks for a check that exists, as it must be.

    Raises `RenormError` for what the judgement would refuse after all the training.
    """
    from renorm.judging.statement_checks import (
        validate,  # scipy comes with it, which only the start of Snakemake and a plan may pay for
    )

    folders = [*study.claims.original, *study.claims.reproductions] if study.claims else []
    found = {folder: load_claims(folder, study.registry) for folder in folders}
    for folder, claims in found.items():
        for statement in claims.statements:
            validate(statement.check, statement.parameters, f"{folder}/statements.yaml: {statement.id}")
    return found


def _claims(study: Study, found: dict[str, Claims]) -> Counter:
    """Cell without its seed → claims of the original sources about it: as many as the judgement has rows of it."""
    counted: Counter = Counter()
    for folder in study.claims.original if study.claims else ():
        counted.update(count_by_cell(found[folder]))
    return counted


def claims_without_cell(study: Study, found: dict[str, Claims]) -> list[str]:
    """A line for each original source with claims that no cell of the grid answers.

    None where the study is compared with the claims of its own cells alone.
    """
    if not study.claims or study.claims.own_cells:
        return []
    cells = {_group(cell) for cell in grid.cells(study)}
    return [lost.line for folder in study.claims.original if (lost := without_cell(found[folder], cells))]


def _printed(row: Row) -> list[str]:
    return [
        row.name, *(f"{count:,}" for count in (row.cells, row.claims, row.shared, row.done, row.left)),
        f"{row.hours:,.1f}", duration(row.longest_seconds), f"{row.disk_mb / 1000:,.1f} GB",
    ]  # fmt: skip


def short(study: Study, minutes: float) -> list[Path]:
    """run.json of every missing cell that the budget allows and that is expected to take no longer than `minutes`."""
    cells = sorted(budget.allowance(study, budget.records_of(study)).taken)
    return [run_folder(study, c) / "run.json" for c in cells if estimate(study, c).seconds <= 60 * minutes]
