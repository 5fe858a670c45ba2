"""How soon: epochs and seconds until a share of the baseline's final accuracy is reached."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pandas as pd

from renorm.judging.inputs import Inputs
from renorm.judging.runtime import geometric_mean
from renorm.judging.summary import by_dataset, row

LEVELS = (0.5, 0.75, 0.9, 0.95, 1.0)  # shares of the baseline's final test accuracy; 1 is the cost of equal accuracy
SETTING = ["dataset", "arch", "recipe", "epochs"]


def rows(inputs: Inputs) -> list[dict[str, Any]]:
    """The table convergence.csv, from the curves of completed runs; means are over the runs that got there.

    A diverged run counts in n: it never got there.
    """
    done = {tuple(c[k] for k in (*SETTING, "norm", "seed")) for c in inputs.cells if c["status"] == "completed"}
    lost: dict[tuple, Counter] = defaultdict(Counter)
    for cell in inputs.cells:
        if cell["status"] == "diverged":
            lost[tuple(cell[k] for k in SETTING)][cell["norm"]] += 1
    frame = inputs.histories
    if frame.empty or not done:
        return []
    index = pd.MultiIndex.from_frame(frame[[*SETTING, "norm", "seed"]])
    frame = frame[index.isin(list(done))].sort_values([*SETTING, "norm", "seed", "epoch"])
    found = []
    for setting, curves in frame.groupby(SETTING, sort=True):
        found += _setting(inputs, dict(zip(SETTING, setting, strict=True)), curves, lost[setting])
    return found


def _setting(inputs: Inputs, setting: dict[str, Any], curves: pd.DataFrame, diverged: Counter) -> list[dict[str, Any]]:
    baseline = curves[curves.norm == inputs.settings.baseline]
    if baseline.empty:
        return []
    final = float(baseline.groupby("seed").test_top1.last().mean())
    parts = {norm: curves[curves.norm == norm] for norm in sorted({*curves.norm, *diverged})}
    found = []
    for level in LEVELS:
        times = {norm: _reached(part, level * final, diverged[norm]) for norm, part in parts.items()}
        base = times[inputs.settings.baseline]["seconds_needed"]
        for norm, reached in times.items():
            seconds = reached["seconds_needed"]
            found.append({
                "source": inputs.study, **setting, "norm": norm, "level": level, "target": level * final, **reached,
                "baseline_seconds_needed": base, "ratio": seconds / base if seconds and base else None,
            })  # fmt: skip
    return found


def _reached(curves: pd.DataFrame, target: float, diverged: int) -> dict[str, Any]:
    """When the curves first reach `target`: mean epochs and mean seconds of training until the end of that epoch."""
    epochs, seconds, n = [], [], diverged
    for _, curve in curves.groupby("seed"):
        n += 1
        hit = curve.test_top1.to_numpy() >= target - 1e-12
        if hit.any():
            epochs.append(float(curve.epoch.iloc[hit.argmax()]))
            seconds.append(float(curve.train_seconds.iloc[: hit.argmax() + 1].sum()))
    mean = {"epochs_needed": epochs, "seconds_needed": seconds}
    return {"n": n, "n_reached": len(epochs)} | {k: float(np.mean(v)) if v else None for k, v in mean.items()}


def summarise(inputs: Inputs, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of summary.csv: the cost of the baseline's final accuracy."""
    equal = [r for r in found if r["level"] == 1 and r["norm"] == inputs.settings.method]
    out = []
    for source, dataset, part in by_dataset(equal):
        ratios = [r["ratio"] for r in part if r["ratio"] and r["n_reached"] == r["n"]]
        reached = sum(r["n_reached"] == r["n"] for r in part)
        text = f"{inputs.source_label(source)}: {inputs.method} reaches the final accuracy of "
        text += f"{inputs.baseline} with every run in {reached} of {len(part)} settings"
        out.append(row("convergence", source, dataset, "reached", reached, len(part), text))
        if ratios:
            mean = geometric_mean(ratios)
            text = f"{inputs.source_label(source)}: time to the final accuracy of {inputs.baseline}: "
            text += f"{mean:.2f} times that of {inputs.baseline} (geometric mean of {len(ratios)})"
            out.append(row("convergence", source, dataset, "time_ratio", mean, len(ratios), text))
    return out
