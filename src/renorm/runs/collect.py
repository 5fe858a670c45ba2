"""All runs of a study → tidy tables. What is missing, failed, foreign or damaged is said, never guessed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.core.metrics import SECONDS, Metrics
from renorm.core.table_specs import COLLECTED, GROUP, columns
from renorm.core.tables import to_csv
from renorm.runs import adopt, costs, finished, layer_views, made_from, run_record
from renorm.runs.finished import run_folder
from renorm.runs.run_log import last_error
from renorm.study import description, grid
from renorm.study.cell import Cell
from renorm.study.config import Study
from renorm.study.data_manifest import data_checksum

# What must be one and the same where `mixed_records: refuse`; commits differ in comments too, versions do not.
MIXED = ("protocol", "renorm", "torch", "torchvision", "cuda", "cudnn", "device", "precision", "deterministic")


@dataclass(frozen=True)
class Found:
    """What was found of one cell: a record, or the reason why there is none."""

    cell: Cell
    experiments: list[str]
    record: run_record.Record | None
    history: list[dict[str, str]]
    status: str
    error: str


def find(study: Study) -> list[Found]:
    """Every cell of the study's grid with its record, in the order of the grid's paths."""
    return [_find_one(study, cell, names) for cell, names in sorted(grid.cells(study).items())]


def _find_one(study: Study, cell: Cell, names: list[str]) -> Found:
    folder = run_folder(study, cell)
    seen = finished.of(study, cell)
    if seen.record:
        try:
            history = run_record.history_rows(seen.history, str(folder / run_record.HISTORY))
        except RenormError as error:
            return Found(cell, names, None, [], "missing", str(error))
        return Found(cell, names, seen.record, history, seen.record.status, "")
    if seen.problem:
        return Found(cell, names, None, [], "missing", seen.problem)
    reason = last_error(folder / "log.txt")
    return Found(cell, names, None, [], "failed" if reason else "missing", reason)


def inputs_digest(study: Study, looks: Iterable[tuple[Cell, run_record.Record | None]], folder: Path) -> str:
    """The digest of all that the tables of `study` in `folder` are made from, given the record of every cell."""
    looks = sorted(looks, key=itemgetter(0))
    records = [(cell.path, r and (r.status, r.finished, r.history_sha256, r.weights_sha256)) for cell, r in looks]
    views = [layer_views.path(study, name) for name in grid.layer_views(study)]
    spent = costs.rows(study, dict(looks))
    return made_from.collected(study.written_for(folder), records, views, spent)


def collect(study: Study, folder: Path | None = None) -> list[Path]:
    """Write the collected tables and study.json; returns their paths.

    Written to `folder`, by default the study's own. Raises `RenormError` for runs that `mixed_records` refuses.
    """
    folder = folder or study.folder
    adopt.bring_in(study)
    found = find(study)
    if study.mixed_records == "refuse":
        refuse_mixed(found)
    tables = {
        "cells": [_cell_row(f) for f in found],
        "runs": [row for f in found if f.record for row in _run_rows(study, f.cell, f.record, study.registry)],
        "histories": [f.cell.as_dict() | row for f in found for row in f.history],
        "steps": [row for f in found if f.record for row in _step_rows(f.cell, f.record)],
        "provenance": [
            _provenance_row(f.cell, f.record) | {"adopted_from": adopt.origin(study, f.cell)} for f in found if f.record
        ],
        "costs": costs.rows(study, {f.cell: f.record for f in found}),
    } | _layer_views(study, found)
    for spec in COLLECTED:
        more = _more_columns(found) if spec.name == "histories" else ()
        files.write_atomic(folder / spec.file, to_csv((*spec.names, *more), tables[spec.name], _text))
    description.write(description.of(study, folder), folder)
    made_from.note(folder, made_from.COLLECT, inputs_digest(study, [(f.cell, f.record) for f in found], folder))
    return [folder / name for name in (*(spec.file for spec in COLLECTED), description.FILE)]


def _text(value: Any) -> Any:
    """Every digit of what was measured: tables of the judgement are rounded, these are not."""
    return "" if value is None else value


def _layer_views(study: Study, found: list[Found]) -> dict[str, list[dict]]:
    weights = {f.cell: f.record.weights_sha256 for f in found if f.record}
    data = {name: data_checksum(study, name) for name in {f.cell.dataset for f in found}}
    return layer_views.rows(study, weights, data)


def refuse_mixed(found: list[Found]) -> None:
    """Raise `RenormError` when runs differ in torch, device or precision, or the seeds of a cell in renorm's code."""
    first: dict[Any, tuple[Any, Cell]] = {}
    for item in found:
        row = _provenance_row(item.cell, item.record) if item.record else {}
        one = replace(item.cell, seed=0)
        for key in (*MIXED, "code_sha256") if row else ():
            value, cell = first.setdefault((key, one) if key == "code_sha256" else key, (row[key], item.cell))
            if value != row[key]:
                raise RenormError(
                    f"mixed_records: {key} is {value!r} in {cell} and {row[key]!r} in {item.cell}: train again with "
                    f"one, or set mixed_records: warn"
                )


def _more_columns(found: list[Found]) -> tuple[str, ...]:
    """What the histories of the study's programs have besides the columns of every study, by name."""
    other = {name for f in found for row in f.history[:1] for name in row} - set(columns("histories"))
    return tuple(sorted(other))


def _cell_row(found: Found) -> dict:
    epochs, parameters = (found.record.epochs_completed, found.record.parameters) if found.record else (0, None)
    return found.cell.as_dict() | {
        "experiments": ";".join(found.experiments), "status": found.status, "error": found.error,
        "epochs_completed": epochs, "parameters": "" if parameters is None else parameters,
    }  # fmt: skip


def _run_rows(study: Study, cell: Cell, record: run_record.Record, metrics: Metrics) -> list[dict]:
    """One row per number of the record; a diverged run has no final value, and its row says so by its absence.

    Numbers of metrics that the study does not know stay in the record and its history: nothing is known of their unit.
    """
    frame = {key: getattr(cell, key) for key in GROUP} | {
        "source": study.study, "attempt": cell.seed, "n": 1,
        "epochs_completed": record.epochs_completed, "status": record.status,
    }  # fmt: skip
    rows = []
    for selection, at in (("final", record.metrics.final), ("best", record.metrics.best)):
        for split, part in at.splits.items() if at else ():
            rows += [
                frame | {"metric": metric, "split": split, "selection": selection,
                         "unit": metrics[metric].unit, "value": value, "n_images": "" if part.n is None else part.n}
                for metric, value in part.values.items() if metric in metrics
            ]  # fmt: skip
    for split, seconds in (("train", record.seconds.train), ("test", record.seconds.test)):
        if seconds is not None:
            rows.append(frame | {"metric": SECONDS, "split": split, "selection": "final",
                                 "unit": metrics[SECONDS].unit, "value": seconds})  # fmt: skip
    return rows


def _step_rows(cell: Cell, record: run_record.Record) -> list[dict]:
    losses = enumerate(record.step_losses, 1)
    return [cell.as_dict() | {"step": step, "train_loss": loss} for step, loss in losses if loss is not None]


def _provenance_row(cell: Cell, record: run_record.Record) -> dict:
    facts = record.provenance.model_dump()
    packages = facts.pop("packages")
    facts |= {"torch": packages.get("torch"), "torchvision": packages.get("torchvision"), "protocol": record.protocol}
    facts |= {key: getattr(record, key) for key in ("data_sha256", "resumes", "started", "finished")}
    facts |= {"code_sha256": record.built_in_code, "runner": "built-in"}
    if isinstance(record.runner, run_record.Program):
        facts |= {"code_sha256": files.checksum(record.runner.code_sha256)[:16], "runner": _program(record.runner)}
    return cell.as_dict() | {key: "" if value is None else value for key, value in facts.items()}


def _program(runner: run_record.Program) -> str:
    """A program in a few words: its file, and the commit of its folder."""
    words = [word for word in runner.command.split() if word.endswith((".py", ".sh", ".R", ".jl"))]
    commit = f" at commit {runner.commit[:10]}{', modified' if runner.dirty else ''}" if runner.commit else ""
    return f"program {(words or runner.command.split())[0]}{commit}"
