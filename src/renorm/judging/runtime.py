"""What the method costs: seconds of training and testing, and the ratio to the baseline."""

import math
from typing import Any

from renorm.core.metrics import SECONDS
from renorm.core.table_specs import GROUP
from renorm.judging.comparisons import Comparison
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values, ratio_of
from renorm.judging.statistics import ratio_interval


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table runtime.csv; seconds of different sources stand side by side and are never mixed.

    A cell has a row for each comparison that knows its counterpart, with the ratio to that; without one, a row alone.
    """
    trained = [v for v in values if v.metric == SECONDS and v.split == "train"]
    order = {comparison.name: place for place, comparison in enumerate(inputs.comparisons)}
    found = [row for value in trained for row in _rows(inputs, values, value)]
    return sorted(
        found,
        key=lambda r: (
            order.get(r["comparison"], -1),
            *(r[key] for key in ("source", "dataset", "arch", "recipe", "epochs", "norm")),
        ),
    )


def _rows(inputs: Inputs, values: Values, value: Value) -> list[dict[str, Any]]:
    found = []
    for comparison in inputs.comparisons:
        group = comparison.counterpart(value.group)
        baseline = group and values.find(value.source, group, SECONDS, "train", value.selection)
        if baseline:
            found.append(_row(inputs, values, value, comparison, baseline))
    return found or [_row(inputs, values, value)]


def _row(
    inputs: Inputs, values: Values, value: Value, comparison: Comparison | None = None, baseline: Value | None = None
) -> dict[str, Any]:
    tested = values.find(value.source, value.group, SECONDS, "test", value.selection)
    ratio, low, high = None, None, None
    if baseline is not None:
        ratio, runs = ratio_of(value, baseline)
        if ratio is not None and value.group != baseline.group:
            low, high = ratio_interval(*runs, inputs.settings.level)
    return {
        "comparison": comparison.name if comparison else "", "source": value.source,
        **dict(zip(GROUP, value.group, strict=True)), "n": value.n,
        "train_seconds": value.mean, "test_seconds": tested.mean if tested else None,
        "axis_value": comparison.value(value.group) if comparison else "",
        "baseline_train_seconds": baseline.mean if baseline else None,
        "ratio": ratio, "ratio_low": low, "ratio_high": high,
    }  # fmt: skip


def geometric_mean(ratios: list[float]) -> float | None:
    """The mean that treats twice as slow and twice as fast alike."""
    positive = [ratio for ratio in ratios if ratio > 0]
    return math.exp(sum(map(math.log, positive)) / len(positive)) if positive else None
