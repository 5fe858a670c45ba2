"""Every published sentence that can be checked, and what each source's own numbers say to it."""

import pandas as pd

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, slug
from renorm.report.tables.model import Cell, Group, Head, Row, Table

# outcome → (mark, tone)
LOOKS = {
    "holds": ("✓", "better"), "holds within noise": ("✓?", "within"), "fails within noise": ("✗?", "within"),
    "fails": ("✗", "below"),
}  # fmt: skip
OPEN = ("…", "missing")


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("statements"):
        return []
    names, frame = Names(inputs), inputs["statements"]
    columns = _columns(names, frame)
    heads = [[Head("Statement", kind="text"), *(Head(title, kind="text") for _, title in columns)]]
    groups = [
        Group([_row(names, rows, columns)], key=str(key[1]))
        for key, rows in frame.groupby(["statement_source", "id"], sort=False)
    ]
    titles = [title for _, title in columns]
    return [
        Table(
            "statements", "Statement by statement", "statements", heads, groups, ["Statement"], titles, sortable=False
        )
    ]


def _columns(names: Names, frame: pd.DataFrame) -> list[tuple[str, str]]:
    """(role or source, heading): who said it and its own tables, every other reproduction, this study."""
    others = names.sources(frame[frame["role"] != "own"])
    return [("", "said by"), ("own", "its own tables"), *((source, names.source(source)) for source in others)]


def _row(names: Names, rows: pd.DataFrame, columns: list[tuple[str, str]]) -> Row:
    first = rows.iloc[0]
    asked = {("own" if row["role"] == "own" else row["source"]): row for row in rows.to_dict("records")}
    where = "; ".join(filter(None, (first["place"], first["note"])))
    said = Cell(names.source(first["statement_source"]), kind="text", below=where)
    cells = [said] + [_cell(asked.get(key)) for key, _ in columns[1:]]
    for cell, (_, title) in zip(cells, columns, strict=True):
        cell.label = title
    quoted = first["quote"] == "true"
    return Row([f"“{first['text']}”" if quoted else first["text"]], cells)


def _cell(row: dict | None) -> Cell:
    if row is None:
        return Cell("", kind="text")
    mark, tone = LOOKS.get(row["outcome"], OPEN)
    card = [("outcome", row["outcome"])]
    if formatting.known(row["of"]):
        card.append(("counted", f"{formatting.count(row['counted'])} of {formatting.count(row['of'])}"))
    card += [("note", row["note"])] if row["note"] else []
    cell = Cell(f"{mark} {row['outcome']}", kind="text", tone=tone, card=card, below=row["found"])
    cell.id = slug("statement", row["statement_source"], row["id"], row["source"])
    return cell
