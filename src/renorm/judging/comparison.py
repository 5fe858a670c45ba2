"""Method against baseline, within each source, pair by pair: every comparison of the study."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from renorm.core.table_specs import GROUP
from renorm.judging.comparisons import Comparison
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values, ahead
from renorm.judging.pairing import unfinished


class Couple(NamedTuple):
    """Two values of one source that differ in what `comparison` compares."""

    comparison: Comparison
    baseline: Value
    method: Value


def matched(inputs: Inputs, values: Values, metrics: Collection[str] | None = None) -> list[Couple]:
    """The pairs of every comparison and source with both sides; training values stay out."""
    return [couple for comparison in inputs.comparisons for couple in of(comparison, values, metrics)]


def of(comparison: Comparison, values: Values, metrics: Collection[str] | None = None) -> list[Couple]:
    """The pairs of one comparison, of the metrics named, else of each metric of quality."""
    return sorted(_couples(comparison, values, metrics), key=lambda c: (
        c.method.source, c.method.group, c.method.metric, c.method.split, c.method.selection,
    ))  # fmt: skip


def _couples(comparison: Comparison, values: Values, metrics: Collection[str] | None) -> Iterator[Couple]:
    for value in values:
        if comparison.value(value.group) != comparison.method:
            continue
        if value.metric not in metrics if metrics else not value.measure.is_quality:
            continue
        if value.measure.is_quality and value.split == "train":
            continue
        group = comparison.counterpart(value.group)
        other = group and values.find(value.source, group, value.metric, value.split, value.selection)
        if other and (other.split, other.selection) == (value.split, value.selection):
            yield Couple(comparison, other, value)


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
    return [_row(inputs, values, couple) for couple in matched(inputs, values)]


def head(couple: Couple) -> dict[str, Any]:
    """The columns that say which comparison and which pair a row is about; the cell is the method's."""
    comparison, _, method = couple
    return {
        "comparison": comparison.name, "axis": comparison.axis, "source": method.source,
        **dict(zip(GROUP, method.group, strict=True)), "metric": method.metric, "split": method.split,
        "baseline": comparison.baseline, "method": comparison.method,
    }  # fmt: skip


def _row(inputs: Inputs, values: Values, couple: Couple) -> dict[str, Any]:
    comparison, baseline, method = couple
    known = baseline.mean is not None and method.mean is not None
    improvement = method.measure.gain(method.known, baseline.known) if known else None
    order = ahead(method, baseline)
    sides = ((baseline, inputs.baseline(comparison)), (method, inputs.method(comparison)))
    phrase = [f"{label}: {text}" for value, label in sides if (text := unfinished(value))]
    return head(couple) | {
        "baseline_value": baseline.mean, "method_value": method.mean,
        "improvement": improvement, "n_baseline": baseline.n, "n_method": method.n, "n_expected": method.n_expected,
        "order": order, "holds": None if order is None else order > 0, "counted": decides(inputs, values, method),
        "reason": "; ".join(phrase),
    }  # fmt: skip


def outcome(row: dict[str, Any]) -> str:
    """holds, fails, missing, or baseline_diverged: every run of the baseline diverged and the method has a value."""
    if row["holds"] is None:
        return "missing"
    if row["baseline_value"] is None:
        return "baseline_diverged"
    return "holds" if row["holds"] else "fails"
