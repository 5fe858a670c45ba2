"""Recordings in earlier forms → run records of this version, one way and for recordings only.

What the earlier form does not carry stays absent, and `converted` of the record says so. Nothing is estimated.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError
from renorm.runs import run_record
from renorm.runs.run_record import Record
from renorm.study.cell import AXES, Cell

FORMAT_1 = "from a record of format 1, which has no digests of code"
TABLES = (
    "from the tables of `renorm collect`, which have no weights' checksum, step losses, input normalisation, seconds "
    "of setup, numbers of examples of a diverged run, and digests of code; hyper-parameters are those of the "
    "configuration of its commit"
)
PROVENANCE = ("renorm", "commit", "python", "cuda", "cudnn", "device", "precision")


def from_format_1(document: dict, where: str) -> dict:
    """A record of format 1 (of renorm 0.1, 2026) in the current format, without a checksum.

    Raises `RenormError` for a document that lacks what such a record had.
    """
    try:
        provenance = dict(document["provenance"])
        new = {key: document[key] for key in (
            "cell", "protocol", "hyperparameters", "status", "epochs_completed", "parameters", "weights_sha256",
            "resumes", "started", "finished", "history_sha256", "normalisation", "step_losses", "seconds",
        )}  # fmt: skip
        new |= {"diverged": document.get("diverged"), "places": document.get("places", [])}
        new |= {"data_sha256": provenance.pop("data_sha256"), "provenance": provenance}
        new["metrics"] = {name: _epoch(document["metrics"][name]) for name in ("final", "best")}
    except (KeyError, TypeError, AttributeError) as error:
        raise RenormError(f"{where}: {error}: is missing in a record of format 1: restore the file") from None
    return {"format": run_record.FORMAT, "runner": {"kind": "builtin"}, "converted": FORMAT_1, **new}


def _epoch(found: dict | None) -> dict | None:
    if found is None:
        return None
    splits = {
        split: {"values": {name: value for name, value in found[split].items() if name != "n"}, "n": found[split]["n"]}
        for split in ("train", "test")
    }
    return {"epoch": found["epoch"], "splits": splits}


def with_comparisons(study: dict) -> dict:
    """The configuration of a recording of renorm 0.1, whose one comparison of normalisers was called `compare`."""
    if "compare" not in study:
        return study
    rest = {key: value for key, value in study.items() if key != "compare"}
    return rest | {"comparisons": [{"name": study["compare"]["method"], "axis": "norm", **study["compare"]}]}


def from_tables(folder: Path, hyperparameters: Callable[[Cell], dict]) -> list[tuple[Record, str]]:
    """The records, each with its history, that cells.csv, runs.csv, histories.csv and provenance.csv carry.

    Args:
        folder: where `renorm collect` wrote them.
        hyperparameters: cell → those of the configuration of the tables' commit.
    """
    tables = {name: _by_cell(folder / f"{name}.csv") for name in ("cells", "histories", "provenance")}
    counts = _counts(folder / "runs.csv")
    found = []
    for cell, (facts,) in sorted(tables["cells"].items()):
        if facts["status"] not in ("completed", "diverged"):
            continue
        (made,), rows = tables["provenance"][cell], [_numbers(row) for row in tables["histories"].get(cell, [])]
        hyper = hyperparameters(cell)
        if hyper["schedule"] == "constant" and any(row["lr"] != hyper["optimizer"]["lr"] for row in rows):
            raise RenormError(f"{folder}: {cell}: ran with lr {rows[0]['lr']}, the configuration has "
                              f"{hyper['optimizer']['lr']}: give that of commit {made['commit']}")  # fmt: skip
        found.append(_record(cell, facts, made, rows, counts, hyper))
    return found


def _record(cell: Cell, facts: dict, made: dict, rows: list[dict], counts: dict, hyper: dict) -> tuple[Record, str]:
    history, images = run_record.history_csv(rows), counts.get(_group(cell), {})
    completed = facts["status"] == "completed"
    provenance: dict[str, Any] = {key: made[key] or None for key in PROVENANCE}
    provenance |= {"dirty": _flag(made["dirty"]), "deterministic": _flag(made["deterministic"])}
    provenance |= {"host_cpus": int(made["host_cpus"]), "threads": int(made["threads"])}
    provenance["packages"] = {"torch": made["torch"], "torchvision": made["torchvision"]}
    record = Record(
        cell=cell, protocol=int(made["protocol"]), hyperparameters=hyper, runner=run_record.Builtin(),
        status=facts["status"], epochs_completed=int(facts["epochs_completed"]),
        metrics=run_record.Metrics(
            final=run_record.measured(rows[-1], images) if completed else None,
            best=run_record.measured(run_record.best(rows), images),
        ),
        parameters=int(facts["parameters"]), data_sha256=made["data_sha256"],
        provenance=run_record.Provenance(**provenance),
        seconds=run_record.Seconds(**{s: round(sum(r[f"{s}_seconds"] for r in rows), 3) for s in ("train", "test")}),
        resumes=int(made["resumes"]), started=made["started"], finished=made["finished"],
        history_sha256=run_record.digest(history), converted=TABLES,
    )  # fmt: skip
    return record, history


def _by_cell(path: Path) -> dict[Cell, list[dict]]:
    found: dict[Cell, list[dict]] = {}
    for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
        numbers = {key: value for key, value in row.items() if key not in AXES}
        found.setdefault(Cell.from_row(row), []).append(numbers)
    return found


def _counts(path: Path) -> dict[tuple, dict[str, int]]:
    """Cell → split → examples; 0 stands for a measurement that counts none, as of seconds."""
    found: dict[tuple, dict[str, int]] = {}
    for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
        if row["n_images"]:
            group = (row["dataset"], row["arch"], row["norm"], row["recipe"], int(row["epochs"]), int(row["attempt"]))
            found.setdefault(group, {})[row["split"]] = int(row["n_images"])
    return found


def _group(cell: Cell) -> tuple:
    return tuple(getattr(cell, axis) for axis in AXES)


def _numbers(row: dict[str, str]) -> dict[str, float]:
    return {key: int(value) if key == "epoch" else float(value) for key, value in row.items() if value}


def _flag(text: str) -> bool | None:
    return {"True": True, "False": False}.get(text)
