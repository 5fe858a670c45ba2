"""During and after: how far the study is, and why a cell would run."""

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from renorm.core.console import Line, fitted, screen
from renorm.core.durations import duration
from renorm.core.errors import RenormError, suggest
from renorm.core.locks import holder
from renorm.execution import budget, job_queue
from renorm.execution.budget import Allowance
from renorm.execution.cost_model import estimate
from renorm.execution.slurm.queue import QueueJob
from renorm.runs import costs, finished, job_log, run_log
from renorm.runs.collect import Found, find, run_folder
from renorm.runs.costs import Cost
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import Study

STATES = ("completed", "diverged", "running", "queued", "failed", "missing")
STYLES = {"completed": "green", "diverged": "magenta", "running": "cyan", "failed": "red"}


@dataclass(frozen=True)
class Survey:
    """Every cell of the study with its state at one moment, when the rest may be done, and how many records were set
    aside; `waiting`: the jobs of cells that are queued; `notes`: what the states leave out, in words; `spent`: of each
    experiment, and of all; `allowance`: what a budget allows of the rest."""

    states: dict[Cell, str]
    found: list[Found]
    eta_seconds: float | None
    superseded: int
    waiting: dict[Cell, QueueJob] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    spent: dict[str, Cost] = field(default_factory=dict)
    allowance: Allowance | None = None

    @property
    def left_out(self) -> set[Cell]:
        """Cells that are missing, or failed, and that the budget does not allow."""
        cells = self.allowance.left_out if self.allowance else ()
        return {cell for cell in cells if self.states[cell] in ("missing", "failed")}

    def counts(self, name: str | None = None) -> Counter:
        """state → cells, of one experiment or of all, in the order of STATES."""
        some = Counter(self.states[f.cell] for f in self.found if name is None or name in f.experiments)
        return Counter({state: some[state] for state in STATES if some[state]})


def survey(study: Study) -> Survey:
    """Look at records, logs, locks and the queue; nothing of it needs a running Snakemake."""
    found = find(study)
    notes: tuple[str, ...] = ()
    try:
        jobs = _jobs(study, [f.cell for f in found if f.record is None])
    except RenormError as error:
        jobs, notes = {}, (f"{error}; a cell that only has a job in the queue is counted as missing or failed.",)
    states = {f.cell: f.status if f.record else _unfinished(study, f, jobs) for f in found}
    waiting = {cell: job for cell, job in jobs.items() if states[cell] == "queued"}
    superseded = sum(len(finished.superseded(study, f.cell)) for f in found)
    records = {f.cell: f.record for f in found}
    allowed = budget.allowance(study, records) if study.budget else None
    seen = Survey(states, found, None, superseded, waiting, notes, costs.by_experiment(study, records), allowed)
    return replace(seen, eta_seconds=_eta(study, seen))


def _unfinished(study: Study, found: Found, jobs: dict[Cell, QueueJob]) -> str:
    if holder(run_folder(study, found.cell) / ".lock"):
        return "running"
    job = jobs.get(found.cell)
    return found.status if job is None else "queued" if job.pending else "running"


def _jobs(study: Study, cells: list[Cell]) -> dict[Cell, QueueJob]:
    """The jobs in the queue of those cells that have one, the running one if there are several."""
    named = {"_".join(str(value) for value in cell.as_dict().values()): cell for cell in cells}
    out: dict[Cell, QueueJob] = {}
    queue = job_queue.of(Path(study.results_dir))
    for job in queue.jobs() if named and queue else ():
        cell = named.get(job.cell)
        if cell and (cell not in out or out[cell].pending):
            out[cell] = job
    return out


def _eta(study: Study, seen: Survey) -> float | None:
    """Seconds until all that the budget allows is done at the pace of the finished cells, with as many at a time as run
    now."""
    done = [f for f in seen.found if f.record and f.status == "completed"]
    left = [f.cell for f in seen.found if not f.record and f.cell not in seen.left_out]
    took = sum(f.record.seconds.total for f in done if f.record)
    expected = sum(estimate(study, f.cell).seconds for f in done)
    if not left or not took:
        return None if left else 0.0
    running = [cell for cell in left if seen.states[cell] == "running"]
    rest = sum(estimate(study, cell).seconds for cell in left) * took / expected
    spent = sum(_age(run_folder(study, cell) / ".lock") for cell in running)
    return max(rest - spent, 0.0) / max(len(running), 1)


def _age(path: Path) -> float:
    try:
        return max(time.time() - path.stat().st_mtime, 0.0)
    except OSError:
        return 0.0


def status(study: Study, as_json: bool = False, watch: float | None = None) -> None:
    """Print, per experiment, how many cells are in each state, and the error of each failed one.

    With `watch`, repeated at that interval, in seconds, until nothing is left to do.
    """
    seen = survey(study)
    if as_json:
        print(json.dumps(_document(study, seen), indent=None if watch else 1), flush=True)
        while watch and _open(seen):
            time.sleep(watch)
            seen = survey(study)
            print(json.dumps(_document(study, seen)), flush=True)
        return
    console = screen()
    if watch is None:
        console.print(_screen(study, seen, console.width))
    else:
        with Live(_screen(study, seen, console.width), console=console, auto_refresh=False) as live:
            while _open(seen):
                time.sleep(watch)
                seen = survey(study)
                live.update(_screen(study, seen, console.width), refresh=True)
    for step in _shared(study, seen):
        console.print(f"{step['step']}: {step['error']} ({step['log']})", markup=False, soft_wrap=True)
    for item in _failed(study, seen):
        console.print(f"{item['cell']}: {item['error']} ({item['log']})", markup=False, soft_wrap=True)
    for line in (*_obstacles(seen), *seen.notes, *_costs(study, seen)):
        console.print(line, markup=False, soft_wrap=True)
    if seen.superseded:
        console.print(f"{seen.superseded} records of other hyper-parameters, code or data were set aside "
                      f"({finished.SUPERSEDED} beside run.json); no table counts them.", soft_wrap=True)  # fmt: skip


def _obstacles(seen: Survey) -> list[str]:
    """For every reason for which queued jobs never start: how many they are, and one of them."""
    by_reason: dict[str, list[tuple[Cell, QueueJob]]] = {}
    for cell, job in seen.waiting.items():
        if job.obstacle:
            by_reason.setdefault(job.obstacle, []).append((cell, job))
    return [f"{len(stuck)} queued jobs cannot start: {why} (job {stuck[0][1].id}, {stuck[0][0]})"
            for why, stuck in sorted(by_reason.items())]  # fmt: skip


def _costs(study: Study, seen: Survey) -> list[str]:
    """What the study has cost, and what is left of its budget; nothing where neither a job nor a budget is."""
    total, lines = seen.spent[costs.ALL], []
    of = f" of {study.budget.hours:g}" if study.budget else ""
    spent = f"Spent {total.hours:,.2f}{of} {costs.unit(study)}"
    if total.jobs:
        unknown = f"; of {total.unknown} the end is not known" if total.unknown else ""
        lines.append(f"{spent} in {total.jobs} jobs, {total.lost_hours:,.2f} of them in jobs that did not "
                     f"complete{unknown} ({Path(study.results_dir, job_log.FILE)}).")  # fmt: skip
    elif study.budget:
        lines.append(f"{spent}.")
    if seen.left_out:
        lines.append(f"{len(seen.left_out)} missing cells are left out by the budget: renorm plan")
    return lines


def _open(seen: Survey) -> bool:
    return any(state not in ("completed", "diverged") and cell not in seen.left_out
               for cell, state in seen.states.items())  # fmt: skip


def _document(study: Study, seen: Survey) -> dict:
    return {
        "study": study.study, "experiments": {name: seen.counts(name) for name in study.taken},
        "all": seen.counts(), "eta_seconds": None if seen.eta_seconds is None else round(seen.eta_seconds),
        "running": [cell.path for cell, state in seen.states.items() if state == "running"],
        "progress": _progress(study, seen), "failed": _failed(study, seen), "shared": _shared(study, seen),
        "superseded": seen.superseded,
        "cannot_start": {cell.path: job.obstacle for cell, job in seen.waiting.items() if job.obstacle},
        "notes": list(seen.notes), "spent": {name: asdict(cost) for name, cost in seen.spent.items()},
        "unit": costs.unit(study), "budget": seen.allowance and seen.allowance.document(),
    }  # fmt: skip


def _table(study: Study, seen: Survey, width: int) -> Table:
    eta = "" if not seen.eta_seconds else f"about {duration(seen.eta_seconds)} left at this pace"
    total, hours = seen.counts(), costs.unit(study)
    lines = [Line([*_numbers(name, seen.counts(name)), _hours(seen.spent[name])]) for name in study.taken]
    if costs.OTHER in seen.spent:
        lines.append(Line([costs.OTHER, *[""] * (len(STATES) + 1), _hours(seen.spent[costs.OTHER])], "dim"))
    everything = [*_numbers("all (each cell once)", total), _hours(seen.spent[costs.ALL])]
    lines.append(Line(everything, "bold", ruled=True))
    drop = [*(state for state in STATES if not total[state]), hours, "queued", "diverged", "missing", "running"]
    return fitted(("experiment", *STATES, "cells", hours), lines, width, list(dict.fromkeys(drop)), eta)


def _hours(cost: Cost) -> str:
    return f"{cost.hours:,.2f}"


def _screen(study: Study, seen: Survey, width: int) -> Group:
    """The table, and below it what runs at this moment."""
    lines = [Text(line, overflow="fold") for line in _running(study, seen)]
    return Group(_table(study, seen, width), *lines)


def _running(study: Study, seen: Survey) -> list[str]:
    """A line for each running cell: how many of its epochs are done, and how long the others will take."""
    shown = []
    for item in _progress(study, seen):
        epoch = f": epoch {item['epoch']}/{item['epochs']}" if item["epoch"] else ""
        left = f", {duration(item['left_seconds'])} left" if item["left_seconds"] is not None else ""
        shown.append(f"running {item['cell']}{epoch}{left}")
    return shown


def _progress(study: Study, seen: Survey) -> list[dict]:
    found = []
    for cell in (cell for cell, state in seen.states.items() if state == "running"):
        epoch, left = run_log.progress(run_folder(study, cell) / "log.txt", time.time())
        left = None if left is None else round(left)
        found.append({"cell": cell.path, "epoch": epoch, "epochs": cell.epochs, "left_seconds": left})
    return found


def _shared(study: Study, seen: Survey) -> list[dict]:
    """Steps that cells or the report wait for and whose last try failed."""
    waiting = dict.fromkeys(f.cell.dataset for f in seen.found if f.record is None)
    results = Path(study.results_dir)
    logs = [(f"data set {name}", data_log(study, name)) for name in waiting]
    logs += [(f"layer view {name}", results / "layer_views/logs" / f"{name}.txt") for name in grid.layer_views(study)]
    logs += [(step, study.folder / "logs" / f"{step}.txt") for step in ("collect", "judge", "figures", "report")]
    failed = [(step, run_log.last_error(log), log) for step, log in logs]
    return [{"step": step, "error": error, "log": str(log)} for step, error, log in failed if error]


def data_log(study: Study, dataset: str) -> Path:
    """What the preparation of a data set wrote the last time."""
    return Path(study.results_dir) / "data" / dataset / "log.txt"


def _numbers(name: str, count: Counter) -> list[str]:
    return [name, *(_number(count, state) for state in STATES), str(count.total())]


def _number(count: Counter, state: str) -> str:
    style = STYLES.get(state)
    return f"[{style}]{count[state]}[/]" if style and count[state] else str(count[state])


def _failed(study: Study, seen: Survey) -> list[dict]:
    return [
        {"cell": f.cell.path, "error": f.error, "log": str(run_folder(study, f.cell) / "log.txt")}
        for f in seen.found if f.error and seen.states[f.cell] in ("failed", "missing")
    ]  # fmt: skip


def why(study: Study, path: str) -> str:
    """In one sentence: whether the next run of Snakemake would train the cell at `path`, and for which reason."""
    cell = Cell.from_path(path.removesuffix("/run.json").rstrip("/"))
    known = grid.cells(study)
    if cell not in known:
        hint = suggest(cell.path, [other.path for other in known]) if len(known) <= 5000 else ""
        raise RenormError(f"{cell} is not a cell of study '{study.study}': {hint}")
    folder = run_folder(study, cell)
    busy = holder(folder / ".lock")
    if busy:
        return f"{cell}: is being trained now, by {busy}."
    seen = finished.of(study, cell)
    if seen.record:
        return f"{cell}: would not be trained: it is {seen.record.status}, since {seen.record.finished}."
    job = _jobs(study, [cell]).get(cell)
    if job:
        why_not = f": it cannot start: {job.obstacle}" if job.obstacle else f" ({job.reason})" if job.pending else ""
        return f"{cell}: its job {job.id} {'waits in the queue' if job.pending else 'runs'}{why_not}."
    if study.budget and cell in (allowed := budget.allowance(study, budget.records_of(study))).left_out:
        return f"{cell}: would not be trained: the budget leaves it out ({allowed.line()}): renorm plan"
    if seen.problem:
        return f"{cell}: would be trained, and the record that is there set aside: {seen.problem}."
    blocked = run_log.last_error(data_log(study, cell.dataset))
    if blocked:
        return f"{cell}: would be trained, but its data set is not there: {blocked} ({data_log(study, cell.dataset)})."
    return f"{cell}: would be trained: {_why_missing(folder)}"


def _why_missing(folder: Path) -> str:
    error = run_log.last_error(folder / "log.txt")
    reason = f"its last try failed: {error} ({folder / 'log.txt'})." if error else "it has no run.json."
    saved = (folder / "checkpoint.pt").exists()
    return reason + (" It would resume from its checkpoint." if saved else "")
