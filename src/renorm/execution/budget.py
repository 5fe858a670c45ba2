"""Which cells to train first when the hours are limited, and which further seeds would settle a claim."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from renorm.core.errors import RenormError
from renorm.core.table_specs import TABLES
from renorm.execution import job_log
from renorm.execution.cost_model import estimate
from renorm.runs import finished
from renorm.runs.collect import find
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import Study

ORDERS = ("coverage", "cheapest", "undecided")
Group = tuple[str, ...]
GROUP = ("dataset", "arch", "norm", "recipe", "epochs")


def gpu_hours(study: Study, cell: Cell) -> float:
    """GPU-hours that the cell is expected to take; CPU-hours of one job in a study without GPUs."""
    return estimate(study, cell).seconds * max(study.gpu, 1) / 3600


def spent_hours(study: Study) -> float:
    """Hours of all jobs on the cluster; where there were none, those of the records."""
    jobs = job_log.read(Path(study.results_dir))
    if jobs:
        total = job_log.spent(jobs)
        return total.gpu_hours if study.gpu else total.cpu_hours / max(study.threads, 1)
    records = [found.record for found in find(study) if found.record]
    return sum(record.seconds.total for record in records) * max(study.gpu, 1) / 3600


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
    return Next(group, missing, needed - len(missing), needed * gpu_hours(study, cells[0]), probability, len(claims))


def ordered(study: Study, order: str) -> list[Cell]:
    """The cells that are not finished, in the order in which a budget is spent.

    coverage: the first seed of every configuration before the second of any; cheapest: by expected hours; undecided:
    first those that `next_seeds` names, the most claims per hour first, then by coverage.
    """
    if order not in ORDERS:
        raise RenormError(f"--order: '{order}': expected one of {', '.join(ORDERS)}")
    seen: dict[Group, int] = defaultdict(int)
    rank: dict[Cell, int] = {}
    for cell in sorted(grid.cells(study)):
        rank[cell] = seen[group_of(cell)]
        seen[group_of(cell)] += 1
    left = [cell for cell in rank if not finished.of(study, cell).record]
    if order == "cheapest":
        return sorted(left, key=lambda cell: (gpu_hours(study, cell), rank[cell], cell))
    wanted: dict[Cell, int] = {}
    if order == "undecided":
        for place, one in enumerate(next_seeds(study)):
            wanted |= dict.fromkeys(one.missing, place)
    return sorted(left, key=lambda cell: (wanted.get(cell, math.inf), rank[cell], gpu_hours(study, cell), cell))


def affordable(study: Study, cells: Iterable[Cell], hours: float) -> list[Cell]:
    """The first of `cells` that the hours still to be spent allow; a smaller one further on does not overtake."""
    left, taken = hours - spent_hours(study), []
    for cell in cells:
        left -= gpu_hours(study, cell)
        if left < 0:
            break
        taken.append(cell)
    return taken


def budget_line(study: Study, hours: float, order: str) -> str:
    """What a budget allows, in a sentence."""
    cells = ordered(study, order)
    taken = affordable(study, cells, hours)
    expected = sum(gpu_hours(study, cell) for cell in taken)
    groups = {group_of(cell) for cell in taken}
    unit = "GPU-hours" if study.gpu else "CPU-hours"
    return (
        f"Spent {spent_hours(study):,.1f} of {hours:,.1f} {unit}. In the order '{order}' the rest allows {len(taken)} "
        f"of {len(cells)} missing cells, {expected:,.1f} {unit}, in {len(groups)} configurations: "
        f"renorm targets --budget {hours:g} --order {order} | xargs snakemake … --"
    )
