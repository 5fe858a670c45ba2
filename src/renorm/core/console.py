"""How tables are printed: as wide as the terminal, whole where there is none, and never with a cut name or number."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

BORDERS = 3  # columns of the terminal that a column of a table takes beside its text; one more closes the table


@dataclass(frozen=True)
class Line:
    """A row of a table: rich's markup in every cell, a style, and whether a rule is above it."""

    cells: Sequence[str]
    style: str = ""
    ruled: bool = False


def screen() -> Console:
    """The terminal; piped into a file or another program, names stay whole."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def fitted(heads: Sequence[str], lines: Sequence[Line], width: int, drop: Sequence[str], caption: str = "") -> Table:
    """A table that fits into `width`: columns go, in the order of `drop`, before anything in them is cut.

    The first column holds names: it is folded over several lines where even that does not do.
    """
    kept = list(range(len(heads)))
    for name in drop:
        if _wide(heads, lines, kept) <= width:
            break
        kept.remove(heads.index(name))
    table = Table(caption=caption or None)
    table.add_column(heads[0], overflow="fold")
    for place in kept[1:]:
        table.add_column(heads[place], justify="right", no_wrap=True, min_width=_column(heads, lines, place))
    for line in lines:
        if line.ruled:
            table.add_section()
        table.add_row(*(line.cells[place] for place in kept), style=line.style)
    return table


def _wide(heads: Sequence[str], lines: Sequence[Line], kept: Sequence[int]) -> int:
    return sum(_column(heads, lines, place) + BORDERS for place in kept) + 1


def _column(heads: Sequence[str], lines: Sequence[Line], place: int) -> int:
    return max(Text.from_markup(text).cell_len for text in (heads[place], *(line.cells[place] for line in lines)))
