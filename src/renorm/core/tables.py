"""Tables: one specification per CSV file, one reader, one writer.

A specification says what columns a table has, their types and meanings, and who writes it. Rule outputs,
docs/tables.md, the RO-Crate's descriptions and the report's reader come from it.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from renorm.core.errors import RenormError
from renorm.core.files import write_atomic

Kind = Literal["text", "number", "count", "bool"]
REPAIR = "save it as UTF-8 text with commas"
Rows = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class Column:
    """One column: its type, its meaning, whether its cells may be empty, and whether a file may leave it out."""

    name: str
    kind: Kind
    meaning: str
    empty: bool = False
    optional: bool = False

    @property
    def numeric(self) -> bool:
        return self.kind in ("number", "count")


@dataclass(frozen=True)
class TableSpec:
    """One table: `<name>.csv` in a study's folder, written by `writer` (a command).

    `required`: whether the report cannot be made without it. `note`: what the columns do not say.
    """

    name: str
    writer: str
    description: str
    columns: tuple[Column, ...]
    note: str = ""
    required: bool = False

    @property
    def file(self) -> str:
        return f"{self.name}.csv"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def numeric(self) -> frozenset[str]:
        return frozenset(column.name for column in self.columns if column.numeric)

    def read(self, path: Path, needed: Iterable[str] = ()) -> list[dict[str, str]]:
        """The rows of `path` as text by column.

        Args:
            path: The CSV file.
            needed: Columns that must be there; default all that a file may not leave out.

        Raises:
            RenormError: The file or a column is missing, or it is not a CSV; one line that says what to run.
        """
        header, rows = read_cells(path, again=f"run `{self.writer}` again", missing=f"run `{self.writer}` first")
        for name in needed or [column.name for column in self.columns if not column.optional]:
            if name not in header:
                raise RenormError(f"{path}:1: column '{name}' is missing; run `{self.writer}` again")
        return [dict(zip(header, cells, strict=True)) for _, cells in rows]

    def write(self, path: Path, rows: Iterable[Mapping[str, Any]], more: Iterable[str] = ()) -> None:
        """Write the table whole or not at all; `more` are columns that this study has besides."""
        write_atomic(path, to_csv((*self.names, *more), rows))


def read_cells(path: Path, again: str = REPAIR, missing: str = "", check=None) -> tuple[list[str], Rows]:
    """Header and (line, fields) of a CSV file, whoever wrote it; empty rows are skipped.

    Args:
        path: The file: UTF-8, with or without a byte order mark, separated by commas.
        again: What to do with a file that cannot be read.
        missing: What to do when there is none.
        check: Called with the header before any row is looked at.

    Raises:
        RenormError: One line with file and line: not there, not UTF-8, not a CSV, another separator, a column without a
            name or with another's, a row of another length.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header, again)
            if check:
                check(header)
            rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError:
        raise RenormError(f"{path}: not there" + (f"; {missing}" if missing else "")) from None
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RenormError(f"{path}: is not UTF-8 text: {again}") from None
    except csv.Error as error:
        raise RenormError(f"{path}:{reader.line_num}: is not readable as CSV: {error}: {again}") from None
    for line, cells in rows:
        if len(cells) != len(header):
            lengths = f"{len(cells)} fields where the header has {len(header)}"
            raise RenormError(f"{path}:{line}: {lengths}: check commas and quotes; {again}")
    return header, rows


def _check_header(path: Path, header: list[str], again: str) -> None:
    if not any(header):
        raise RenormError(f"{path}:1: the header is empty: {again}")
    for separator, name in ((";", "';'"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            raise RenormError(f"{path}:1: columns are separated by {name}: save with commas")
    if header[0].lower().startswith("sep="):
        raise RenormError(f"{path}:1: '{header[0]}' is a spreadsheet's separator line: remove it")
    for place, name in enumerate(header, 1):
        if not name:
            raise RenormError(f"{path}:1: column {place} has no name: remove it (or the comma at the end of each line)")
        if header.count(name) > 1:
            raise RenormError(f"{path}:1: duplicate column '{name}': remove one")


def cell_text(value: Any) -> str:
    """One field: empty when not stated; floats in 12 digits, which hides the last bits that differ between machines."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value + 0.0:.12g}" if value else "0"
    return str(value)


def to_csv(columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]], text=cell_text) -> str:
    """The table as text with '\\n' line ends; a row may leave columns out but may not bring others."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        strange = set(row) - set(columns)
        if strange:
            raise ValueError(f"columns {sorted(strange)} are not in the table's specification")
        writer.writerow([text(row.get(column)) for column in columns])
    return out.getvalue()
