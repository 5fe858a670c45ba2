"""A grid and a map → rows of claims. Whatever the map does not explain is listed, never dropped."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import METRICS, Metric, Metrics
from renorm.core.table_specs import GROUP
from renorm.study import claims
from renorm.study.cell import NAME
from renorm.study.importing.grid import Grid, letters
from renorm.study.importing.mapping import MISSING, FromColumn, Map, Value
from renorm.study.importing.numbers import Number, parse

# Fields of a row that may be empty.
MAY_BE_EMPTY = (*claims.OPTIONAL, "n")
NAMED = tuple(name for name in claims.NAMES if name != "source")
SPREADS = ("sd", "ci_low", "ci_high")
# What two rows of one history have in common.
ONE_RUN = ("table", "dataset", "arch", "norm", "recipe", "attempt", "metric", "split")


@dataclass(frozen=True)
class Row:
    """A row of claims: its fields as text, and where its value is."""

    fields: dict[str, str]
    place: str


@dataclass
class Imported:
    """What became of the grids.

    Attributes:
        tables: Name of a grid → its rows.
        ignored: Columns that the map leaves out on purpose.
        left: One line for each column, and for each text of a row, that the map does not explain.
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class _Unknown(Exception):
    """A value whose field the map does not explain: what is wrong, without the place."""


class _Skip(Exception):
    """A value that the map leaves out."""


def convert(grids: list[Grid], chosen: Map, history: bool = False, metrics: Metrics = METRICS) -> Imported:
    """The rows of claims in `grids`.

    Args:
        grids: The tables.
        chosen: What their columns are.
        history: The grids hold every epoch of a run: without `take` in the map, the last one counts.
        metrics: Those that values may be of.

    Raises:
        RenormError: An entry of the map finds no column, or nothing at all was found.
    """
    found, used = Imported(), set()
    take = chosen.take or ("last" if history else "all")
    for grid in grids:
        one = _Conversion(grid, chosen, metrics)
        rows = one.rows()
        # Files of one name from two folders are one table.
        found.tables.setdefault(grid.name, []).extend(rows if take == "all" else _taken(rows, take, metrics))
        found.ignored += one.ignored
        found.left += one.left()
        used |= one.used
    for number, entry in enumerate(chosen.values):
        if number not in used:
            known = list(dict.fromkeys(label for grid in grids for label in grid.columns if label))
            what = f"column '{entry.column}'" if entry.column else f"header '{entry.header}'"
            raise RenormError(f"{grids[0].page}: values.{number}: {what}: no such column: "
                              f"{suggest(entry.column or entry.header, known)[:400]}")  # fmt: skip
    if not found.left and not any(found.tables.values()):
        raise RenormError(f"{grids[0].page}: no value in its rows: is read.header the header, and read.rows below it?")
    return found


class _Conversion:
    """One grid, column by column."""

    def __init__(self, grid: Grid, chosen: Map, metrics: Metrics):
        self.grid, self.map, self.metrics = grid, chosen, metrics
        self.used: set[int] = set()
        self.ignored: list[str] = []
        self._unknown: dict[str, list[str]] = {}
        self._columns = self._value_columns()

    def rows(self) -> list[Row]:
        found = []
        for row in range(len(self.grid.rows)):
            for column, (entry, said) in self._columns.items():
                text = self.grid.rows[row][column]
                if not text:
                    continue
                try:
                    found.append(Row(self._row(row, column, text, entry, said), self.grid.at(row, column)))
                except _Unknown as problem:
                    self._unknown.setdefault(str(problem), []).append(self.grid.at(row, column))
                except _Skip:
                    continue
        return found

    def left(self) -> list[str]:
        """What the map does not explain."""
        lines = [*self.grid.damaged, *(f"{self.grid.page}: {line}" for line in self._other_columns())]
        for problem, places in self._unknown.items():
            count = f"{len(places)} values, the first at " if len(places) > 1 else "the value at "
            lines.append(f"{self.grid.page}: {problem} ({count}{places[0]})")
        return lines

    def _value_columns(self) -> dict[int, tuple[Value, dict[str, str]]]:
        """Column with values → the entry of the map and the fields that the column's label says."""
        found: dict[int, tuple[Value, dict[str, str]]] = {}
        before: dict[str, str] = {}
        for column, label in enumerate(self.grid.columns):
            number, entry, said = self._entry(column, label)
            if entry is None:
                continue
            self.used.add(number)
            if self.map.ignores(label):
                raise RenormError(f"{self.grid.page}: values.{number}: column '{label}' is in ignore, too: decide")
            said = {key: before[key] for key in entry.carry if key in before} | said
            before |= said
            found[column] = entry, said
        return found

    def _entry(self, column: int, label: str) -> tuple[int, Value | None, dict[str, str]]:
        for number, entry in enumerate(self.map.values):
            said = entry.match(label, letters(column))
            if said is not None:
                return number, entry, said
        return -1, None, {}

    def _other_columns(self) -> Iterator[str]:
        fields = [*self.map.fields.values(), *(v for e in self.map.values for v in e.fields.values())]
        named = {given.column for given in fields if isinstance(given, FromColumn)}
        seen: dict[str, list[str]] = {}
        for column, label in enumerate(self.grid.columns):
            cells = [row[column] for row in self.grid.rows if row[column]]
            if column in self._columns or label in named or label in self.grid.made or not cells:
                continue
            if not label and _is_index(cells):
                continue
            if self.map.ignores(label):
                self.ignored.append(label)
            else:
                seen.setdefault(label, []).extend(cells)
        for label, cells in seen.items():
            yield f"column '{label}': is not in the map: {len(cells)} cells, as '{cells[0][:40]}': add it to values, " \
                  "fields or ignore"  # fmt: skip

    def _row(self, row: int, column: int, text: str, entry: Value, said: dict[str, str]) -> dict[str, str]:
        grid = self.grid
        fields = {"table": grid.name, "page": grid.page, "split": "unstated", "selection": ""}
        for key, given in {**self.map.fields, **said, **entry.fields}.items():
            fields[key] = self._field(key, given, row, column, key in said and key not in entry.fields)
        for key in (*GROUP, "metric"):
            if not fields.get(key):
                raise _Unknown(f"{key}: is missing: add it to fields, or to an entry of values")
        try:
            fields["metric"] = self.metrics.find(fields["metric"]).name
        except RenormError as error:
            raise _Unknown(f"{error} (a metric of your own: name the study that has it with --config)") from None
        fields |= self._value(text, fields, entry.plus_minus)
        if fields.get("attempt") and not fields.get("n"):
            fields["n"] = "1"
        place = grid.at(row, column)
        fields["note"] = f"{place}; {fields['note']}" if fields.get("note") else place
        return fields

    def _field(self, key: str, given: str | int | float | FromColumn, row: int, column: int, from_label: bool) -> str:
        if isinstance(given, FromColumn):
            text = self.grid.rows[row][self.grid.column(given.column, column)]
            part = given.find(text)
            if part is None:
                raise _Unknown(f"{key}: pattern '{given.pattern}' finds nothing in '{text[:60]}'")
            text = self._shifted(key, part.strip(), given.plus)
        elif from_label:
            text = str(given).strip()
        else:
            return str(given)
        return self._word(key, text)

    def _shifted(self, key: str, text: str, plus: int) -> str:
        """Whole numbers as such: a table of numbers writes the epoch 20.0; and `plus` for those that count from 0."""
        if key not in claims.WHOLE or not re.fullmatch(r"\d{1,10}(\.0*)?", text):
            return text
        return str(int(text.partition(".")[0]) + plus)

    def _word(self, key: str, text: str) -> str:
        words = self.map.words.get(key)
        if words is not None and (text or key not in MAY_BE_EMPTY):
            if text not in words:
                raise _Unknown(f"words.{key}: no word for '{text[:60]}': {suggest(text, words)[:200]}")
            if words[text] is None:
                raise _Skip
            return words[text] or ""
        if key in NAMED and not NAME.fullmatch(text):
            raise _Unknown(f"words.{key}: '{text[:60]}' is not a name: give its name (lower-case letters, digits and "
                           "_ . -)")  # fmt: skip
        if key in SPREADS and text:
            number = parse(text, self.map.read.decimal)
            if number is None or number.spread:
                raise _Unknown(f"{key}: '{text[:60]}' is not a number")
            return number.value
        if not text and key not in MAY_BE_EMPTY:
            raise _Unknown(f"{key}: its column is empty")
        return text

    def _value(self, text: str, fields: dict[str, str], plus_minus: str) -> dict[str, str]:
        meaning = self.map.words.get("value", {}).get(text)
        if meaning == MISSING:
            raise _Skip
        if meaning:
            return {"value": "", "status": meaning, "unit": _unit(fields, None, self.metrics)}
        number = parse(text, self.map.read.decimal)
        if number is None:
            raise _Unknown(f"'{text[:60]}' is not a number: correct it, or add words.value: missing or diverged")
        found = {"value": number.value, "unit": _unit(fields, number, self.metrics)}
        if number.spread and plus_minus == "sd":
            found["sd"] = number.spread
        elif number.spread:
            value, half = float(number.value), float(number.spread)
            found |= {"ci_low": f"{value - half:.12g}", "ci_high": f"{value + half:.12g}"}
        return found


def _is_index(cells: list[str]) -> bool:
    """Whether a column without a label numbers the rows, as pandas writes it."""
    return cells in ([str(number) for number in range(first, first + len(cells))] for first in (0, 1))


def _unit(fields: dict[str, str], number: Number | None, metrics: Metrics) -> str:
    """The unit that the map or a percent sign says; that of the metric where it has but one."""
    given = fields.get("unit", "")
    if number and number.percent:
        if given not in ("", "percent", "%"):
            raise _Unknown(f"unit: {given}, and the cell has a percent sign: correct the map")
        return "percent"
    if given:
        return given
    known = metrics[fields["metric"]]
    if set(known.accepted) >= {"percent", "fraction"}:
        raise _Unknown("unit: percent or fraction? Add it to the entry of values")
    return known.unit


def _taken(rows: list[Row], take: str, metrics: Metrics) -> list[Row]:
    """Of the rows of each run the last one, or the best one of all its epochs."""
    runs: dict[tuple, list[Row]] = {}
    for row in rows:
        runs.setdefault(tuple(row.fields.get(key, "") for key in ONE_RUN), []).append(row)
    return [_one(run, take, metrics) for run in runs.values()]


def _one(run: list[Row], take: str, metrics: Metrics) -> Row:
    by_epoch = sorted(run, key=_epoch)
    last = by_epoch[-1]
    chosen = last
    if take == "best":
        there = [row for row in by_epoch if row.fields["value"]]
        chosen = _best(there, metrics[last.fields["metric"]]) if there else last
    selection = chosen.fields["selection"] or {"last": "final", "best": "best"}[take]
    return Row({**chosen.fields, "epochs": last.fields["epochs"], "selection": selection}, chosen.place)


def _best(rows: list[Row], metric: Metric) -> Row:
    """The row with the best value; the earliest of equals."""
    best = rows[0]
    for row in rows[1:]:
        if metric.order(float(row.fields["value"]), float(best.fields["value"])) > 0:
            best = row
    return best


def _epoch(row: Row) -> int:
    text = row.fields["epochs"]
    return int(text) if text.isdigit() else 0
