"""What the audit found in the runs and in the published tables: a sentence each, and where it stands."""

from renorm.report import numbers
from renorm.report.inputs import Inputs
from renorm.report.names import Names
from renorm.report.tables.model import Cell, Table, flat, text


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("audit"):
        return []
    names = Names(inputs)
    rows = [_row(names, row) for row in inputs["audit"].to_dict("records")]
    titles = ["Finding", "Source", "Where", "Epochs", "What", "Rows"]
    return [flat("findings", "Finding by finding", "audit", titles, rows)]


def _row(names: Names, row: dict) -> list[Cell]:
    where = (names.dataset(row["dataset"]), names.arch(row["arch"]), names.norm(row["norm"]))
    epochs = numbers.count(row["epochs"]) if numbers.known(row["epochs"]) else ""
    told = [row["kind"].replace("_", " "), names.source(row["source"]), " · ".join(filter(None, where)), epochs]
    return [text(part) for part in (*told, row["sentence"], row["rows"])]
