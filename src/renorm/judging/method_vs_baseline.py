"""Is the method better? Per pair a t test with Holm's adjustment, over all pairs the probability of improvement."""

import math
from typing import Any

from renorm.judging import statistics, summary
from renorm.judging.comparison import matched
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values, ahead
from renorm.judging.pairing import unfinished
from renorm.judging.settings import Settings

Couple = tuple[Value, Value]


def couples(inputs: Inputs, values: Values) -> list[Couple]:
    """(baseline, method) of the sources whose single runs are known; the study's own even where runs are missing."""
    return [(b, m) for b, m in matched(inputs, values) if b.reported_as == m.reported_as == "attempts"]


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table method_vs_baseline.csv; the family of Holm's adjustment is a source's pairs of one metric."""
    pairs = couples(inputs, values)
    found = [_row(baseline, method, inputs.settings) for baseline, method in pairs]
    for family in {(r["source"], r["metric"]) for r in found}:
        members = [r for r in found if (r["source"], r["metric"]) == family and r["p"] is not None]
        for row, adjusted in zip(members, statistics.holm([r["p"] for r in members]), strict=True):
            row["p_holm"] = adjusted
    for row, (baseline, method) in zip(found, pairs, strict=True):
        row["outcome"], row["reason"] = _outcome(row, baseline, method, inputs.settings)
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


def _outcome(row: dict[str, Any], baseline: Value, method: Value, settings: Settings) -> tuple[str, str]:
    """The outcome and its reason; no side wins by a test that its own diverged runs took no part in."""
    tails = [f"{value.norm}: {phrase}" for value in (baseline, method) if (phrase := unfinished(value))]
    if row["difference"] is None:
        order = ahead(method, baseline)
        outcome = "missing" if order is None else "better" if order > 0 else "worse"
        return outcome, "; ".join(tails) or "one side has no value"
    if row["p_holm"] is None:
        phrase = "fewer than two runs on a side" if row["test"] == "none" else "the runs have no spread"
        return "undecided", "; ".join([phrase, *tails])
    phrase = f"p = {row['p_holm']:.2g} after Holm's adjustment"
    winner = method if row["difference"] > 0 else baseline
    decided = row["p_holm"] < settings.alpha and not winner.diverged
    outcome = "undecided" if not decided else "better" if winner is method else "worse"
    return outcome, "; ".join([phrase, *tails])


def summarise(inputs: Inputs, values: Values, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of summary.csv: outcomes of the tests, sign test, and the bootstrap over all pairs of each source."""
    out = []
    for source, dataset, part in summary.by_dataset(found):
        for outcome in ("better", "worse", "undecided", "missing"):
            count = sum(r["outcome"] == outcome for r in part)
            label = inputs.source_label(source)
            text = f"{label}: {inputs.method} {outcome} in {count} of {len(part)} pairs (t tests, Holm)"
            out.append(summary.row("method_vs_baseline", source, dataset, outcome, count, len(part), text))
    return out + _sign_tests(inputs, values) + _bootstraps(inputs, couples(inputs, values))


def _sign_tests(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    pairs = [
        {"source": m.source, "dataset": m.dataset, "order": order}
        for b, m in matched(inputs, values)
        if (order := ahead(m, b)) is not None
    ]
    out = []
    for source, dataset, part in summary.by_dataset(pairs):
        wins, losses = (sum(r["order"] == sign for r in part) for sign in (1, -1))
        p = statistics.sign_test(wins, losses)
        phrase = f"{wins} pairs for, {losses} against, {len(part) - wins - losses} equal; sign test p = {p:.2g}"
        out.append(
            summary.row(
                "method_vs_baseline",
                source,
                dataset,
                "sign_test_p",
                p,
                len(part),
                f"{inputs.source_label(source)}: {phrase}",
            )
        )
    return out


def _bootstraps(inputs: Inputs, found: list[Couple]) -> list[dict[str, Any]]:
    out, settings = [], inputs.settings
    usable = [{"source": m.source, "dataset": m.dataset, "metric": m.metric, "runs": (_all_runs(m), _all_runs(b)),
               "finished": (m.attempts, b.attempts)} for b, m in found]  # fmt: skip
    ways = {
        "probability_of_improvement": ("runs", statistics.probability_of_improvement, _chance),
        "mean_improvement": ("finished", statistics.mean_improvement, _gain),
    }
    for source, dataset, part in summary.by_dataset(usable):
        for metric in sorted({r["metric"] for r in part}):
            for name, (key, way, phrase) in ways.items():
                strata = [r[key] for r in part if r["metric"] == metric and all(r[key])]
                if strata:
                    result = way(strata, settings.resamples, settings.bootstrap_seed, settings.level)
                    head = f"{inputs.source_label(source)}: {metric.replace('top', 'top-')}: "
                    text = head + phrase(inputs, result)
                    out += _rows_of(source, dataset, name, metric, result, text)
    return out


def _all_runs(value: Value) -> tuple[float, ...]:
    """The attempts, and below any of them those that diverged."""
    return value.attempts + (-math.inf,) * value.diverged


def _chance(inputs: Inputs, found: statistics.Bootstrapped) -> str:
    phrase = f"a run of {inputs.method} beats one of {inputs.baseline} with probability {found.value:.3f}"
    return phrase + _interval(inputs, found, 1, ".3f")


def _gain(inputs: Inputs, found: statistics.Bootstrapped) -> str:
    return f"mean improvement {found.value * 100:+.2f} points" + _interval(inputs, found, 100, "+.2f")


def _interval(inputs: Inputs, found: statistics.Bootstrapped, factor: int, form: str) -> str:
    if found.interval is None:
        return f" ({found.strata} pairs, no interval: a single run on a side)"
    low, high = (format(factor * end, form) for end in found.interval)
    phrase = f" ({inputs.settings.level:.0%} bootstrap {low} to {high}; {found.strata} pairs"
    return phrase + (f", {found.single} of them with a single run on a side)" if found.single else ")")


def _rows_of(
    source: str, dataset: str, name: str, metric: str, found: statistics.Bootstrapped, text: str
) -> list[dict[str, Any]]:
    numbers = {"": found.value}
    if found.interval:
        numbers |= dict(zip(("_low", "_high"), found.interval, strict=True))
    return [
        summary.row("method_vs_baseline", source, dataset, f"{name}{end}_{metric}", value, found.strata, text)
        for end, value in numbers.items()
    ]
