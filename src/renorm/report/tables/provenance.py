"""What every run was made with: equal records share one row, and differences are named instead of hidden."""

import pandas as pd

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names
from renorm.report.tables.model import Cell, Table, flat, text

# In the order of a reader's question: on what, with what, from which code, how exact.
SETUP = (
    *("runner", "device", "torch", "torchvision", "cuda", "cudnn", "python", "renorm", "commit", "dirty", "precision"),
    *("deterministic", "protocol"),
)
# A difference in one of these may move a number; the rest may differ freely.
TELLING = ("runner", "device", "torch", "torchvision", "cuda", "cudnn", "commit", "dirty", "precision", "protocol")


def tables(inputs: Inputs) -> list[Table]:
    frame = inputs["provenance"]
    columns = [column for column in SETUP if column in frame.columns and (frame[column] != "").any()]
    if frame.empty:
        return []
    rows = [_row(inputs, columns, key, same) for key, same in frame.groupby(columns, sort=False, dropna=False)]
    heads = {"Runs": "", **{column: column for column in columns}, "datasets": "dataset"}
    return [flat("provenance", "Setups", "provenance", heads, rows, spec="provenance")]


def _row(inputs: Inputs, columns: list[str], key: tuple, same: pd.DataFrame) -> list[Cell]:
    names = Names(inputs)
    datasets = ", ".join(map(names.dataset, names.order("dataset", same)))
    values = [text(_short(column, value)) for column, value in zip(columns, key, strict=True)]
    runs = f"{formatting.count(len(same))} {'run' if len(same) == 1 else 'runs'}"
    return [Cell(runs, sort=len(same)), *values, text(datasets)]


def _short(column: str, value: object) -> str:
    return str(value)[:10] if column == "commit" else str(value)


def mixed(inputs: Inputs) -> list[tuple[str, list[str]]]:
    """Columns of which the runs hold more than one value: the page warns, the reader decides."""
    frame = inputs["provenance"]
    found = [(column, list(dict.fromkeys(map(str, frame[column])))) for column in TELLING if column in frame.columns]
    return [(column, values) for column, values in found if len(values) > 1]
