"""The run record: what a run was, what it found, and with what it was made.

Read by the tables without torch, so nothing here imports it.
"""

import csv
import hashlib
import io
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from renorm.core.errors import RenormError
from renorm.core.files import read_sealed, write_atomic, write_sealed
from renorm.core.validation import checked
from renorm.study.cell import Cell

FORMAT = 1
HISTORY = (
    "epoch", "lr", "train_loss", "train_top1", "train_top5", "test_loss", "test_top1", "test_top5",
    "train_seconds", "test_seconds",
)  # fmt: skip


class _Part(BaseModel):
    """Checked where it is known; what later versions add is theirs."""

    model_config = ConfigDict(extra="ignore", strict=True)


Fraction = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0)]


class _Identity(_Part):
    dataset: str
    arch: str
    norm: str
    recipe: str
    epochs: Whole
    seed: Whole


class _Split(_Part):
    top1: Fraction
    top5: Fraction
    loss: Finite
    n: Annotated[int, Field(ge=1)]


class _Epoch(_Part):
    epoch: Whole
    train: _Split
    test: _Split


class _Metrics(_Part):
    final: _Epoch | None
    best: _Epoch | None


class _Seconds(_Part):
    setup: NotNegative
    train: NotNegative
    test: NotNegative


class _Provenance(_Part):
    renorm: str | None
    commit: str | None
    dirty: bool | None
    python: str
    packages: dict[str, str | None]
    cuda: str | None
    cudnn: str | None
    device: str
    host_cpus: int | None
    threads: Whole
    precision: str
    deterministic: bool
    data_sha256: str


class _Normalisation(_Part):
    mean: list[Finite]
    std: list[Finite]


class Record(_Part):
    """What must stand in a run record, so that no table is made from half of one."""

    format: Literal[1]
    cell: _Identity
    protocol: Whole
    hyperparameters: dict
    status: Literal["completed", "diverged"]
    epochs_completed: Whole
    metrics: _Metrics
    step_losses: list[Finite | None]
    normalisation: _Normalisation
    parameters: Whole
    weights_sha256: str
    provenance: _Provenance
    seconds: _Seconds
    resumes: Whole
    started: str
    finished: str
    history_sha256: str


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def history_csv(rows: list[dict]) -> str:
    """The per-epoch table; numbers in the shortest form that reads back as the same float."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HISTORY, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: round(row[key], 3) if key.endswith("seconds") else row[key] for key in HISTORY})
    return out.getvalue()


def write(folder: Path, record: dict, rows: list[dict]) -> Path:
    """Write history.csv, then run.json, which vouches for it; returns run.json's path."""
    history = history_csv(rows)
    record = {**record, "history_sha256": hashlib.sha256(history.encode()).hexdigest()}
    write_atomic(folder / "history.csv", history)
    write_sealed(folder / "run.json", record)
    return folder / "run.json"


def read(path: Path) -> dict:
    """The record at `path`; raises `RenormError` when it is missing, damaged, or not what a record must be."""
    hint = "remove it and train the cell again"
    record = read_sealed(path, hint)
    if record.get("format") != FORMAT:
        raise RenormError(f"{path}: is no run record of format {FORMAT}; {hint}")
    checked(Record, record, f"{path}: {hint}")
    return record


def read_history(folder: Path, record: dict) -> list[dict]:
    """The rows of history.csv beside the record, after the record's checksum of it was found right."""
    path = folder / "history.csv"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}; train the cell again") from None
    if hashlib.sha256(text).hexdigest() != record["history_sha256"]:
        raise RenormError(f"{path}: has not the checksum that run.json names: train the cell again")
    return list(csv.DictReader(io.StringIO(text.decode())))


def best(rows: list[dict]) -> dict | None:
    """The row with the highest test accuracy; the earliest of equals."""
    return max(rows, key=lambda row: (row["test_top1"], -row["epoch"])) if rows else None


def measured(row: dict | None, images: dict[str, int]) -> dict | None:
    """One epoch of the history in the form of the record's `metrics`: accuracies are fractions of 1."""
    if row is None:
        return None
    splits = {
        split: {**{m: row[f"{split}_{m}"] for m in ("top1", "top5", "loss")}, "n": images[split]}
        for split in ("train", "test")
    }
    return {"epoch": row["epoch"], **splits}


def step_losses(losses: list[float]) -> list[float | None]:
    """The losses of the first steps as JSON has them: a step without a finite one holds None."""
    return [loss if math.isfinite(loss) else None for loss in losses]


def document(cell: Cell, hyper: dict, **facts) -> dict:
    """The record's frame; `facts` are the rest, in the order in which they are read."""
    return {"format": FORMAT, "cell": cell.as_dict(), "protocol": hyper["protocol"], "hyperparameters": hyper, **facts}


def finite(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)
