"""How soon: epochs and seconds until a share of the baseline's final value is reached.

A run that never gets there is censored: its time is longer than any that was seen. The medians count such runs; means
over those that got there would compare one side with the other's quickest runs.
"""

import math
from collections import Counter, defaultdict
from typing import Any

import pandas as pd

from renorm.core.metrics import Metric
from renorm.core.table_specs import GROUP
from renorm.judging.comparisons import Comparison
from renorm.judging.inputs import Inputs
from renorm.judging.runtime import geometric_mean
from renorm.judging.summary import by_dataset, row

# Shares of the baseline's final test value, where less is better its multiples by 1 / share; 1 is the cost of an equal
# value.
LEVELS = (0.5, 0.75, 0.9, 0.95, 1.0)


def rows(inputs: Inputs) -> list[dict[str, Any]]:
    """The table convergence.csv, from the curves of completed runs.

    Times are medians over all runs, empty where half of them or more never got there. A diverged run never did.
    """
    done = {tuple(c[k] for k in (*GROUP, "seed")) for c in inputs.cells if c["status"] == "completed"}
    lost = Counter(tuple(c[k] for k in GROUP) for c in inputs.cells if c["status"] == "diverged")
    frame = inputs.histories
    if frame.empty or not done:
        return []
    index = pd.MultiIndex.from_frame(frame[[*GROUP, "seed"]])
    frame = frame[index.isin(list(done))].sort_values([*GROUP, "seed", "epoch"])
    curves = {tuple(group): rows for group, rows in frame.groupby(list(GROUP), sort=True)}
    found = []
    for comparison in inputs.comparisons:
        settings: dict[tuple, dict[str, tuple]] = defaultdict(dict)
        for group in sorted({*curves, *lost}):
            value = comparison.value(group)
            if value is not None:
                settings[comparison.setting(group)][value] = group
        for groups in settings.values():
            found += _setting(inputs, comparison, groups, curves, lost)
    return found


def _setting(
    inputs: Inputs, comparison: Comparison, groups: dict[str, tuple], curves: dict[tuple, pd.DataFrame], lost: Counter
) -> list[dict[str, Any]]:
    """`groups`: value on the comparison's axis → the cell (seed aside) that has it."""
    baseline = curves.get(groups.get(comparison.baseline, ()))
    if baseline is None:
        return []
    metric = inputs.settings.primary
    final = float(baseline.groupby("seed").test_value.last().mean())
    if not math.isfinite(final):
        return []
    parts = {value: curves.get(groups[value], baseline[:0]) for value in sorted(groups)}
    found = []
    for level in LEVELS if final > 0 else (1.0,):
        target = level * final if metric.higher_is_better else final / level
        times = {value: _reached(part, target, lost[groups[value]], metric) for value, part in parts.items()}
        baseline_times = times[comparison.baseline]
        base = baseline_times["seconds_needed"]
        for value, reached in times.items():
            seconds = reached["seconds_needed"]
            found.append({
                "comparison": comparison.name, "source": inputs.study,
                **dict(zip(GROUP, groups[value], strict=True)), "axis_value": value,
                "level": level, "target": target, **reached,
                "baseline_n": baseline_times["n"], "baseline_n_reached": baseline_times["n_reached"],
                "baseline_seconds_needed": base, "ratio": seconds / base if seconds and base else None,
            })  # fmt: skip
    return found


def _reached(curves: pd.DataFrame, target: float, diverged: int, metric: Metric) -> dict[str, Any]:
    """When the curves reach `target`: median epochs, and median seconds of training until the end of that epoch."""
    epochs, seconds = [math.inf] * diverged, [math.inf] * diverged
    for _, curve in curves.groupby("seed"):
        values = curve.test_value.to_numpy()
        hit = values >= target - 1e-12 if metric.higher_is_better else values <= target + 1e-12
        epochs.append(float(curve.epoch.iloc[hit.argmax()]) if hit.any() else math.inf)
        seconds.append(float(curve.train_seconds.iloc[: hit.argmax() + 1].sum()) if hit.any() else math.inf)
    times = {"epochs_needed": epochs, "seconds_needed": seconds}
    reached = sum(map(math.isfinite, epochs))
    return {"n": len(epochs), "n_reached": reached} | {key: _median(found) for key, found in times.items()}


def _median(times: list[float]) -> float | None:
    """The median of times of which some are infinite; None where it is infinite itself."""
    ordered, n = sorted(times), len(times)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n else math.inf
    return middle if math.isfinite(middle) else None


def summarise(inputs: Inputs, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of summary.csv: the cost of the baseline's final value."""
    out = []
    for one in inputs.comparisons:
        of_method = [r for r in found if r["comparison"] == one.name and r["axis_value"] == one.method]
        out += [r | {"comparison": one.name} for r in _equal_accuracy(inputs, one, of_method)]
    return out


def _equal_accuracy(inputs: Inputs, one: Comparison, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out, method, baseline = [], inputs.method(one), inputs.baseline(one)
    for source, dataset, part in by_dataset([r for r in found if r["level"] == 1]):
        label, ratios = inputs.source_label(source), [r["ratio"] for r in part if r["ratio"]]
        reached = sum(r["n_reached"] == r["n"] for r in part)
        text = f"{label}: {method} reaches the mean final {_what(inputs)} of {baseline} "
        text += f"with every run in {reached} of {len(part)} settings"
        out.append(row("convergence", source, dataset, "reached", reached, len(part), text))
        if ratios:
            mean = geometric_mean(ratios)
            text = f"{label}: median time to the mean final {_what(inputs)} of {baseline}: {mean:.2f} times "
            text += f"that of {baseline} (geometric mean of {len(ratios)} setting{'s' * (len(ratios) != 1)})"
            text += _censored(method, baseline, part)
            out.append(row("convergence", source, dataset, "time_ratio", mean, len(ratios), text))
    return out


def _what(inputs: Inputs) -> str:
    return inputs.settings.primary.quality


def _censored(method: str, baseline: str, part: list[dict[str, Any]]) -> str:
    """Which runs never got there, and how many settings have no ratio for that reason."""
    lost, n = sum(r["n"] - r["n_reached"] for r in part), sum(r["n"] for r in part)
    base = sum(r["baseline_n"] - r["baseline_n_reached"] for r in part)
    phrase = f"; not reached in {lost} of {n} runs of {method} and in {base} of "
    phrase += f"{sum(r['baseline_n'] for r in part)} of {baseline}"
    without = sum(not r["ratio"] for r in part)
    return phrase + (f"; {without} settings without a median on both sides" if without else "") if lost or base else ""
