"""Where the header of a table is: the lines above the first one with numbers."""

from pathlib import Path

from renorm.core.errors import RenormError
from renorm.study.importing.mapping import Read
from renorm.study.importing.numbers import parse
from renorm.study.importing.readers import format_of, read_grids

# Lines that are looked at.
LINES = 20


def guessed(path: Path, read: Read) -> Read:
    """`read` with the lines of the header, where the file is a table with lines."""
    if path.is_dir() or format_of(path, read) not in ("csv", "tsv", "xlsx"):
        return read
    for last in range(1, LINES):
        candidate = read.model_copy(update={"header": [1, last]})
        try:
            rows = [grid.rows[0] for grid in read_grids(path, candidate) if grid.rows]
        except RenormError:
            continue
        cells = [cell for row in rows for cell in row if cell]
        if cells and 2 * sum(parse(cell) is not None for cell in cells) >= len(cells):
            return candidate
    return read
