"""What the audit found in the runs and in the published tables: a sentence each, and where it is."""

from renorm.judging.audit import TITLES, places
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names
from renorm.report.tables.model import Cell, Table, flat, text


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("audit"):
        return []
    names = Names(inputs)
    found = inputs["audit"].to_dict("records")
    rows = [_row(names, row) for row in found]
    about = [{axis: row[axis] for axis in ("dataset", "arch", "norm") if row[axis]} for row in found]
    columns = {"Finding": "kind", "Source": "source", "Where": "", "Epochs": "epochs", "What": "sentence",
               "Lines": "rows"}  # fmt: skip
    return [flat("findings", "Finding by finding", "audit", columns, rows, about, spec="audit")]


def _row(names: Names, row: dict) -> list[Cell]:
    where = (names.dataset(row["dataset"]), names.arch(row["arch"]), names.norm(row["norm"]))
    epochs = formatting.count(row["epochs"]) if formatting.known(row["epochs"]) else ""
    title = TITLES[row["kind"]][0]
    shown = [title[0].upper() + title[1:], names.source(row["source"]), " · ".join(filter(None, where)), epochs]
    return [text(part) for part in (*shown, formatting.sentence(row["sentence"]), places(row["rows"]))]
