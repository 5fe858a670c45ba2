"""Everything that the study compares, one row a comparison: is the method better, how sure, at what cost."""

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names
from renorm.report.summary import TONES
from renorm.report.tables.model import Cell, Table, flat, text

QUESTIONS = {"holds": "More accurate?", "sure": "More than chance?", "cost": "Training time"}


def tables(inputs: Inputs) -> list[Table]:
    """One table where more than one thing is compared: of one the page's answers are."""
    if len(inputs.comparisons) < 2:
        return []
    names = Names(inputs)
    given = {(row["comparison"], row["question"]): row for row in inputs["answers"].to_dict("records")}
    rows = []
    for name, one in inputs.comparisons.items():
        cells = [_cell(name, question, given.get((name, question))) for question in QUESTIONS]
        rows.append([text(names.comparison(one)), *cells])
    columns = {"Comparison": "comparison", **dict.fromkeys(QUESTIONS.values(), "verdict")}
    return [flat("comparisons", "Comparisons of this study", "comparisons", columns, rows, spec="answers")]


def _cell(name: str, question: str, row: dict | None) -> Cell:
    if row is None:
        return Cell("", kind="text")
    cell = text(row["verdict"], tone=TONES.get(row["verdict"], ""), id=f"comparison-{name}-{question}")
    cell.card = [("finding", row["text"])]
    if formatting.known(row["measured"]) and formatting.known(row["planned"]):
        cell.small = f"{formatting.count(row['measured'])} of {formatting.count(row['planned'])} pairs"
    return cell
