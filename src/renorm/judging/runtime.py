"""What the method costs: seconds of training and testing, and the ratio to the baseline."""

import math
from typing import Any

from renorm.core.metrics import SECONDS
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values
from renorm.judging.statistics import ratio_interval


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table runtime.csv; seconds of different sources stand side by side and are never mixed."""
    trained = [v for v in values if v.metric == SECONDS and v.split == "train"]
    found = [_row(inputs, values, value) for value in trained]
    return sorted(
        found, key=lambda r: tuple(r[key] for key in ("source", "dataset", "arch", "recipe", "epochs", "norm"))
    )


def _row(inputs: Inputs, values: Values, value: Value) -> dict[str, Any]:
    tested = values.find(value.source, value.group, SECONDS, "test", value.selection)
    group = (value.dataset, value.arch, inputs.settings.baseline, value.recipe, value.epochs)
    baseline = values.find(value.source, group, SECONDS, "train", value.selection)
    known = baseline is not None and baseline.mean and value.mean is not None
    low, high = (None, None)
    if known and value.norm != baseline.norm:
        low, high = ratio_interval(value.attempts, baseline.attempts, inputs.settings.level)
    return {
        "source": value.source, "dataset": value.dataset, "arch": value.arch, "recipe": value.recipe,
        "epochs": value.epochs, "norm": value.norm, "n": value.n, "train_seconds": value.mean,
        "test_seconds": tested.mean if tested else None,
        "baseline_train_seconds": baseline.mean if baseline else None,
        "ratio": value.mean / baseline.mean if known else None, "ratio_low": low, "ratio_high": high,
    }  # fmt: skip


def geometric_mean(ratios: list[float]) -> float | None:
    """The mean that treats twice as slow and twice as fast alike."""
    positive = [ratio for ratio in ratios if ratio > 0]
    return math.exp(sum(map(math.log, positive)) / len(positive)) if positive else None
