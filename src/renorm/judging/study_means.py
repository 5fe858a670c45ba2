"""This study's own means, claim or not: what a reader takes away who has no paper in hand."""

from typing import Any

from renorm.judging.inputs import GROUP, Inputs
from renorm.judging.observations import Values

COLUMNS = ("source", *GROUP, "metric", "split", "n", "n_expected", "value", "sd", "minimum", "maximum")


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table study_means.csv: every cell of the grid, those without a value too."""
    return [
        {column: getattr(value, "mean" if column == "value" else column) for column in COLUMNS}
        for value in values.of(inputs.study)
    ]
