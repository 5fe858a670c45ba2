"""What a table is before it becomes HTML, LaTeX, Markdown or CSV: headings, groups of rows, cells and their details."""

from dataclasses import dataclass, field
from typing import Any

from renorm.core.table_specs import COMPARED, SPECS
from renorm.report.formatting import ABSENT

MEANINGS = {spec.name: {column.name: column.meaning for column in spec.columns} for spec in (*SPECS, *COMPARED)}
FITS = 48  # characters of a row that a phone shows side by side


@dataclass
class Cell:
    """One printed value; `sort` is what it is ordered by, `card` the details that hover, focus and print show."""

    text: str = ABSENT
    mark: str = ""
    tone: str = ""  # better, within, below, missing: the verdict, as a CSS class
    depth: int = 0  # 0–3: how far from the claim, for the tint behind the value
    id: str = ""
    sort: float | str = ""
    card: list[tuple[str, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)  # the run records behind it: what they are called, where
    href: str = ""  # where a text without details leads
    small: str = ""  # a second line in small print: spread and n
    below: str = ""  # a second line in every medium
    partial: str = ""  # "2 of 3": shown before the value where runs are missing
    kind: str = "num"  # num, text, ratio or dots: how it is set
    first: bool = False  # the first of a column group
    facets: dict[str, str] = field(default_factory=dict)  # what the page's filters ask of a column: norm → its key

    @property
    def plain(self) -> str:
        """The cell as bare text, for formats without hover and colour."""
        return " ".join(filter(None, (self.text, self.mark, f"({self.partial})" if self.partial else "", self.below)))


@dataclass
class Head:
    """`column` is the column of the table's specification that its values come from: its meaning is shown as help."""

    text: str
    column: str = ""
    span: int = 1
    down: int = 1
    first: bool = False
    sort: bool = False
    kind: str = "num"


@dataclass
class Row:
    """`stub` are the row's own headings; a stub of None is covered by the row above (one name for two rows)."""

    stub: list[str | None]
    cells: list[Cell]
    facets: dict[str, str] = field(default_factory=dict)


@dataclass
class Group:
    """Rows that stay together when the table is sorted or filtered: an architecture's norms."""

    rows: list[Row]
    key: str = ""
    facets: dict[str, str] = field(default_factory=dict)  # axis → key: arch, recipe, dataset, norm


@dataclass
class Table:
    id: str
    title: str
    section: str
    heads: list[list[Head]]
    groups: list[Group]
    stubs: list[str]
    columns: list[str]  # one full heading per value column: what CSV, LaTeX and a screen reader get
    spec: str = ""  # the CSV whose columns its headings name
    dataset: str = ""
    sortable: bool = True
    own: bool = True  # whether a value of this study is in it
    collapsed: bool = False  # shown when it is asked for

    @property
    def judged(self) -> bool:
        """Whether its cells carry verdicts, so that a filter by verdict is about them."""
        return any(cell.tone in ("better", "within") for row in self.rows for cell in row.cells)

    def meaning(self, head: Head) -> str:
        """What a column holds, in the words of its specification; empty for a heading that names none."""
        return MEANINGS[self.spec][head.column].replace("`", "") if head.column else ""

    @property
    def help(self) -> list[tuple[str, str, str]]:
        """(headings, column of the CSV, what it holds) of every column, each once."""
        found: dict[str, Head] = {}
        texts: dict[str, dict[str, None]] = {}
        for head in (head for row in self.heads for head in row if head.column):
            found.setdefault(head.column, head)
            texts.setdefault(head.column, {})[head.text] = None
        return [(", ".join(texts[column]), column, self.meaning(head)) for column, head in found.items()]

    @property
    def labels(self) -> list[str]:
        """What is above each cell where the table becomes cards; the first of a group names the group."""
        low = [head for row in self.heads for head in row if head.span == 1][-len(self.columns) :]
        return [full if head.first else head.text for full, head in zip(self.columns, low, strict=True)]

    @property
    def cards(self) -> bool:
        """Whether a row is wider than a phone, so that it becomes a card there."""
        texts = [[*self.stubs, *self.labels], *([*row.stub, *map(_beside, row.cells)] for row in self.rows)]
        return sum(max(len(text or "") for text in column) + 2 for column in zip(*texts, strict=True)) > FITS

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]

    def full_stubs(self, index: int) -> list[str]:
        """A row's headings with what the rows above cover written out."""
        rows, row = self.rows, self.rows[index]
        return [self._covered(rows, index, place) if text is None else text for place, text in enumerate(row.stub)]

    @staticmethod
    def _covered(rows: list[Row], index: int, place: int) -> str:
        above = (row.stub[place] for row in rows[index::-1])
        return next(text for text in above if text is not None)


def flat(
    id: str,
    title: str,
    section: str,
    columns: dict[str, str],
    rows: list[list[Cell]],
    facets: list[dict[str, str]] | None = None,
    **more: Any,
) -> Table:
    """A plain table: one heading row, the first column is the row's own heading, every row its own group.

    `columns`: heading → column of the specification.
    """
    kinds = ["text" if _texts(rows, i) else "num" for i in range(len(columns))]
    heads = [[Head(*named, sort=True, kind=kind) for named, kind in zip(columns.items(), kinds, strict=True)]]
    titles = list(columns)
    about = facets or [{} for _ in rows]
    groups = [Group([Row([r[0].text], r[1:])], key=r[0].text, facets=f) for r, f in zip(rows, about, strict=True)]
    return Table(id, title, section, heads, groups, titles[:1], titles[1:], **more)


def per_norm(cells: list[Cell], norms: list[str]) -> list[Cell]:
    """The cells of a row whose columns are normalisers, each with its own."""
    for cell, norm in zip(cells, norms, strict=True):
        cell.facets = {"norm": norm}
    return cells


def _beside(cell: Cell) -> str:
    """What of a cell is in its first line."""
    return " ".join(filter(None, (cell.partial, cell.text, cell.mark)))


def _texts(rows: list[list[Cell]], column: int) -> bool:
    return any(row[column].kind == "text" for row in rows)


def text(value: object, **more) -> Cell:
    words = str(value)
    return Cell(words or ABSENT, kind="text", sort=words.lower(), **more)
