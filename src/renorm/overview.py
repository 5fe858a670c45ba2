"""Before and during: what the study consists of, and how far it is."""

import json
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from renorm import grid
from renorm.collect import Found, find
from renorm.config import Study
from renorm.estimate import estimate

STATES = ("completed", "diverged", "failed", "missing")


def plan(study: Study) -> None:
    """Print, per experiment: cells, those shared with an earlier experiment, done, to run, and estimated hours."""
    table = Table("experiment", "cells", "shared", "done", "to run", "estimated hours", "longest job")
    seen: set = set()
    found = {f.cell: f for f in find(study)}
    totals = Counter()
    for name in _names(study):
        cells = grid.experiment_cells(study.experiments[name])
        new = [cell for cell in cells if cell not in seen]
        left = [cell for cell in new if found[cell].record is None]
        minutes = [estimate(study, cell).minutes for cell in left]
        row = Counter(cells=len(cells), shared=len(cells) - len(new), done=len(new) - len(left), left=len(left),
                      minutes=sum(minutes))  # fmt: skip
        seen.update(new)
        totals += row
        table.add_row(name, *_plan_row(row), f"{max(minutes, default=0) / 60:.1f} h")
    table.add_section()
    table.add_row("all", *_plan_row(totals), "", style="bold")
    Console().print(table)


def _plan_row(row: Counter) -> list[str]:
    return [f"{row[k]:,}" for k in ("cells", "shared", "done", "left")] + [f"{row['minutes'] / 60:,.1f}"]


def _names(study: Study) -> list[str]:
    return list(study.taken)


def status(study: Study, as_json: bool) -> None:
    """Print, per experiment, how many cells are in each state, and the error of each failed one."""
    found = find(study)
    counts = {name: Counter(f.status for f in found if name in f.experiments) for name in _names(study)}
    if as_json:
        print(json.dumps({"study": study.study, "experiments": counts, "failed": _failed(study, found)}, indent=1))
        return
    console = Console()
    table = Table("experiment", *STATES, "cells")
    for name, count in counts.items():
        table.add_row(name, *(str(count[state]) for state in STATES), str(count.total()))
    total = Counter(f.status for f in found)
    table.add_section()
    table.add_row("all (each cell once)", *(str(total[s]) for s in STATES), str(total.total()), style="bold")
    console.print(table)
    for item in _failed(study, found):
        console.print(f"{item['cell']}: {item['error']} ({item['log']})", markup=False, soft_wrap=True)


def _failed(study: Study, found: list[Found]) -> list[dict]:
    runs = Path(study.results_dir) / "runs"
    return [
        {"cell": f.cell.path, "error": f.error, "log": str(runs / f.cell.path / "log.txt")} for f in found if f.error
    ]
