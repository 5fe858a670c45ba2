"""Method against baseline, within each source: the study's central claim, pair by pair."""

from typing import Any

from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values, ahead
from renorm.study.claims import ACCURACIES


def matched(inputs: Inputs, values: Values, metrics=ACCURACIES) -> list[tuple[Value, Value]]:
    """(baseline, method) of every source with both; of the study only what its claims are judged by: test values."""
    settings = inputs.settings
    found = []
    for value in values:
        if value.norm != settings.method or value.metric not in metrics:
            continue
        if value.source == inputs.study and value.metric in ACCURACIES and value.split != "test":
            continue
        group = (value.dataset, value.arch, settings.baseline, value.recipe, value.epochs)
        other = values.find(value.source, group, value.metric, value.split, value.selection)
        if other is not None and (other.split, other.selection) == (value.split, value.selection):
            found.append((other, value))
    return sorted(found, key=lambda p: (p[1].source, p[1].group, p[1].metric, p[1].split, p[1].selection))


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table comparison.csv: does the method beat the baseline?"""
    return [_row(baseline, method) for baseline, method in matched(inputs, values)]


def _row(baseline: Value, method: Value) -> dict[str, Any]:
    known = baseline.mean is not None and method.mean is not None
    improvement = method.mean - baseline.mean if known else None
    order = ahead(method, baseline)
    return {
        "source": method.source, "dataset": method.dataset, "arch": method.arch, "recipe": method.recipe,
        "epochs": method.epochs, "metric": method.metric, "split": method.split, "baseline": baseline.norm,
        "method": method.norm, "baseline_value": baseline.mean, "method_value": method.mean,
        "improvement": improvement, "n_baseline": baseline.n, "n_method": method.n, "n_expected": method.n_expected,
        "holds": None if order is None else order > 0,
    }  # fmt: skip
