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
    """The statements that this study's numbers answer, and, collapsed, those that they do not."""
    if not inputs.has("statements"):
        return []
    names, frame = Names(inputs), inputs["statements"]
    columns, keys = _columns(names, frame), ["statement_source", "id"]
    answered = frame[(frame["role"] == "study") & frame["outcome"].isin(LOOKS)]
    known = frame.set_index(keys).index.isin(answered.set_index(keys).index)
    return [
        _table(names, frame[known], columns, "statements", "Statement by statement"),
        _table(names, frame[~known], columns, "statements-open", "Statements that this study does not test"),
    ]


def _table(names: Names, frame: pd.DataFrame, columns: list[tuple[str, str]], id: str, title: str) -> Table:
    titles = [head for _, head in columns]
    asked = [Head(head, "outcome" if key else "statement_source", kind="text") for key, head in columns]
    heads = [[Head("Statement", "text", kind="text"), *asked]]
    groups = [
        Group([_row(names, rows, columns)], key=str(key[1]))
        for key, rows in frame.groupby(["statement_source", "id"], sort=False)
    ]
    return Table(
        id, f"{title}: {len(groups)}", "statements", heads, groups, ["Statement"], titles, "statements",
        sortable=False, collapsed=id != "statements",
    )  # fmt: skip


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
    cell = Cell(f"{mark} {row['outcome']}", kind="text", tone=tone, card=card, below=formatting.sentence(row["found"]))
    cell.id = slug("statement", row["statement_source"], row["id"], row["source"])
    return cell
