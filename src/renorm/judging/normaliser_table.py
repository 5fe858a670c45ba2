"""All normalisers of this study side by side, where more than two were run on the same thing."""

from itertools import groupby
from typing import Any

from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table normalisers.csv: test top-1 and training seconds per epoch of every normaliser; not for two."""
    found = [v for v in values.of(inputs.study) if v.metric == "top1" and v.split == "test"]
    found.sort(key=lambda v: (_setting(v), v.norm))
    groups = [list(group) for _, group in groupby(found, _setting)]
    return [row for group in groups if len(group) > 2 for row in _rows(inputs, values, group)]


def _setting(value: Value) -> tuple:
    return value.dataset, value.arch, value.recipe, value.epochs


def _rows(inputs: Inputs, values: Values, group: list[Value]) -> list[dict[str, Any]]:
    seconds = {v.norm: values.find(inputs.study, v.group, "seconds", "train") for v in group}
    points = {v.norm: (seconds[v.norm].mean if seconds[v.norm] else None, v.mean) for v in group}
    return [_row(inputs, value, points) for value in group]


def _row(inputs: Inputs, value: Value, points: dict[str, tuple[float | None, float | None]]) -> dict[str, Any]:
    seconds, _ = points[value.norm]
    base_seconds, base = points.get(inputs.settings.baseline, (None, None))
    _, method = points.get(inputs.settings.method, (None, None))
    return {
        "source": value.source, "dataset": value.dataset, "arch": value.arch, "recipe": value.recipe,
        "epochs": value.epochs, "norm": value.norm, "n": value.n, "n_expected": value.n_expected, "value": value.mean,
        "sd": value.sd, "delta_vs_baseline": _less(value.mean, base), "delta_vs_method": _less(value.mean, method),
        "epoch_seconds": seconds / value.epochs if seconds is not None else None,
        "ratio": seconds / base_seconds if seconds is not None and base_seconds else None,
        "pareto_optimal": _is_pareto_optimal(points[value.norm], list(points.values())),
    }  # fmt: skip


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _is_pareto_optimal(point: tuple, points: list[tuple]) -> bool | None:
    """Whether no other is at least as fast and as accurate, and better in one of them; None where one is not known."""
    if None in point:
        return None
    seconds, accuracy = point
    known = [other for other in points if None not in other and other != point]
    return not any(s <= seconds and a >= accuracy for s, a in known)
