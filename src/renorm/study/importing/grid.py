"""A table as somebody wrote it: columns with one or several header cells, rows of text, and where each value is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from renorm.core.errors import RenormError, suggest

# Between the header cells of one column, from top to bottom.
SEPARATOR = " | "


@dataclass(frozen=True)
class Grid:
    """One table.

    Attributes:
        name: Of the table: the sheet, or the file without its ending.
        page: The file.
        columns: Label of each column: its header cells from top to bottom, joined by `SEPARATOR`.
        rows: The cells as text; empty where there is nothing.
        places: Where each row is, as in results.csv:7.
        made: Columns that the reader made, as the step of an event: a map need not explain them.
        damaged: One line for each part of the file that could not be read.
        address: Row and column number → where the cell is, where that is more than row and label.
    """

    name: str
    page: str
    columns: list[str]
    rows: list[list[str]]
    places: list[str]
    made: frozenset[str] = frozenset()
    damaged: tuple[str, ...] = ()
    address: Callable[[int, int], str] | None = field(default=None, compare=False)

    def at(self, row: int, column: int) -> str:
        """Where a cell is, for messages and for the claims' column `note`."""
        if self.address:
            return self.address(row, column)
        return f"{self.places[row]}: {self.columns[column]}"

    def column(self, label: str, beside: int | None = None) -> int:
        """The number of the column `label`; of several, the nearest one to the left of `beside`, else the first."""
        found = [number for number, name in enumerate(self.columns) if name == label]
        if not found:
            names = list(dict.fromkeys(name for name in self.columns if name))
            raise RenormError(f"{self.page}: column '{label}': no such column: {suggest(label, names)[:300]}")
        left = [number for number in found if beside is not None and number <= beside]
        return left[-1] if left else found[0]


def letters(column: int) -> str:
    """The column's letters in a spreadsheet: 0 → A, 26 → AA."""
    found = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(ord("A") + rest) + found
    return found


def text_of(value: Any) -> str:
    """A cell's value as text, without a digit more or less than it has."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value).strip()


def from_records(
    name: str, page: str, records: Sequence[tuple[str, Mapping[str, Any]]], made: Iterable[str] = ()
) -> Grid:
    """A grid whose columns are the keys of `records`, pairs of a place and its values."""
    columns = list(dict.fromkeys(key for _, record in records for key in record))
    rows = [[text_of(record.get(key)) for key in columns] for _, record in records]
    return Grid(name, page, columns, rows, [place for place, _ in records], frozenset(made))
