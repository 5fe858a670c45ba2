"""All normalisers of this study side by side, where more than two were run on the same thing."""

from itertools import groupby
from typing import Any

from renorm.core.metrics import SECONDS, Metric
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values, ratio_of


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table normalisers.csv: the study's metric and training seconds per epoch of every normaliser; not for two."""
    primary = inputs.settings.primary
    found = [v for v in values.of(inputs.study) if v.metric == primary.name and v.split == primary.split]
    found.sort(key=lambda v: (_setting(v), v.norm))
    groups = [list(group) for _, group in groupby(found, _setting)]
    return [row for group in groups if len(group) > 2 for row in _rows(inputs, values, group)]


def _setting(value: Value) -> tuple:
    return value.dataset, value.arch, value.recipe, value.epochs


def _rows(inputs: Inputs, values: Values, group: list[Value]) -> list[dict[str, Any]]:
    times = {v.norm: values.find(inputs.study, v.group, SECONDS, "train") for v in group}
    points = {v.norm: (train.mean if (train := times[v.norm]) else None, v.mean) for v in group}
    baseline = times.get(inputs.settings.baseline)
    ratios = {norm: ratio_of(train, baseline)[0] if train and baseline else None for norm, train in times.items()}
    return [_row(inputs, value, points, ratios[value.norm]) for value in group]


def _row(
    inputs: Inputs, value: Value, points: dict[str, tuple[float | None, float | None]], ratio: float | None
) -> dict[str, Any]:
    seconds, _ = points[value.norm]
    _, base = points.get(inputs.settings.baseline, (None, None))
    _, method = points.get(inputs.settings.method, (None, None))
    return {
        "source": value.source, "dataset": value.dataset, "arch": value.arch, "recipe": value.recipe,
        "epochs": value.epochs, "norm": value.norm, "n": value.n, "n_expected": value.n_expected, "value": value.mean,
        "sd": value.sd, "delta_vs_baseline": _gain(value, base), "delta_vs_method": _gain(value, method),
        "epoch_seconds": seconds / value.epochs if seconds is not None else None,
        "ratio": ratio,
        "pareto_optimal": _is_pareto_optimal(points[value.norm], list(points.values()), value.measure),
    }  # fmt: skip


def _gain(value: Value, other: float | None) -> float | None:
    return None if value.mean is None or other is None else value.measure.gain(value.mean, other)


def _is_pareto_optimal(point: tuple, points: list[tuple], metric: Metric) -> bool | None:
    """Whether no other is at least as fast and as good, and better in one of them; None where one is not known."""
    if None in point:
        return None
    seconds, reached = point
    known = [other for other in points if None not in other and other != point]
    return not any(s <= seconds and metric.gain(value, reached) >= 0 for s, value in known)
