"""Which cells to train first when the hours are limited, and which further seeds would settle a claim."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError
from renorm.core.table_specs import GROUP, TABLES
from renorm.execution.cost_model import estimate
from renorm.runs import costs, finished, job_log
from renorm.runs.run_record import Record
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import Study

ORDERS = ("coverage", "cheapest", "undecided")
Group = tuple[str, ...]
Records = Mapping[Cell, Record | None]


def expected_hours(study: Study, cell: Cell) -> float:
    """GPU-hours that the cell is expected to take; CPU-hours in a study without GPUs."""
    return estimate(study, cell).seconds * costs.devices(study) / 3600


def records_of(study: Study) -> dict[Cell, Record | None]:
    """The record of every cell that the study takes, where there is one."""
    return {cell: finished.of(study, cell).record for cell in sorted(grid.cells(study))}


def group_of(cell: Cell) -> Group:
    return tuple(str(getattr(cell, name)) for name in GROUP)


@dataclass(frozen=True)
class Next:
    """Seeds that would settle an inconclusive claim.

    Attributes:
        group: Dataset, architecture, normaliser, recipe and epochs of the cells.
        missing: Cells of the configuration that are not trained yet, of those needed.
        more: Seeds beyond them, which the configuration does not have.
        hours: Expected GPU-hours of all of them.
        probability: That they settle the claim.
        claims: How many inconclusive claims they are needed for.
    """

    group: Group
    missing: list[Cell]
    more: int
    hours: float
    probability: float
    claims: int

    @property
    def worth(self) -> float:
        """Claims expected to be settled per hour."""
        return self.claims * self.probability / max(self.hours, 1e-9)


def next_seeds(study: Study) -> list[Next]:
    """What to train next for the inconclusive claims of the last judgement; the most claims per hour come first.

    Raises:
        RenormError: There is no judgement yet.
    """
    path = Path(study.folder, TABLES["equivalence"].file)
    rows = TABLES["equivalence"].read(path, (*GROUP, "source", "verdict", "seeds_needed", "settle_probability"))
    undecided: dict[Group, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        if row["source"] == study.study and row["verdict"] == "inconclusive" and row["seeds_needed"]:
            key = tuple(row[name] for name in GROUP)
            undecided[key].append((int(float(row["seeds_needed"])), float(row["settle_probability"] or 0)))
    cells: dict[Group, list[Cell]] = defaultdict(list)
    for cell in grid.cells(study):
        cells[group_of(cell)].append(cell)
    found = [_next(study, key, claims, cells[key]) for key, claims in undecided.items() if key in cells]
    return sorted(found, key=lambda one: (-one.worth, one.group))


def describe_next(one: Next) -> str:
    """In one line: which seeds, at what cost, and why."""
    seeds = []
    if one.missing:
        seeds.append(f"missing seeds {', '.join(str(cell.seed) for cell in one.missing)}")
    if one.more:
        seeds.append(f"{one.more} more than the configuration has")
    return (
        f"{'/'.join(one.group)}: {' and '.join(seeds)}, {one.hours:,.2f} hours: {one.claims} inconclusive claims, "
        f"settled with probability {one.probability:.2f}"
    )


def _next(study: Study, group: Group, claims: list[tuple[int, float]], cells: list[Cell]) -> Next:
    """For the claim of the group that needs most."""
    needed = max(count for count, _ in claims)
    missing = [cell for cell in sorted(cells) if not finished.of(study, cell).record][:needed]
    probability = sum(chance for _, chance in claims) / len(claims)
    return Next(
        group, missing, needed - len(missing), needed * expected_hours(study, cells[0]), probability, len(claims)
    )


def ordered(study: Study, order: str, records: Records) -> list[Cell]:
    """The cells that are not finished, in the order in which a budget is spent.

    coverage: the first seed of every configuration before the second of any; cheapest: by expected hours; undecided:
    first those that `next_seeds` names, the most claims per hour first, then by coverage, which is also the order
    before there is a judgement. In each of them cells with a job of which no end is known come first: it may run.
    """
    if order not in ORDERS:
        raise RenormError(f"--order: '{order}': expected one of {', '.join(ORDERS)}")
    seen: dict[Group, int] = defaultdict(int)
    rank: dict[Cell, int] = {}
    for cell in sorted(records):
        rank[cell] = seen[group_of(cell)]
        seen[group_of(cell)] += 1
    left = [cell for cell in rank if not records[cell]]
    begun = {one.cell for one in job_log.read(Path(study.results_dir)) if one.state == job_log.SUBMITTED}
    hours = {cell: expected_hours(study, cell) for cell in left}
    wanted: dict[Cell, int] = {}
    if order == "undecided" and Path(study.folder, TABLES["equivalence"].file).exists():
        for place, one in enumerate(next_seeds(study)):
            wanted |= dict.fromkeys(one.missing, place)

    def place_of(cell: Cell) -> tuple:
        by = (hours[cell], rank[cell]) if order == "cheapest" else (wanted.get(cell, math.inf), rank[cell], hours[cell])
        return (cell.path not in begun, *by, cell)

    return sorted(left, key=place_of)


@dataclass(frozen=True)
class Allowance:
    """What a budget allows at one moment.

    Attributes:
        hours: The budget's.
        order: In which it is spent.
        spent: Hours that were spent already.
        taken: Missing cells that the rest allows, in the budget's order.
        left_out: The other missing cells.
        committed: Hours that `taken` are expected to take.
        unit: Of the hours.
    """

    hours: float
    order: str
    spent: float
    taken: list[Cell]
    left_out: list[Cell]
    committed: float
    unit: str

    def document(self) -> dict[str, Any]:
        """For programs: hours, and numbers of cells."""
        return {
            "hours": self.hours, "unit": self.unit, "order": self.order, "spent": self.spent,
            "committed": self.committed, "cells": len(self.taken), "left_out": len(self.left_out),
        }  # fmt: skip

    def line(self) -> str:
        """In a sentence: what fits."""
        missing = len(self.taken) + len(self.left_out)
        rest = f"; {len(self.left_out)} are left out" if self.left_out else ""
        return (
            f"{len(self.taken)} of {missing} missing cells fit into {self.hours:g} {self.unit}, of which "
            f"{self.spent:,.2f} are spent{rest}"
        )


def allowance(study: Study, records: Records, hours: float | None = None, order: str | None = None) -> Allowance:
    """What a budget allows of the missing cells; a cheaper cell does not overtake a more expensive one.

    Args:
        study: The study.
        records: Record of every cell that it takes, None where there is none.
        hours: The budget; by default that of the configuration.
        order: One of ORDERS; by default that of the configuration, else coverage.
    """
    hours = hours if hours is not None else study.budget.hours if study.budget else math.inf
    order = order or (study.budget.order if study.budget else "coverage")
    spent = costs.by_experiment(study, records)[costs.ALL].hours
    cells, taken, needed = ordered(study, order, records), 0, 0.0
    for cell in cells:
        more = expected_hours(study, cell)
        if spent + needed + more > hours:
            break
        taken, needed = taken + 1, needed + more
    return Allowance(hours, order, spent, cells[:taken], cells[taken:], needed, costs.unit(study))
