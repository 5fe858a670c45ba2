"""Tables that a study may leave out: the ledger of statements, the rigorous verdicts, the audit."""

import pandas as pd

from renorm.report import numbers
from renorm.report.inputs import NUMBERS, Inputs
from renorm.report.names import Names, slug
from renorm.report.tables.model import Cell, Table, flat, text

TITLES = {
    "ledger": "Every statement, and who confirms it",
    "ladder": "The rigorous verdict per cell",
    "superiority": "Method against baseline, tested",
    "audit": "Findings in the runs",
}
AXES = ("dataset", "arch", "norm", "source", "metric")
FRACTIONS = frozenset(["value", "claimed", "sd", "pooled_sd", "minimum", "maximum"])


def tables(inputs: Inputs) -> list[Table]:
    return [_table(inputs, name) for name in TITLES if inputs.has(name)]


def _table(inputs: Inputs, name: str) -> Table:
    """As the analysis wrote it, column by column; only labels and the way a number is written are ours."""
    names, frame = Names(inputs), inputs[name]
    columns = [column for column in frame.columns if (frame[column].astype(str) != "").any()]
    rows = [[_cell(names, column, row[column]) for column in columns] for row in frame.to_dict("records")]
    return flat(slug(name), TITLES[name], name, [column.replace("_", " ") for column in columns], rows)


def _cell(names: Names, column: str, value: object) -> Cell:
    if column in AXES:
        label = names.source(str(value)) if column == "source" else names.label(column, value)
        return text(label)
    if column in NUMBERS and isinstance(value, float):
        return Cell(_number(column, value), sort="" if pd.isna(value) else value)
    return text(value)


def _number(column: str, value: float) -> str:
    if column in FRACTIONS:
        return numbers.percent(value)
    return numbers.count(value) if value.is_integer() else numbers.decimal(value, 4)
