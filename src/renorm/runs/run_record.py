"""The run record: one typed object of what a run was, what it measured, and with what it was made.

run.json holds it and history.csv the numbers of every epoch; `workflow/schemas/run.schema.json` is generated from the
types here, so that any program can write one. Read by the tables without torch, so nothing here imports it.
"""

import csv
import hashlib
import io
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)

from renorm.core.errors import RenormError
from renorm.core.files import read_sealed, write_atomic, write_sealed
from renorm.core.metrics import METRICS, SECONDS, TOP1, Metric
from renorm.core.validation import validate_model
from renorm.study.cell import Cell
from renorm.study.fields import Finite, NotNegative, Typed

# Raised with every change of the types below; a record of another format is not read.
FORMAT = 2
RECORD, HISTORY = "run.json", "history.csv"

Split = Literal["train", "validation", "test"]
MetricName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_.-]*$", max_length=80)]
COLUMN = re.compile(r"(train|validation|test)_[a-z0-9][a-z0-9_.-]*")
Whole = Annotated[int, Field(ge=0)]
Checksum = Annotated[str, Field(min_length=1, max_length=200)]


def _cell(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    try:
        return Cell(**value)
    except RenormError as error:
        raise ValueError(str(error)) from None
    except TypeError:
        raise ValueError("expected dataset, arch, norm, recipe, epochs and seed") from None


CellField = Annotated[
    InstanceOf[Cell],
    BeforeValidator(_cell),
    PlainSerializer(Cell.as_dict),
    WithJsonSchema(TypeAdapter(Cell).json_schema() | {"additionalProperties": False}),
]


class Measured(Typed):
    """Metric name → value on one split, and from how many examples; a metric that was not reported is absent."""

    values: Annotated[dict[MetricName, Finite], Field(json_schema_extra={"additionalProperties": False})]
    n: Annotated[int, Field(ge=1)] | None = None


class EpochMetrics(Typed):
    """What was measured after the epoch (from 1)."""

    epoch: Whole
    splits: dict[Split, Measured]

    def value(self, split: Split, metric: str) -> float | None:
        """The value of `metric` on `split`; None when the runner did not report it."""
        part = self.splits.get(split)
        return part.values.get(metric) if part else None


class Metrics(Typed):
    """`final`: after the last epoch; `best`: after the one that the runner chose."""

    final: EpochMetrics | None = None
    best: EpochMetrics | None = None


class Divergence(Typed):
    """Where the loss was first not finite: epoch and step from 1; step 0 is the evaluation after the epoch."""

    epoch: Whole
    step: Whole


class Builtin(Typed):
    """The trainer of this package; the record's provenance says which version of it."""

    kind: Literal["builtin"] = "builtin"


class Program(Typed):
    """Any other program: its command line, and its code.

    `code_sha256`: declared file → digest; `commit`: of its repository; `dirty`: whether its files differ from that.
    """

    kind: Literal["program"] = "program"
    command: str
    code_sha256: dict[str, Checksum] = {}
    commit: str | None = None
    dirty: bool | None = None


class Provenance(Typed):
    """Code, packages and device; what a program does not know of itself is absent."""

    renorm: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    python: str | None = None
    packages: dict[str, str | None] = {}
    cuda: str | None = None
    cudnn: str | None = None
    device: str | None = None
    host_cpus: Whole | None = None
    threads: Whole | None = None
    precision: str | None = None
    deterministic: bool | None = None


class Normalisation(Typed):
    """What was subtracted from and divided out of the inputs, per channel, of pixels on the scale 0 to 1."""

    mean: Annotated[list[Finite], Field(strict=False)]
    std: Annotated[list[Finite], Field(strict=False)]


class Seconds(Typed):
    """Wall-clock seconds of a run, over all resumes; what was not measured is absent."""

    setup: NotNegative | None = None
    train: NotNegative | None = None
    test: NotNegative | None = None

    @property
    def total(self) -> float:
        return sum(part or 0.0 for part in (self.setup, self.train, self.test))


class Usage(Typed):
    """Where the run's last process worked and what it needed: host, number of its cluster job, peak memory in MB of the
    process (or of its largest child) and, of the GPU, of what PyTorch allocated on the first one."""

    host: str | None = None
    job: str | None = None
    peak_memory_mb: NotNegative | None = None
    peak_gpu_memory_mb: NotNegative | None = None


class Record(Typed):
    """One run of one cell, finished or diverged.

    `code`: axis → digest of code that is not part of renorm (`renorm.core.code_digest`); `built_in_code`: digest of the
    code of renorm that made the numbers, whose meaning `protocol` numbers; `converted`: of a recording in an earlier
    form, what it does not carry and how that was completed.
    """

    format: Literal[2] = 2
    cell: CellField
    protocol: Whole
    hyperparameters: dict[str, Any]
    runner: Annotated[Builtin | Program, Field(discriminator="kind")]
    status: Literal["completed", "diverged"]
    diverged: Divergence | None = None
    epochs_completed: Whole
    metrics: Metrics
    step_losses: list[Finite | None] = []
    normalisation: Normalisation | None = None
    parameters: Whole | None = None
    weights_sha256: Checksum | None = None
    data_sha256: Checksum | None = None
    code: dict[str, Checksum] = {}
    built_in_code: Checksum | None = None
    provenance: Provenance
    seconds: Seconds = Seconds()
    usage: Usage = Usage()
    resumes: Whole = 0
    places: list[str] = []
    converted: str | None = None
    started: str
    finished: str
    history_sha256: Checksum

    @model_validator(mode="after")
    def _status_and_metrics_agree(self) -> "Record":
        if (self.status == "completed") != (self.metrics.final is not None):
            found = "there" if self.metrics.final else "missing"
            raise ValueError(
                f"status: {self.status} and metrics.final is {found}: completed runs have one, diverged none"
            )
        return self


def schema() -> dict:
    """The JSON schema of run.json, whose `checksum` is that of everything else in it."""
    found = Record.model_json_schema()
    found["properties"]["checksum"] = {"type": "string", "pattern": "^[0-9a-f]{64}$",
                                       "description": "SHA-256 of the document without this key, as JSON with sorted "
                                       "keys and the separators ', ' and ': ', in ASCII"}  # fmt: skip
    found["required"] += ["checksum", "format"]
    return found


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def digest(text: str) -> str:
    """SHA-256 of a history, for the record's `history_sha256`."""
    return hashlib.sha256(text.encode()).hexdigest()


def history_csv(rows: Sequence[Mapping[str, float]]) -> str:
    """The per-epoch table: epoch, lr where it is known, and `<split>_<metric>`, `<split>_seconds`.

    Numbers are in the shortest form that reads back as the same float; seconds are in milliseconds' precision. A run
    without a history has the column `epoch` and no row.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["epoch"]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: round(value, 3) if key.endswith("_seconds") else value for key, value in row.items()})
    return out.getvalue()


def write(folder: Path, record: Record, history: str) -> Path:
    """Write history.csv, then run.json, which has its checksum; returns run.json's path.

    Raises:
        ValueError: `record.history_sha256` is not that of `history`.
        RenormError: the disk does not take them.
    """
    if record.history_sha256 != digest(history):
        raise ValueError("the record is of another history")
    write_atomic(folder / HISTORY, history)
    write_sealed(folder / RECORD, record.model_dump(mode="json"))
    return folder / RECORD


def read(path: str | Path) -> Record:
    """The record at `path`; raises `RenormError` when it is missing, damaged, or not what a record must be."""
    hint = "remove it and train the cell again"
    return validated(read_sealed(path, hint), str(path), hint)


def validated(document: dict, where: str, hint: str = "restore the file") -> Record:
    """The record in a document whose checksum was found right; `RenormError` when it is not what one must be."""
    if document.get("format") != FORMAT:
        raise RenormError(
            f"{where}: format: {document.get('format')!r}: expected a run record of format {FORMAT}; {hint}"
        )
    values = {key: value for key, value in document.items() if key != "checksum"}
    return validate_model(Record, values, f"{where}: {hint}")


def check_history(folder: Path, record: Record) -> bytes:
    """The bytes of history.csv beside the record; `RenormError` when its checksum is not the record's."""
    path = folder / HISTORY
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}; train the cell again") from None
    if hashlib.sha256(text).hexdigest() != record.history_sha256:
        raise RenormError(f"{path}: checksum does not match run.json: train the cell again")
    return text


def read_history(folder: Path, record: Record) -> list[dict[str, str]]:
    """The rows of history.csv beside the record, as they are written: numbers, or empty where there is none.

    Raises `RenormError` when its checksum is not the record's, or a column or value is not that of a history.
    """
    return history_rows(check_history(folder, record), str(folder / HISTORY))


def history_rows(text: bytes, path: str) -> list[dict[str, str]]:
    """The rows of a history; `RenormError` that names `path` for a column or value that is not that of a history."""
    reader = csv.DictReader(io.StringIO(text.decode(errors="replace")))
    for name in reader.fieldnames or ():
        if name not in ("epoch", "lr") and not COLUMN.fullmatch(name):
            raise RenormError(f"{path}:1: {name!r}: unknown column: expected epoch, lr or <split>_<metric>")
    rows = []
    for row in reader:
        for name, value in row.items():
            if name is None or value is None or not _is_number(value):
                raise RenormError(
                    f"{path}:{reader.line_num}: {name or 'row'}: expected a finite number (found {value!r})"
                )
        rows.append(row)
    return rows


def _is_number(text: str) -> bool:
    """Whether the cell of a history is empty or a finite number."""
    try:
        return not text or math.isfinite(float(text))
    except ValueError:
        return False


def best(rows: Sequence[Mapping[str, float]], metric: Metric = METRICS[TOP1]) -> Mapping[str, float] | None:
    """The row with the best test value of `metric`; the earliest of equals, None where no row has one."""
    column = f"test_{metric.name}"
    known = [row for row in rows if column in row]
    return max(known, key=lambda row: (metric.gain(row[column], 0), -row["epoch"]), default=None)


def measured(row: Mapping[str, float] | None, images: Mapping[str, int]) -> EpochMetrics | None:
    """One row of the history as the record's `metrics` have it; `images`: split → number of its examples."""
    if row is None:
        return None
    splits: dict[str, dict[str, float]] = {}
    for key, value in row.items():
        split, _, metric = key.partition("_")
        if COLUMN.fullmatch(key) and metric != SECONDS:
            splits.setdefault(split, {})[metric] = value
    return EpochMetrics.model_validate(
        {"epoch": row["epoch"], "splits": {s: {"values": v, "n": images.get(s)} for s, v in splits.items()}}
    )


def step_losses(losses: Sequence[float]) -> list[float | None]:
    """The losses of the first steps as JSON has them: a step without a finite one holds None."""
    return [loss if math.isfinite(loss) else None for loss in losses]


def finite(*values: float) -> bool:
    return all(math.isfinite(value) for value in values)
