"""Hours of GPUs or CPU cores that the study has cost, by experiment."""

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.tables.model import Cell, Table, flat, text

WORDS = {"other": "anything else in the results folder", "all": "all, each cell once"}


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("costs") or not inputs["costs"]["hours"].any():
        return []
    titles = WORDS | {one.name: one.title for one in inputs.study.experiments}
    unit = inputs["costs"]["unit"].iloc[0]
    rows = []
    for row in inputs["costs"].to_dict("records"):
        hours = [_hours(row[key]) for key in ("hours", "training_hours", "lost_hours")]
        counts = [Cell(formatting.count(row[key]), sort=row[key]) for key in ("jobs", "unknown")]
        rows.append([text(titles.get(row["experiment"], row["experiment"])), *hours, *counts])
    columns = {"Experiment": "experiment", unit: "hours", "of them training": "training_hours",
               "in jobs that did not complete": "lost_hours", "Jobs": "jobs", "of unknown end": "unknown"}  # fmt: skip
    return [flat("costs", f"{unit} by experiment", "runtime", columns, rows, spec="costs", sortable=False)]


def _hours(value: float) -> Cell:
    return Cell(f"{value:,.2f}", sort=value)
