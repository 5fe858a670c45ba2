"""What was published, read from a claims folder: `source.yaml`, one CSV a table, `statements.yaml`.

Every number is checked on the way in and normalised (percent become fractions of 1), so that nobody behind this module
has to think about units or misprints again. The columns are those of docs/tables.md.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, PrivateAttr, model_validator

from renorm.core.errors import RenormError, suggest
from renorm.core.files import sha256
from renorm.core.metrics import METRICS, Metric, Metrics
from renorm.core.table_specs import GROUP, MEASUREMENTS
from renorm.core.tables import read_cells
from renorm.core.validation import read_yaml, validate_model
from renorm.study.cell import NAME
from renorm.study.fields import Typed

COLUMNS = tuple(column.name for column in MEASUREMENTS)
OPTIONAL = frozenset(column.name for column in MEASUREMENTS if column.optional)
# What reading adds: where a row is from, and one unit of the last place that its value was printed with.
READ = ("file", "line", "resolution")
IDENTITY = ("source", *GROUP, "attempt", "metric", "split", "selection")
NAMES = ("source", "dataset", "arch", "norm", "recipe")

WORDS = {
    "split": ("train", "validation", "test", "unstated"),
    "selection": ("final", "best", "unstated"),
    "status": ("", "completed", "diverged"),
}
# Whole numbers: the least one, and whether it must be there.
WHOLE = {
    "epochs": (1, True), "attempt": (0, False), "n": (1, False), "n_images": (1, False), "epochs_completed": (0, False),
}  # fmt: skip
# Printed confidence intervals are taken to be t intervals of this level.
CI_LEVEL = 0.95
# Names from this similarity on (difflib's ratio) are taken for one name with a typing error.
TYPING_ERROR = 0.8
# The columns that make a row of claims: several attempts at one of these are one claim with a spread.
CLAIM = (*GROUP, "metric", "split", "selection")
# The format and the name of coreutils' sha256sum.
SUMS = "SHA256SUMS"
# Diverged runs have no loss to write down; every other value must be a plain decimal number.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


Text = Annotated[str, Field(min_length=1)]


class Source(Typed):
    """Metadata of a source (source.yaml)."""

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    label: Text
    title: Text
    kind: Literal["original", "reproduction"]
    authors: str = ""
    year: int | None = None
    url: str = ""
    note: str = ""
    # Whether the column `attempt` has seeds: runs of one number then share data order and initialisation.
    attempts: Literal["numbers", "seeds"] = "numbers"

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, values: Any) -> Any:
        """A key without a value is a key that is not there."""
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


class Statement(Typed):
    """A published sentence that can be checked: the name of a check and its parameters, no code."""

    id: Text
    text: Text
    place: Text
    check: Text
    parameters: dict[str, Any] = {}
    note: str = ""
    quote: bool = True
    scope: Literal["any", "own"] = "any"
    headline: bool = False
    comparison: str = ""
    _source: str = PrivateAttr("")

    @property
    def source(self) -> str:
        """The name of the folder's source."""
        return self._source


@dataclass(frozen=True)
class Claims:
    """One source with its numbers (`frame`: docs/tables.md plus `file` and `line`) and its sentences."""

    source: Source
    frame: pd.DataFrame
    statements: tuple[Statement, ...] = ()


def load_claims(folder: str | Path, metrics: Metrics = METRICS) -> Claims:
    """The claims in `folder`, validated, of the study's `metrics`.

    Raises:
        RenormError: with file, line, column, value and the way out.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RenormError(f"{folder}: no such claims folder: create it with a source.yaml and one CSV a table")
    check_sums(folder)
    source = load_source(folder / "source.yaml")
    if source.name != folder.resolve().name:
        raise RenormError(f"{folder}/source.yaml: name: '{source.name}' is not the folder's name: make them equal")
    rows = [row for path in sorted(folder.glob("*.csv")) for row in read_rows(path, source.name, metrics)]
    refuse_twice(rows)
    return Claims(source, to_frame(rows), load_statements(folder / "statements.yaml", source.name))


def count_by_cell(claims: Claims) -> Counter:
    """Cell without its seed → how many values are claimed of it: several attempts at one cell are one claim.

    The judgement has one row for each of them and this study.
    """
    rows = claims.frame[[*CLAIM]].drop_duplicates()
    return Counter(rows[[*CLAIM[:5]]].itertuples(index=False, name=None))


@dataclass(frozen=True)
class WithoutCell:
    """How many `of` a source's claims name no cell of a grid, and the line that says so."""

    count: int
    of: int
    line: str


def without_cell(claims: Claims, grid: Collection[tuple]) -> WithoutCell | None:
    """The claims whose cell is not in `grid` (cells without their seed); None where all are.

    The line names the claim that most looks like a typing error of a name that the grid has, else the first.
    """
    rows = claims.frame.drop_duplicates([*CLAIM])
    lost = [row for row in rows.to_dict("records") if tuple(row[axis] for axis in CLAIM[:5]) not in grid]
    if not lost:
        return None
    known = {axis: sorted({str(cell[place]) for cell in grid}) for place, axis in enumerate(CLAIM[:5])}
    found = [(_likeness(row[axis], known[axis]), axis, row) for row in lost for axis in CLAIM[:4]
             if row[axis] not in known[axis]]  # fmt: skip
    (likeness, near), axis, row = max(found, key=lambda entry: entry[0][0], default=((0.0, ""), "", lost[0]))
    where = f"{Path(row['file']).parent.name}/{Path(row['file']).name}:{row['line']}"
    if not axis:
        what = f"'{'/'.join(str(row[axis]) for axis in CLAIM[:5])}' is not planned"
    else:
        hint = f": did you mean '{near}'?" if likeness >= TYPING_ERROR else " is not in it"
        what = f"{axis} '{row[axis]}'{hint}"
    verb = "names" if len(lost) == 1 else "name"
    line = f"{len(lost)} of {len(rows)} claims {verb} no cell of the grid: {where}: {what}"
    return WithoutCell(len(lost), len(rows), line)


def _likeness(name: str, known: Iterable[str]) -> tuple[float, str]:
    """How much the most similar of `known` is like `name`, from 0 to 1, and which that is."""
    return max(((SequenceMatcher(None, name, other).ratio(), other) for other in known), default=(0.0, ""))


def check_sums(folder: Path) -> None:
    """Where the folder has a SHA256SUMS, raise `RenormError` unless its tables and sentences are the ones listed there.

    A damaged digit is still a number: nothing else would tell 93.1 from 93.5.
    """
    if not (folder / SUMS).exists():
        return
    again = f"if that was meant: cd {folder} && sha256sum *.csv *.yaml > {SUMS}"
    try:
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
    except ValueError:
        lines = [""]
    listed = {}
    for line in lines:
        found = re.fullmatch(r"([0-9a-f]{64}) [ *]([^/]+)", line)
        if not found:
            raise RenormError(f"{folder / SUMS}: is not a list of checksums: restore it; {again}")
        listed[found[2]] = found[1]
    here = {path.name: path for pattern in ("*.csv", "*.yaml") for path in folder.glob(pattern)}
    for name in sorted(here.keys() | listed.keys()):
        if name not in here or listed.get(name) != sha256(here[name]):
            change = "is not listed" if name not in listed else "was changed" if name in here else "is gone"
            raise RenormError(f"{folder / name}: {change} since {SUMS} was written; {again}")


def load_source(path: Path) -> Source:
    """The head of a claims folder."""
    return validate_model(Source, read_yaml(path), str(path))


def load_statements(path: Path, source: str) -> tuple[Statement, ...]:
    """The sentences of a source; none when it has no statements.yaml. Which checks exist, `judging` knows."""
    if not path.exists():
        return ()
    values = read_yaml(path)
    if not isinstance(values, list):
        raise RenormError(f"{path}: expected a list of statements (- id: ..., text: ..., check: ...)")
    found = [_statement(path, position, item, source) for position, item in enumerate(values, 1)]
    seen: set[str] = set()
    for statement in found:
        if statement.id in seen:
            raise RenormError(f"{path}: id: '{statement.id}' is a duplicate: give each statement its own")
        seen.add(statement.id)
    return tuple(found)


def _statement(path: Path, position: int, item: Any, source: str) -> Statement:
    name = item.get("id", "no id") if isinstance(item, dict) else "no id"
    statement = validate_model(Statement, item, f"{path}: statement {position} ({name})")
    statement._source = source
    return statement


def read_rows(path: Path, source: str | None = None, metrics: Metrics = METRICS) -> list[dict[str, Any]]:
    """The rows of one CSV in the measurement columns, checked and normalised; `source` must own every row if given."""
    header, rows = read_cells(path, check=lambda header: _check_header(path, header))
    return [read_row(path, line, header, cells, source, metrics) for line, cells in rows]


def checked_header(path: Path) -> list[str]:
    """The columns of a table; raises `RenormError` for one that is unknown or missing."""
    return read_cells(path, check=lambda header: _check_header(path, header))[0]


def _check_header(path: Path, header: list[str]) -> None:
    for column in header:
        if column not in COLUMNS:
            raise RenormError(f"{path}:1: unknown column '{column}': {suggest(column, COLUMNS)}")
    missing = [column for column in COLUMNS if column not in header and column not in OPTIONAL]
    if missing:
        raise RenormError(f"{path}:1: column '{missing[0]}' is missing: add it (docs/tables.md lists them)")


def read_row(
    path: Path, line: int, header: list[str], cells: list[str], source: str | None, metrics: Metrics = METRICS
) -> dict[str, Any]:
    """One row, checked and normalised."""
    where = f"{path}:{line}"
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row.update(zip(header, (cell.strip() for cell in cells), strict=True))
    for column in NAMES:
        if not NAME.fullmatch(row[column]):
            raise RenormError(f"{where}: {column}: '{row[column]}' is not a name: lower-case letters, digits and _ . -")
    if source is not None and row["source"] != source:
        raise RenormError(f"{where}: source: '{row['source']}' is not this folder's source: write '{source}'")
    row["selection"] = row["selection"] or "unstated"
    for column, known in WORDS.items():
        if row[column] not in known:
            raise RenormError(
                f"{where}: {column}: unknown '{row[column]}': {suggest(row[column], filter(None, known))}"
            )
    for column, (least, needed) in WHOLE.items():
        row[column] = _whole(where, column, row[column], least, needed)
    metric = _metric(where, row["metric"], metrics)
    row["metric"] = metric.name
    spread = {column: row[column] for column in ("sd", "ci_low", "ci_high")}
    scale = _scale(where, metric, row["unit"])
    printed, row["value"] = row["value"], _value(where, row, metric)
    row["resolution"] = None if row["value"] is None else _resolution(printed) / scale
    row["unit"] = metric.unit
    row |= _spread(where, row, spread, scale)
    row["file"], row["line"] = str(path), line
    return row


def _metric(where: str, name: str, metrics: Metrics) -> Metric:
    try:
        return metrics.find(name)
    except RenormError as error:
        raise RenormError(f"{where}: {error} (a metric of your own: add it under `metrics:` of the study)") from None


def _scale(where: str, metric: Metric, unit: str) -> float:
    """How many of `unit` are one of the metric's own."""
    if unit not in metric.accepted:
        raise RenormError(f"{where}: unit: unknown '{unit}' of {metric.name}: {suggest(unit, metric.accepted)}")
    return metric.accepted[unit]


def _resolution(text: str) -> float:
    """One unit of the last printed place: 0.01 of 93.25."""
    return 10.0 ** int(Decimal(text).as_tuple().exponent)


def _whole(where: str, column: str, text: str, least: int, needed: bool) -> int | None:
    if not text and not needed:
        return None
    if not re.fullmatch(r"\d{1,10}", text) or int(text) < least:
        raise RenormError(f"{where}: {column}: '{text}' is not a whole number from {least} on")
    return int(text)


def _value(where: str, row: dict[str, Any], metric: Metric) -> float | None:
    """The value in the metric's own unit, which all packages use. A diverged run may have none."""
    text = row["value"]
    if not text and row["status"] == "diverged":
        return None
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise RenormError(f"{where}: value: '{text}' is not a number: write a plain decimal such as 93.25")
    try:
        return metric.convert(value, row["unit"])
    except RenormError as error:
        raise RenormError(f"{where}: {error}") from None


def _spread(where: str, row: dict[str, Any], printed: dict[str, str], scale: float) -> dict[str, float | None]:
    """The printed SD or confidence interval of a mean, in the unit of `value`; a run alone has none."""
    found: dict[str, float | None] = {}
    for column, text in printed.items():
        number = float(text) if NUMBER.fullmatch(text) else math.nan
        if text and not math.isfinite(number):
            raise RenormError(f"{where}: {column}: '{text}' is not a number: write a plain decimal such as 0.21")
        found[column] = number / scale if text else None
    given = [column for column in found if found[column] is not None]
    if given and row["attempt"] is not None:
        raise RenormError(f"{where}: {given[0]}: '{printed[given[0]]}' stands with a single attempt: leave it empty")
    if given and (row["n"] or 0) < 2:
        raise RenormError(f"{where}: n: '{row['n'] or ''}': a spread is of two runs or more: write how many they were")
    if found["sd"] is not None and found["sd"] < 0:
        raise RenormError(f"{where}: sd: {printed['sd']} is negative: check the number")
    low, high = found["ci_low"], found["ci_high"]
    if (low is None) != (high is None):
        missing = "ci_low" if low is None else "ci_high"
        raise RenormError(f"{where}: {missing}: is missing: an interval has two ends")
    if low is not None and row["value"] is not None and not low <= row["value"] <= high:
        raise RenormError(f"{where}: ci_low: {printed['ci_low']} to {printed['ci_high']} does not hold the value")
    return found


def refuse_twice(rows: list[dict[str, Any]]) -> None:
    """Two rows with one identity are two answers to one question: refuse the second."""
    seen: dict[tuple, dict] = {}
    for row in rows:
        identity = tuple(row[column] for column in IDENTITY)
        first = seen.setdefault(identity, row)
        if first is not row:
            setting = "/".join(str(part) for part in identity[1:] if part is not None)
            raise RenormError(
                f"{row['file']}:{row['line']}: {setting} is a duplicate of {first['file']}:{first['line']}: "
                "remove one, or number them in the column 'attempt'"
            )


def to_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with one type a column; whole numbers that may be empty are pandas' Int64."""
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *READ])
    for column in ("epochs", "attempt", "n", "n_images", "epochs_completed", "line"):
        frame[column] = frame[column].astype("Int64")
    for column in ("value", "sd", "ci_low", "ci_high", "resolution"):
        frame[column] = frame[column].astype(float)
    return frame
