"""A table of runs as the audit sees it: typed rows that keep their line numbers; nothing is refused for its value."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from renorm.core.errors import RenormError, suggest
from renorm.judging.labels import Labels
from renorm.study.claims import ACCURACIES
from renorm.study.known_datasets import SIZES

NEEDED = ("dataset", "arch", "norm", "epochs", "value")
OPTIONAL = (
    "source", "recipe", "attempt", "metric", "split", "selection", "unit", "n", "n_images", "train_seconds",
    "test_seconds", "epochs_completed", "status", "table", "page", "note", "seed",
)  # fmt: skip
NUMBERS = ("epochs", "value", "n", "n_images", "train_seconds", "test_seconds", "epochs_completed")
AVERAGE_WORDS = frozenset({"mean", "average", "avg"})


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or odd: what kind, where (line numbers of the file), and a plain sentence."""

    kind: str
    rows: tuple[int | str, ...]
    sentence: str
    source: str = ""
    dataset: str = ""
    arch: str = ""
    norm: str = ""
    epochs: int | None = None


@dataclass(frozen=True)
class Row:
    """One accuracy of one run, or an average of several. `row` is its line, with the file's name if there are many."""

    row: int | str
    source: str
    dataset: str
    arch: str
    norm: str
    recipe: str
    epochs: int
    attempt: str
    metric: str
    split: str
    selection: str
    value: float
    unit: str
    resolution: float  # half a unit of the last digit written
    n: int | None
    n_images: int | None
    status: str
    train_seconds: float | None
    test_seconds: float | None

    @property
    def is_average(self) -> bool:
        return self.attempt.lower() in AVERAGE_WORDS or (not self.attempt and (self.n or 1) > 1)

    @property
    def fraction(self) -> float:
        return self.value / 100 if self.unit == "percent" else self.value

    @property
    def cell(self) -> tuple:
        return (self.source, self.dataset, self.arch, self.norm, self.recipe, self.epochs)

    @property
    def kind(self) -> tuple:
        return (self.metric, self.split, self.selection)

    @property
    def images(self) -> int | None:
        return self.n_images or _test_images(self.dataset, self.split)


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


@dataclass(frozen=True)
class Table:
    """Everything the checks need: accuracies, seconds, published values, and who is held against whom."""

    accuracies: list[Row]
    times: list[Time]
    claims: list[pd.DataFrame] = field(default_factory=list)
    baseline: str = ""
    method: str = ""
    labels: Labels = field(default_factory=Labels)

    def names(self, cell: tuple) -> list[str]:
        """A cell's names as the study prints them, its source aside."""
        _, dataset, arch, norm, recipe, epochs = cell
        return [self.labels.dataset(dataset), self.labels.arch(arch), self.labels.norm(norm), recipe, str(epochs)]

    def finding(self, kind: str, rows: Iterable[int | str], cell: tuple, sentence: str) -> "Finding":
        """A finding about one cell; the sentence begins with its name."""
        source, dataset, arch, norm, _, epochs = cell
        name = f"{' '.join(self.names(cell)[:3])} after {epochs} epoch{'s' * (epochs != 1)}"
        return Finding(kind, tuple(sorted(set(rows))), f"{name}: {sentence}", source, dataset, arch, norm, epochs)

    @property
    def runs(self) -> list[Row]:
        """The accuracies of single finished runs."""
        return [r for r in self.accuracies if not r.is_average and r.status != "diverged"]

    def by_cell(self) -> dict[tuple, list[Row]]:
        """(cell, metric, split, selection) → its runs."""
        return grouped(self.runs, lambda r: (r.cell, r.kind))


def grouped(items: Iterable, key) -> dict[Any, list]:
    found = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def load_runs_csv(path: str | Path) -> pd.DataFrame:
    """A table of runs as text, with the line of each row in `line`; only its shape is checked here."""
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise RenormError(f"{path}: is not readable as CSV: {error}: save it as UTF-8 text with commas") from None
    for line, cells in rows:
        if len(cells) != len(header):
            raise RenormError(f"{path}:{line}: {len(cells)} fields where the header has {len(header)}: check commas")
    frame = pd.DataFrame([[c.strip() for c in cells] for _, cells in rows], columns=header, dtype=str)
    frame["line"] = [line for line, _ in rows]
    _check_numbers(path, frame)
    return frame


def _check_header(path: Path, header: list[str]) -> None:
    known = (*NEEDED, *OPTIONAL)
    for name in header:
        if name not in known:
            raise RenormError(f"{path}:1: unknown column '{name}': {suggest(name, known)}")
        if header.count(name) > 1:
            raise RenormError(f"{path}:1: column '{name}' stands twice: remove one")
    for name in NEEDED:
        if name not in header:
            raise RenormError(f"{path}:1: column '{name}' is missing: add it")


def _check_numbers(path: Path, frame: pd.DataFrame) -> None:
    for name in set(NUMBERS) & set(frame.columns):
        for line, text in zip(frame["line"], frame[name], strict=True):
            if text and _number(text) is None:
                raise RenormError(f"{path}:{line}: {name}: '{text}' is not a number: write a plain decimal")
    for line, text in zip(frame["line"], frame["epochs"], strict=True):
        if not _number(text) or _number(text) < 1 or _number(text) % 1:
            raise RenormError(f"{path}:{line}: epochs: '{text}' is not a whole number from 1 on")


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def prepare(
    frame: pd.DataFrame, claims: list[pd.DataFrame], baseline: str = "", method: str = "", labels: Labels | None = None
) -> Table:
    """The typed table of any frame with the needed columns, text or numbers, ours or somebody else's."""
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise RenormError(f"column '{missing[0]}' is missing: a table of runs needs {', '.join(NEEDED)}")
    many = "file" in frame and frame["file"].nunique() > 1
    records = [_record(record, line, many) for line, record in enumerate(frame.to_dict("records"), 2)]
    seconds = _seconds(records)
    unit = _usual_unit(records)
    accuracies = [
        _row(record, seconds.get((record["cell"], record["attempt"])), unit)
        for record in records
        if record["metric"] in ACCURACIES and record["value"] is not None
    ]
    return Table(
        accuracies, sorted(seconds.values(), key=lambda t: t.row), claims, baseline, method, labels or Labels()
    )


def _record(raw: dict[str, Any], line: int, many_files: bool) -> dict[str, Any]:
    """One row with every column there is: text or empty text, number or None."""
    record: dict[str, Any] = {}
    for name in (*NEEDED, *OPTIONAL):
        value = raw.get(name)
        absent = value is None or value is pd.NA or value != value or value == ""
        record[name] = (None if absent else _number(value)) if name in NUMBERS else ("" if absent else str(value))
    written = raw["value"]
    record["written"] = written if isinstance(written, str) else repr(_number(written))
    record["metric"] = record["metric"] or "top1"
    record["split"] = record["split"] or "unstated"
    record["attempt"] = record["attempt"] or record["seed"]
    line = int(raw.get("line") or line)
    record["row"] = f"{Path(raw['file']).name}:{line}" if many_files else line
    keys = ("source", "dataset", "arch", "norm", "recipe")
    record["cell"] = (*(record[key] for key in keys), int(record["epochs"] or 0))
    return record


def _seconds(records: list[dict[str, Any]]) -> dict[tuple, Time]:
    """(cell, attempt) → its seconds, from columns beside an accuracy or from rows of their own."""
    found: dict[tuple, dict[str, Any]] = {}
    for record in records:
        time = found.setdefault(
            (record["cell"], record["attempt"]), {"train": None, "test": None, "row": record["row"]}
        )
        done = record["epochs_completed"]
        time |= {"epochs_completed": int(done) if done else None, "status": record["status"]}
        if record["metric"] == "seconds":
            time["test" if record["split"] == "test" else "train"] = record["value"]
            time["row"] = time["row"] if record["split"] == "test" else record["row"]
        for split in ("train", "test"):
            if record[f"{split}_seconds"] is not None:
                time[split] = record[f"{split}_seconds"]
    return {key: Time(cell=key[0], attempt=key[1], **time) for key, time in found.items()}


def _usual_unit(records: list[dict[str, Any]]) -> str:
    """The unit of rows that name none: percent when half of the accuracies are above 1."""
    values = sorted(r["value"] for r in records if r["metric"] in ACCURACIES and r["value"] is not None)
    return "percent" if values and values[len(values) // 2] > 1 else "fraction"


def _row(record: dict[str, Any], time: Time | None, usual_unit: str) -> Row:
    source, dataset, arch, norm, recipe, epochs = record["cell"]
    return Row(
        record["row"], source, dataset, arch, norm, recipe, epochs, record["attempt"], record["metric"],
        record["split"], record["selection"], record["value"], record["unit"] or usual_unit,
        _resolution(record["written"]), int(record["n"]) if record["n"] else None,
        int(record["n_images"]) if record["n_images"] else None, record["status"],
        time.train if time else None, time.test if time else None,
    )  # fmt: skip


def _resolution(written: str) -> float:
    """Half a unit of the last digit written: 93.2 stands for 93.15 to 93.25."""
    mantissa, _, exponent = written.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - digits)


def _test_images(dataset: str, split: str) -> int | None:
    """Images in the test split of a built-in data set; a column `n_images` has precedence over it."""
    return SIZES[dataset].test if dataset in SIZES and split != "train" else None
