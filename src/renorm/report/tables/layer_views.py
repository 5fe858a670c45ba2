"""The numbers of every layer view: before and after deconvolution."""

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label
from renorm.report.tables.model import Cell, Table, flat, text

MEASURES = {
    "off_diagonal": "mean |covariance| off the diagonal, in parts of the diagonal",
    "identity_distance": "distance of the covariance from the identity",
    "near_zero": "share of values below a tenth of their root mean square",
    "kurtosis": "kurtosis about zero (3: normal)",
}


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("layer_views"):
        return []
    names = Names(inputs)
    rows = [_row(names, row) for row in inputs["layer_views"].to_dict("records")]
    columns = {"Layer view": "view", "Cell": "", "Layer": "layer", "Measure": "measure", "Before": "before",
               "After": "after"}  # fmt: skip
    return [flat("layer_views", "Before and after deconvolution", "layer_views", columns, rows, spec="layer_views")]


def _row(names: Names, row: dict) -> list[Cell]:
    head = [text(row["view"]), text(cell_label(names, row)), Cell(formatting.count(row["layer"]), sort=row["layer"])]
    if row["status"] != "inspected":
        return [*head, text(row["error"]), Cell("missing", tone="missing"), Cell("missing", tone="missing")]
    measure = MEASURES.get(row["measure"], row["measure"])
    return [*head, text(measure), *(_value(row[key]) for key in ("before", "after"))]


def _value(value: float) -> Cell:
    return Cell(formatting.decimal(value, 3), sort=value)


def cell_label(names: Names, row: dict) -> str:
    """The cell in words, and whether it was trained."""
    state = f"after {epochs_label(row['epochs'])}" if row["trained"] == "true" else "untrained"
    return f"{names.arch(row['arch'])}, {names.norm(row['norm'])}, {names.dataset(row['dataset'])}, {state}"
