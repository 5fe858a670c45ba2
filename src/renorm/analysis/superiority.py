"""Is the method better? Per pair a t test with Holm's adjustment, over all pairs the probability of improvement."""

import math
from typing import Any

from renorm.analysis import statistics, summary
from renorm.analysis.comparison import matched
from renorm.analysis.inputs import Inputs
from renorm.analysis.settings import Settings
from renorm.analysis.values import Value, Values

COLUMNS = (
    "source", "dataset", "arch", "recipe", "epochs", "metric", "split", "baseline", "method", "n_baseline", "n_method",
    "n_pairs", "test", "difference", "low", "high", "statistic", "df", "p", "p_holm", "outcome", "reason",
)  # fmt: skip
Couple = tuple[Value, Value]


def couples(inputs: Inputs, values: Values) -> list[Couple]:
    """(baseline, method) of the sources whose single runs are known; the study's own even where runs are missing."""
    return [(b, m) for b, m in matched(inputs, values) if b.basis == m.basis == "attempts"]


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table superiority.csv; the family of Holm's adjustment is a source's pairs of one metric."""
    found = [_row(baseline, method, inputs.settings) for baseline, method in couples(inputs, values)]
    for family in {(r["source"], r["metric"]) for r in found}:
        members = [r for r in found if (r["source"], r["metric"]) == family and r["p"] is not None]
        for row, adjusted in zip(members, statistics.holm([r["p"] for r in members]), strict=True):
            row["p_holm"] = adjusted
    for row in found:
        row["outcome"], row["reason"] = _outcome(row, inputs.settings)
    return found


def tested(baseline: Value, method: Value, level: float) -> tuple[str, int, statistics.Difference | None]:
    """Paired by seed where two seeds or more are common (a seed fixes data order and initialisation), else Welch."""
    by_seed = dict(zip(baseline.seeds, baseline.attempts, strict=True))
    common = [(x, by_seed[seed]) for seed, x in zip(method.seeds, method.attempts, strict=True) if seed in by_seed]
    if len(common) >= 2:
        return "paired t", len(common), statistics.paired(*zip(*common, strict=True), level)
    if min(len(baseline.attempts), len(method.attempts)) >= 2:
        return "Welch t", 0, statistics.welch(method.attempts, baseline.attempts, level)
    return "none", len(common), None


def _row(baseline: Value, method: Value, settings: Settings) -> dict[str, Any]:
    kind, n_pairs, found = tested(baseline, method, settings.level)
    row = {
        "source": method.source, "dataset": method.dataset, "arch": method.arch, "recipe": method.recipe,
        "epochs": method.epochs, "metric": method.metric, "split": method.split, "baseline": baseline.norm,
        "method": method.norm, "n_baseline": baseline.n, "n_method": method.n, "n_pairs": n_pairs, "test": kind,
        "difference": None, "p": None, "p_holm": None,
    }  # fmt: skip
    if found is None:
        known = baseline.mean is not None and method.mean is not None
        return row | {"difference": method.mean - baseline.mean if known else None}
    return row | {
        "difference": found.value, "low": found.low, "high": found.high, "statistic": found.statistic, "df": found.df,
        "p": None if math.isnan(found.p) else found.p,
    }  # fmt: skip


def _outcome(row: dict[str, Any], settings: Settings) -> tuple[str, str]:
    if row["difference"] is None:
        return "missing", "one side has no value"
    if row["p_holm"] is None:
        return "undecided", "fewer than two runs on a side" if row["test"] == "none" else "the runs have no spread"
    if row["p_holm"] >= settings.alpha:
        return "undecided", f"p = {row['p_holm']:.2g} after Holm's adjustment"
    return ("better" if row["difference"] > 0 else "worse"), f"p = {row['p_holm']:.2g} after Holm's adjustment"


def summarise(inputs: Inputs, values: Values, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of summary.csv: outcomes of the tests, sign test, and the bootstrap over all pairs of each source."""
    out = []
    for source, dataset, part in summary.by_dataset(found):
        for outcome in ("better", "worse", "undecided", "missing"):
            count = sum(r["outcome"] == outcome for r in part)
            label = inputs.source_label(source)
            text = f"{label}: {inputs.method} {outcome} in {count} of {len(part)} pairs (t tests, Holm)"
            out.append(summary.row("superiority", source, dataset, outcome, count, len(part), text))
    return out + _sign_tests(inputs, values) + _bootstraps(inputs, couples(inputs, values))


def _sign_tests(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    pairs = [
        {"source": m.source, "dataset": m.dataset, "gain": m.mean - b.mean}
        for b, m in matched(inputs, values)
        if b.mean is not None and m.mean is not None
    ]
    out = []
    for source, dataset, part in summary.by_dataset(pairs):
        wins, losses = (sum(sign * r["gain"] > 1e-9 for r in part) for sign in (1, -1))
        p = statistics.sign_test(wins, losses)
        told = f"{wins} pairs for, {losses} against, {len(part) - wins - losses} equal; sign test p = {p:.2g}"
        out.append(
            summary.row(
                "superiority", source, dataset, "sign_test_p", p, len(part), f"{inputs.source_label(source)}: {told}"
            )
        )
    return out


def _bootstraps(inputs: Inputs, found: list[Couple]) -> list[dict[str, Any]]:
    out, settings = [], inputs.settings
    usable = [{"source": m.source, "dataset": m.dataset, "metric": m.metric, "runs": (m.attempts, b.attempts)}
              for b, m in found if b.attempts and m.attempts]  # fmt: skip
    for source, dataset, part in summary.by_dataset(usable):
        for metric in sorted({r["metric"] for r in part}):
            strata = [r["runs"] for r in part if r["metric"] == metric]
            gain = statistics.stratified_bootstrap(strata, settings.resamples, settings.bootstrap_seed, settings.level)
            out += _told(inputs, source, dataset, metric, len(strata), gain)
    return out


def _told(inputs: Inputs, source: str, dataset: str, metric: str, n: int, gain: statistics.Improvement) -> list[dict]:
    label, level = inputs.source_label(source), f"{inputs.settings.level:.0%}"
    low, high = gain.probability_interval
    bottom, top = gain.mean_interval
    told = metric.replace("top", "top-")
    chance = f"{label}: {told}: a run of {inputs.method} beats one of {inputs.baseline} with "
    chance += f"probability {gain.probability:.3f} ({level} bootstrap {low:.3f} to {high:.3f}; {n} pairs)"
    mean = f"{label}: {told}: mean improvement {gain.mean * 100:+.2f} points "
    mean += f"({level} bootstrap {bottom * 100:+.2f} to {top * 100:+.2f}; {n} pairs)"
    numbers = {
        "probability_of_improvement": (gain.probability, chance), "probability_of_improvement_low": (low, chance),
        "probability_of_improvement_high": (high, chance), "mean_improvement": (gain.mean, mean),
        "mean_improvement_low": (bottom, mean), "mean_improvement_high": (top, mean),
    }  # fmt: skip
    return [
        summary.row("superiority", source, dataset, f"{name}_{metric}", value, n, text)
        for name, (value, text) in numbers.items()
    ]
