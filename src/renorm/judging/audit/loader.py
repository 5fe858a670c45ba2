"""A table of runs as the audit sees it: typed rows that keep their line numbers; nothing is refused for its value."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import METRICS, TOP1, Metric, Metrics
from renorm.core.tables import read_cells
from renorm.judging.audit import words
from renorm.judging.audit.granularity import resolution
from renorm.study.known_datasets import SIZES
from renorm.study.labels import Labels

NEEDED = ("dataset", "arch", "norm", "epochs", "value")
# What must be the same for all runs of a cell, where it is written down.
SAME_IN_A_CELL = ("parameters", "code_sha256", "commit", "data_sha256")
OPTIONAL = (
    "source", "recipe", "attempt", "metric", "split", "selection", "unit", "sd", "ci_low", "ci_high", "n", "n_images",
    "train_seconds", "test_seconds", "epochs_completed", "status", "table", "page", "note", "seed", *SAME_IN_A_CELL,
)  # fmt: skip
NUMBERS = ("epochs", "value", "sd", "ci_low", "ci_high", "n", "n_images", "train_seconds", "test_seconds",
           "epochs_completed")  # fmt: skip
NOT_CHECKED = "not_checked"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or odd: what kind, where (line numbers of the file), and a plain sentence.

    A finding of the kind `not_checked` says which check could not be made, and why; it accuses nobody.
    """

    kind: str
    rows: tuple[int | str, ...]
    sentence: str
    source: str = ""
    dataset: str = ""
    arch: str = ""
    norm: str = ""
    recipe: str = ""
    epochs: int | None = None


@dataclass(frozen=True)
class Row:
    """One value of one run, or an average of several. `row` is its line, with the file's name if there are many."""

    row: int | str
    source: str
    dataset: str
    arch: str
    norm: str
    recipe: str
    epochs: int
    attempt: str  # of a single run; "mean" of an average, "" where the table does not say
    measure: Metric
    split: str
    selection: str
    value: float
    text: str  # the value as written
    unit: str
    sd: str  # as written, "" where there is none
    n: int | None
    n_images: int | None
    status: str
    train_seconds: float | None
    test_seconds: float | None

    @property
    def is_average(self) -> bool:
        return self.attempt == "mean" or (not self.attempt and (self.n or 1) > 1)

    @property
    def metric(self) -> str:
        return self.measure.name

    @cached_property
    def scale(self) -> Fraction:
        """What the written value is divided by: 100 where it is in percent."""
        return Fraction(self.measure.accepted[self.unit])

    @property
    def in_range(self) -> bool:
        """Whether the metric can have the value."""
        lower, upper = self.measure.lower, self.measure.upper
        return (lower is None or self.fraction >= lower) and (upper is None or self.fraction <= upper)

    @cached_property
    def fraction(self) -> float:
        """The value in the metric's own unit, a fraction of 1 of an accuracy."""
        return self.value / float(self.scale)

    @cached_property
    def resolution(self) -> float:
        """Half a unit of the last digit written, as a fraction of 1."""
        return float(resolution(self.text) / self.scale)

    @cached_property
    def exact(self) -> Fraction:
        """The value as written, as a fraction of 1."""
        return Fraction(self.text) / self.scale

    @cached_property
    def cell(self) -> tuple:
        return (self.source, self.dataset, self.arch, self.norm, self.recipe, self.epochs)

    @cached_property
    def kind(self) -> tuple:
        return (self.metric, self.split, self.selection)

    @property
    def images(self) -> int | None:
        """Images of the split that the value was measured on; of the test split where none is stated."""
        if not self.measure.granular:
            return None
        if self.n_images or self.dataset not in SIZES:
            return self.n_images
        return SIZES[self.dataset].test if self.split != "train" else None

    @property
    def printed(self) -> str:
        """The value as a sentence prints it."""
        return f"{self.text} %" if self.unit == "percent" else self.text


@dataclass(frozen=True)
class Time:
    """The seconds of one run (attempt) or of an average (no attempt)."""

    row: int | str
    cell: tuple
    attempt: str
    train: float | None
    test: float | None
    epochs_completed: int | None
    status: str

    @property
    def epochs(self) -> int:
        return self.epochs_completed or self.cell[5]

    @property
    def is_run(self) -> bool:
        return self.attempt not in ("", "mean") and self.status == "completed"


@dataclass(frozen=True, eq=False)  # its own identity, so that what two checks need can be kept for it
class Table:
    """Everything the checks need: values, seconds, published values, and who is compared with whom."""

    values: list[Row]  # of every metric but seconds
    seconds: list[Row]  # values of rows of their own, as printed
    times: list[Time]
    # (dataset, arch, norm, epochs, metric) → source and value
    claims: dict[tuple, tuple[str, float]] = field(default_factory=dict)
    baseline: str = ""
    method: str = ""
    labels: Labels = field(default_factory=Labels)
    # cell → column of SAME_IN_A_CELL → value → rows
    provenance: dict[tuple, dict[str, dict[str, list]]] = field(default_factory=dict)
    # Rows that no check looks at: what they hold → rows.
    unread: dict[str, list] = field(default_factory=dict)

    def names(self, cell: tuple) -> list[str]:
        """A cell's names as the study prints them, its source aside; the recipe only where there are several."""
        _, dataset, arch, norm, recipe, epochs = cell
        named = [self.labels.of("dataset", dataset), self.labels.of("arch", arch), self.labels.of("norm", norm)]
        return [*named, *([recipe] if recipe and self.several_recipes else []), in_epochs(epochs)]

    @cached_property
    def several_recipes(self) -> bool:
        return len({row.recipe for row in self.values} | {time.cell[4] for time in self.times}) > 1

    def finding(self, kind: str, rows: Iterable[int | str], cell: tuple, sentence: str) -> "Finding":
        """A finding about one cell; the sentence begins with its name."""
        source, dataset, arch, norm, recipe, epochs = cell
        name = ", ".join(filter(None, self.names(cell)))
        return Finding(kind, in_order(rows), f"{name}: {sentence}", source, dataset, arch, norm, recipe, epochs)

    @cached_property
    def leading(self) -> str:
        """The metric that identifies runs: top-1 where it is there, else the first one."""
        names = list(dict.fromkeys(r.metric for r in self.values))
        return TOP1 if TOP1 in names or not names else names[0]

    @cached_property
    def accuracies(self) -> list[Row]:
        """The values that are shares of images."""
        return [r for r in self.values if r.measure.granular]

    @cached_property
    def runs(self) -> list[Row]:
        """The values of single finished runs."""
        return _of_runs(self.values)

    @cached_property
    def by_cell(self) -> dict[tuple, list[Row]]:
        """(cell, metric, split, selection) → its runs."""
        return grouped(self.runs, lambda r: (r.cell, r.kind))

    @cached_property
    def with_seconds(self) -> dict[tuple, list[Row]]:
        """`by_cell`, with the seconds that have rows of their own."""
        return {**self.by_cell, **grouped(_of_runs(self.seconds), lambda r: (r.cell, r.kind))}

    @cached_property
    def claimed(self) -> list[tuple[list[Row], float]]:
        """The rows of each cell and kind that somebody else claims, with the claim; training values answer none."""
        usable = [r for r in self.accuracies if r.status == "completed" and r.split != "train"]
        found = []
        for (cell, kind), rows in grouped(usable, lambda r: (r.cell, r.kind)).items():
            source, value = self.claims.get((cell[1], cell[2], cell[3], cell[5], kind[0]), (None, None))
            if value is not None and (source != cell[0] or not source):
                found.append((rows, value))
        return found


def _of_runs(rows: list[Row]) -> list[Row]:
    return [r for r in rows if not r.is_average and r.status == "completed"]


def in_epochs(epochs: int) -> str:
    return counted(epochs, "epoch")


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def in_order(rows: Iterable[int | str]) -> tuple[int | str, ...]:
    """Each row once, by file and line."""

    def place(row: int | str) -> tuple[str, int]:
        file, _, line = str(row).rpartition(":")
        return file, int(line)

    return tuple(sorted(set(rows), key=place))


def grouped(items: Iterable, key) -> dict[Any, list]:
    found = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def load_runs_csv(path: str | Path) -> pd.DataFrame:
    """A table of runs as text, with the line of each row in `line`; only its shape is checked here.

    Raises:
        RenormError: `file:line: ...` for a file that is not a table of runs.
    """
    path = Path(path)
    header, rows = read_cells(path, check=lambda names: _check_header(path, names))
    if not rows:
        raise RenormError(f"{path}: has a header and no row: there is nothing to audit")
    frame = pd.DataFrame([[c.strip() for c in cells] for _, cells in rows], columns=header, dtype=str)
    frame["line"] = [line for line, _ in rows]
    frame["file"] = str(path)
    _check_numbers(path, frame)
    return frame


def as_written(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a checked and normalised `frame` as their files have them: text, units and digits.

    Args:
        frame: rows of claims or of a study's runs, with `file` and `line`.
    """
    parts = []
    for file, rows in frame.groupby("file", sort=False):  # one that is empty has no rows to read
        raw = load_runs_csv(file)
        parts.append(raw[raw["line"].isin(rows["line"])])
    return pd.concat(parts, ignore_index=True) if parts else frame


def _check_header(path: Path, header: list[str]) -> None:
    known = (*NEEDED, *OPTIONAL)
    for column in header:
        if column not in known:
            raise RenormError(f"{path}:1: unknown column '{column}': {suggest(column, known)}")
    for column in NEEDED:
        if column not in header:
            raise RenormError(f"{path}:1: column '{column}' is missing: add it")


def _check_numbers(path: Path, frame: pd.DataFrame) -> None:
    for name in set(NUMBERS) & set(frame.columns):
        for line, text in zip(frame["line"], frame[name], strict=True):
            if text and _number(text) is None:
                raise RenormError(f"{path}:{line}: {name}: '{text}' is not a number: write a plain decimal")
    for line, text in zip(frame["line"], frame["epochs"], strict=True):
        number = _number(text)
        if not number or number < 1 or number % 1:
            raise RenormError(f"{path}:{line}: epochs: '{text}' is not a whole number from 1 on")


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def prepare(
    frame: pd.DataFrame,
    claims: list[pd.DataFrame],
    baseline: str = "",
    method: str = "",
    labels: Labels | None = None,
    metrics: Metrics = METRICS,
) -> Table:
    """The typed table of any frame with the needed columns, text or numbers, ours or somebody else's."""
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise RenormError(f"column '{missing[0]}' is missing: a table of runs needs {', '.join(NEEDED)}")
    spellings = {axis: _spellings(claims, axis) for axis in ("dataset", "arch", "norm")}
    many = "file" in frame and frame["file"].nunique() > 1
    records = [
        _record(record, line, many, spellings, metrics) for line, record in enumerate(frame.to_dict("records"), 2)
    ]
    unread = grouped([r for r in records if r["attempt"] == "other"], lambda r: "other summaries than mean and SD")
    spreads = {_identity(r): r["written"] for r in records if r["attempt"] == "sd"}
    records = [r for r in records if r["attempt"] not in ("other", "sd")]
    _mark_averages(records)
    times = _times(records)
    unit = _usual_unit(records)
    rows = [
        _row(record, times.get((record["cell"], record["attempt"])), unit, spreads)
        for record in records
        if record["value"] is not None
    ]
    seconds = [row for row in rows if row.measure.is_time]
    values = [row for row in rows if not row.measure.is_time]
    return Table(
        values, seconds, list(times.values()), _claims(claims, metrics), baseline, method, labels or Labels(),
        _provenance(records), {what: [r["row"] for r in rows] for what, rows in unread.items()},
    )  # fmt: skip


def _claims(frames: list[pd.DataFrame], metrics: Metrics) -> dict[tuple, tuple[str, float]]:
    """(dataset, arch, norm, epochs, metric) → source and value; the mean where there are attempts."""
    found: dict[tuple, tuple[str, list[float], list[float]]] = {}
    for frame in frames:
        wanted = frame[frame.metric.isin(metrics.accuracies) & (frame.split != "train") & frame.value.notna()]
        for row in wanted.to_dict("records"):
            key = (row["dataset"], row["arch"], row["norm"], int(row["epochs"]), row["metric"])
            source, averages, attempts = found.setdefault(key, (row["source"], [], []))
            if source == row["source"]:
                (averages if pd.isna(row.get("attempt")) else attempts).append(float(row["value"]))
    return {
        key: (source, statistics.fmean(attempts) if attempts else averages[0])
        for key, (source, averages, attempts) in found.items()
    }


def _spellings(claims: list[pd.DataFrame], axis: str) -> dict[str, str]:
    """Squeezed name → name in the claims; a spelling that fits two names fits none."""
    names = {name for frame in claims for name in frame[axis].unique()}
    several = Counter(map(words.squeezed, names))
    return {words.squeezed(name): name for name in names if several[words.squeezed(name)] == 1}


def _record(
    raw: dict[str, Any], line: int, many_files: bool, spellings: dict[str, dict[str, str]], metrics: Metrics
) -> dict[str, Any]:
    """One row with every column there is: text or empty text, number or None; its words are ours."""
    record: dict[str, Any] = {}
    for name in (*NEEDED, *OPTIONAL):
        value = raw.get(name)
        absent = value is None or value is pd.NA or value != value or value == ""
        record[name] = (None if absent else _number(value)) if name in NUMBERS else ("" if absent else str(value))
        if name in ("value", "sd"):
            record[f"written_{name}"] = "" if absent else value if isinstance(value, str) else repr(_number(value))
    record["written"] = record["written_value"]
    line = int(raw.get("line") or line)
    where = f"{raw['file']}:{line}" if raw.get("file") else f"row {line}"
    for column in words.CLOSED:
        record[column] = words.closed(where, column, record[column]) if record[column] else ""
    measure = words.metric(where, record["metric"] or TOP1, metrics)
    record["metric"], record["measure"] = measure.name, measure
    record["unit"] = words.unit(where, record["unit"], measure) if record["unit"] else ""
    record["split"] = record["split"] or "unstated"
    record["selection"] = record["selection"] or "unstated"
    record["status"] = record["status"] or "completed"
    record["attempt"] = words.attempt(where, record["attempt"] or record["seed"])
    record["dataset"] = words.dataset(record["dataset"], spellings["dataset"])
    for axis in ("arch", "norm"):
        record[axis] = spellings[axis].get(words.squeezed(record[axis]), record[axis])
    record["row"] = f"{Path(raw['file']).name}:{line}" if many_files else line
    keys = ("source", "dataset", "arch", "norm", "recipe")
    record["cell"] = (*(record[key] for key in keys), int(record["epochs"] or 0))
    return record


def _identity(record: dict[str, Any]) -> tuple:
    return (record["cell"], record["metric"], record["split"], record["selection"])


def _mark_averages(records: list[dict[str, Any]]) -> None:
    """A value without attempt and n, beside several attempts of the same number, is their average."""
    attempts = {_identity(r) for r in records if r["attempt"] not in ("", "mean")}
    for record in records:
        if not record["attempt"] and record["n"] is None and _identity(record) in attempts:
            record["attempt"] = "mean"


def _times(records: list[dict[str, Any]]) -> dict[tuple, Time]:
    """(cell, attempt) → its seconds, from columns beside an accuracy or from rows of their own."""
    found: dict[tuple, dict[str, Any]] = {}
    for record in records:
        time = found.setdefault(
            (record["cell"], record["attempt"]), {"train": None, "test": None, "row": record["row"]}
        )
        done = record["epochs_completed"]
        time |= {"epochs_completed": int(done) if done else None, "status": record["status"]}
        if record["measure"].is_time:
            divisor = record["measure"].accepted[record["unit"] or "s"]
            seconds = None if record["value"] is None else record["value"] / divisor
            time["test" if record["split"] == "test" else "train"] = seconds
            time["row"] = time["row"] if record["split"] == "test" else record["row"]
        for split in ("train", "test"):
            if record[f"{split}_seconds"] is not None:
                time[split] = record[f"{split}_seconds"]
    return {key: Time(cell=key[0], attempt=key[1], **time) for key, time in found.items()}


def _provenance(records: list[dict[str, Any]]) -> dict[tuple, dict[str, dict[str, list]]]:
    found: dict[tuple, dict[str, dict[str, list]]] = {}
    for record in records:
        for column in SAME_IN_A_CELL:
            if record[column]:
                values = found.setdefault(record["cell"], {}).setdefault(column, {})
                values.setdefault(record[column], []).append(record["row"])
    return found


def _usual_unit(records: list[dict[str, Any]]) -> str:
    """The unit of rows that name none: percent when half of the accuracies are above 1."""
    values = sorted(r["value"] for r in records if r["measure"].granular and r["value"] is not None)
    return "percent" if values and values[len(values) // 2] > 1 else "fraction"


def _row(record: dict[str, Any], time: Time | None, usual_unit: str, spreads: dict[tuple, str]) -> Row:
    source, dataset, arch, norm, recipe, epochs = record["cell"]
    n = int(record["n"]) if record["n"] else None
    average = record["attempt"] == "mean" or (not record["attempt"] and (n or 1) > 1)
    spread = spreads.get(_identity(record), "") if average else ""
    measure = record["measure"]
    unit = usual_unit if measure.granular else measure.unit
    return Row(
        record["row"], source, dataset, arch, norm, recipe, epochs, record["attempt"], measure,
        record["split"], record["selection"], record["value"], record["written"], record["unit"] or unit,
        record["written_sd"] or spread, n, int(record["n_images"]) if record["n_images"] else None, record["status"],
        time.train if time else None, time.test if time else None,
    )  # fmt: skip
