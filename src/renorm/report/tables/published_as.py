"""Published values beside the cells that their authors ran: the value on either cell, and which of them agrees."""

from renorm.judging.published_as import SIDES
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.tables.comparison import CLAIM
from renorm.report.tables.equivalence import LOOKS
from renorm.report.tables.model import Cell, Table, flat, text

TONES = {"as published": "better", "both": "better", "as run": "below", "not as published": "below"}


def tables(inputs: Inputs) -> list[Table]:
    """One table per data set; a row for each published value."""
    if not inputs.has("published_as"):
        return []
    names, frame = Names(inputs), inputs["published_as"]
    return [_of_dataset(names, key, frame[frame["dataset"] == key]) for key in names.order("dataset", frame)]


def _of_dataset(names: Names, dataset: str, frame) -> Table:
    columns = {"Published as": "arch", "Epochs": "epochs", "By": "claim_source", "Published": "claimed",
               "As published": "as_published_value", "What was run": "run_arch", "As run": "as_run_value",
               "Agrees": "finding"}  # fmt: skip
    rows = frame.to_dict("records")
    made = [_row(names, row) for row in rows]
    facets = [{axis: row[axis] for axis in ("arch", "norm", "recipe")} for row in rows]
    title = f"{names.dataset(dataset)}: what was run under another name"
    key = slug("published-as", dataset)
    return flat(key, title, "published_as", columns, made, facets, spec="published_as", dataset=dataset)


def _row(names: Names, row: dict) -> list[Cell]:
    return [
        text(_cell_name(names, row, "")), text(epochs_label(row["epochs"])), text(names.source(row["claim_source"])),
        Cell(formatting.measure(names.metric(row["metric"]), row["claimed"]), sort=row["claimed"]),
        _found(names, row, SIDES[0]), text(_cell_name(names, row, "run_")), _found(names, row, SIDES[1]),
        text(row["finding"], tone=TONES.get(row["finding"], "within")),
    ]  # fmt: skip


def _cell_name(names: Names, row: dict, prefix: str) -> str:
    """Architecture and normaliser, and what else differs between the two cells; keys where names do not tell."""
    shown = ["arch", "norm"] + [axis for axis in ("dataset", "recipe") if row[axis] != row[f"run_{axis}"]]
    words = []
    for axis in shown:
        here, both = row[f"{prefix}{axis}"], (row[axis], row[f"run_{axis}"])
        alike = both[0] != both[1] and len({names.label(axis, key) for key in both}) == 1
        words.append(names.label(axis, here) + (f" ({here})" if alike else ""))
    return ", ".join(words)


def _found(names: Names, row: dict, side: str) -> Cell:
    verdict = row[f"{side}_verdict"]
    if not verdict:
        return Cell("not in the grid", kind="text", tone="missing")
    mark, tone = LOOKS.get(verdict, ("", "missing"))
    metric, value = names.metric(row["metric"]), row[f"{side}_value"]
    if not formatting.known(value):
        return Cell("missing", tone="missing", card=[("why", row[f"{side}_reason"])])
    cell = Cell(formatting.measure(metric, value), mark=mark, tone=tone, sort=value)
    cell.id = slug(side, *(row[axis] for axis in CLAIM), row["claim_source"])
    cell.card = [("verdict", verdict), ("why", row[f"{side}_reason"])]
    cell.small = f"n {formatting.count(row[f'{side}_n'])}"
    return cell
