"""This study's own means, claim or not: what a reader takes away who has no paper in hand."""

from typing import Any

from renorm.core.table_specs import columns
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Values


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table study_means.csv: every cell of the grid, those without a value too."""
    return [
        {column: getattr(value, "mean" if column == "value" else column) for column in columns("study_means")}
        for value in values.of(inputs.study)
    ]
