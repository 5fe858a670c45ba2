"""Sheets of a workbook (xlsx) → grids, by openpyxl."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError, suggest
from renorm.study.importing.grid import Grid, letters, text_of
from renorm.study.importing.mapping import Read
from renorm.study.importing.readers import labels


def read_sheets(path: Path, read: Read) -> list[Grid]:
    """The sheets that `read` names, or all; merged header cells are of every column below them."""
    book, formulas = _books(path, _stamp(path))
    names = [sheet.title for sheet in book.worksheets]
    for name in read.sheets:
        if name not in names:
            raise RenormError(f"{path}: read.sheets: no sheet '{name}': {suggest(name, names)}")
    return [_sheet(path, book[name], formulas[name], read) for name in read.sheets or names]


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _books(path: Path, _stamp: tuple[int, int]) -> tuple[Any, Any]:
    """The workbook with values, and with formulas: one whose result was never stored is not to be overlooked.

    The last one is kept: the search for a header reads it again and again.
    """
    try:
        import openpyxl
    except ImportError:
        raise RenormError(f"{path}: a workbook is read by openpyxl: pip install 'renorm[import]'") from None
    try:
        return openpyxl.load_workbook(path, data_only=True), openpyxl.load_workbook(path)
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # whatever a damaged file makes of a foreign reader
        raise RenormError(f"{path}: not readable as a workbook: {str(error)[:200]}") from None


def _sheet(path: Path, sheet: Any, formulas: Any, read: Read) -> Grid:
    cells = {(cell.row, cell.column): text_of(cell.value) for row in sheet.iter_rows() for cell in row}
    for row in formulas.iter_rows():
        for cell in row:
            if isinstance(cell.value, str) and cell.value.startswith("=") and not cells.get((cell.row, cell.column)):
                cells[cell.row, cell.column] = cell.value
    first, last = read.header
    merged = [area for area in sheet.merged_cells.ranges if area.min_row <= last and area.max_row >= first]
    for area in merged:
        for row in range(area.min_row, area.max_row + 1):
            for column in range(area.min_col, area.max_col + 1):
                cells[row, column] = cells.get((area.min_row, area.min_col), "")
    width, height = sheet.max_column, sheet.max_row
    header = [[cells.get((row, column), "") for column in range(1, width + 1)] for row in range(first, last + 1)]
    if not any(any(row) for row in header):
        raise RenormError(f"{path}: {sheet.title}!A{first}: no header: the sheet is empty there; read.header names its "
                          "lines")  # fmt: skip
    start, end = read.rows or (last + 1, height)
    found = [(n, [cells.get((n, column), "") for column in range(1, width + 1)]) for n in range(start, end + 1)]
    kept = [(n, row) for n, row in found if any(row)]
    numbers = [n for n, _ in kept]

    def address(row: int, column: int) -> str:
        return f"{sheet.title}!{letters(column)}{numbers[row]}"

    places = [f"{sheet.title}!{n}" for n in numbers]
    return Grid(
        sheet.title, path.name, labels(header, fill=not merged), [row for _, row in kept], places, address=address
    )
