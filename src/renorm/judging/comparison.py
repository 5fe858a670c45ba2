"""Method against baseline, within each source: the study's central claim, pair by pair."""

from typing import Any

from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values, ahead
from renorm.judging.pairing import unfinished


def matched(inputs: Inputs, values: Values) -> list[tuple[Value, Value]]:
    """(baseline, method) of every source with both, of each metric of quality; training values stay out."""
    settings = inputs.settings
    found = []
    for value in values:
        if value.norm != settings.method or not value.measure.is_quality or value.split == "train":
            continue
        group = (value.dataset, value.arch, settings.baseline, value.recipe, value.epochs)
        other = values.find(value.source, group, value.metric, value.split, value.selection)
        if other is not None and (other.split, other.selection) == (value.split, value.selection):
            found.append((other, value))
    return sorted(found, key=lambda p: (p[1].source, p[1].group, p[1].metric, p[1].split, p[1].selection))


def decides(inputs: Inputs, values: Values, value: Value) -> bool:
    """Whether the value is the one that its pair is decided by: one metric, one split, one selected epoch.

    A network's top-1 and top-5 accuracy, its best and its final epoch are of the same runs: they are shown beside each
    other, and a pair is counted once.
    """
    settings = inputs.settings
    return value.metric == settings.metric and value == values.find(
        value.source, value.group, settings.metric, settings.primary.split, settings.selection
    )


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table comparison.csv: does the method beat the baseline?"""
    return [_row(inputs, values, baseline, method) for baseline, method in matched(inputs, values)]


def _row(inputs: Inputs, values: Values, baseline: Value, method: Value) -> dict[str, Any]:
    known = baseline.mean is not None and method.mean is not None
    improvement = method.measure.gain(method.mean, baseline.mean) if known else None
    order = ahead(method, baseline)
    sides = ((baseline, inputs.baseline), (method, inputs.method))
    phrase = [f"{label}: {text}" for value, label in sides if (text := unfinished(value))]
    return {
        "source": method.source, "dataset": method.dataset, "arch": method.arch, "recipe": method.recipe,
        "epochs": method.epochs, "metric": method.metric, "split": method.split, "baseline": baseline.norm,
        "method": method.norm, "baseline_value": baseline.mean, "method_value": method.mean,
        "improvement": improvement, "n_baseline": baseline.n, "n_method": method.n, "n_expected": method.n_expected,
        "holds": None if order is None else order > 0, "counted": decides(inputs, values, method),
        "reason": "; ".join(phrase),
    }  # fmt: skip


def outcome(row: dict[str, Any]) -> str:
    """holds, fails, missing, or baseline_diverged: every run of the baseline diverged and the method has a value."""
    if row["holds"] is None:
        return "missing"
    if row["baseline_value"] is None:
        return "baseline_diverged"
    return "holds" if row["holds"] else "fails"
