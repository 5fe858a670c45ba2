"""Is the method better? Per pair a t test with Holm's adjustment, over all pairs the probability of improvement."""

import math
from collections.abc import Callable
from typing import Any

from renorm.judging import intervals, statistics, summary
from renorm.judging.comparison import Couple, decides, head, matched, of
from renorm.judging.comparisons import Comparison
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values, ahead
from renorm.judging.pairing import unfinished

OUTCOMES = ("better", "worse", "undecided", "missing")


def couples(inputs: Inputs, values: Values) -> list[Couple]:
    """The pairs of the sources whose single runs are known; the study's own even where runs are missing."""
    return [c for c in matched(inputs, values) if c.baseline.reported_as == c.method.reported_as == "attempts"]


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table method_vs_baseline.csv; the family of Holm's adjustment is what a source has of one comparison.

    The pairs that are counted are one family; what is beside them (other metrics, other selected epochs) is another.
    """
    pairs = couples(inputs, values)
    found = [_row(inputs, values, couple) for couple in pairs]
    for family in {_family(row) for row in found}:
        members = [row for row in found if _family(row) == family and row["p"] is not None]
        for row, adjusted in zip(members, statistics.holm([r["p"] for r in members]), strict=True):
            row["p_holm"] = adjusted
    for row, couple in zip(found, pairs, strict=True):
        row["outcome"], row["reason"] = _outcome(inputs, row, couple)
    return found


def _family(row: dict[str, Any]) -> tuple:
    return row["comparison"], row["source"], row["metric"], row["counted"]


def _row(inputs: Inputs, values: Values, couple: Couple) -> dict[str, Any]:
    _, baseline, method = couple
    tested = intervals.compare(method.runs, baseline.runs, inputs.settings.level)
    row = head(couple) | {
        "n_baseline": baseline.n, "n_method": method.n, "n_pairs": tested.n_pairs,
        "test": tested.test, "difference": None, "p": None, "p_holm": None,
        "counted": decides(inputs, values, method),
    }  # fmt: skip
    found = tested.difference
    if found is None:
        known = baseline.mean is not None and method.mean is not None
        return row | {"difference": method.measure.gain(method.known, baseline.known) if known else None}
    sign = 1 if method.measure.higher_is_better else -1
    low, high = sorted((sign * found.low, sign * found.high))
    return row | {
        "difference": sign * found.value, "low": low, "high": high, "statistic": sign * found.statistic, "df": found.df,
        "p": None if math.isnan(found.p) else found.p,
    }  # fmt: skip


def _outcome(inputs: Inputs, row: dict[str, Any], couple: Couple) -> tuple[str, str]:
    """The outcome and its reason; no side wins by a test that its own diverged runs took no part in."""
    comparison, baseline, method = couple
    sides = ((comparison.baseline, baseline), (comparison.method, method))
    tails = [f"{name}: {text}" for name, value in sides if (text := unfinished(value))]
    if row["difference"] is None:
        order = ahead(method, baseline)
        outcome = "missing" if order is None else "better" if order > 0 else "worse"
        return outcome, "; ".join(tails) or "one side has no value"
    if row["p_holm"] is None:
        why = "fewer than two runs on a side" if row["test"] == "none" else "the runs have no spread"
        return "undecided", "; ".join([why, *tails])
    phrase = f"p = {row['p_holm']:.2g} after Holm's adjustment"
    winner = method if row["difference"] > 0 else baseline
    decided = row["p_holm"] < inputs.settings.alpha and not winner.diverged
    outcome = "undecided" if not decided else "better" if winner is method else "worse"
    return outcome, "; ".join([phrase, *tails])


def summarise(inputs: Inputs, values: Values, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of summary.csv: outcomes of the tests, sign test, and the intervals over all pairs of each source."""
    out = []
    for comparison in inputs.comparisons:
        own = [row for row in found if row["counted"] and row["comparison"] == comparison.name]
        rows = [*_counts(inputs, comparison, own), *_sign_tests(inputs, values, comparison),
                *_over_pairs(inputs, values, comparison)]  # fmt: skip
        out += [row | {"comparison": comparison.name} for row in rows]
    return out


def _counts(inputs: Inputs, comparison: Comparison, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out, method = [], inputs.method(comparison)
    for source, dataset, part in summary.by_dataset(found):
        tested = sum(row["p_holm"] is not None for row in part)
        diverged = sum(row["p_holm"] is None and row["outcome"] in ("better", "worse") for row in part)
        for outcome in OUTCOMES:
            count = sum(r["outcome"] == outcome for r in part)
            label = inputs.source_label(source)
            text = f"{label}: {method} {outcome} in {count} of {len(part)} pair{'s' * (len(part) != 1)} "
            text += f"({_how(tested, len(part))}{f'; {diverged} decided by divergence' if diverged else ''})"
            out.append(summary.row("method_vs_baseline", source, dataset, outcome, count, len(part), text))
    return out


def _how(tested: int, pairs: int) -> str:
    if not tested:
        return "no pair has the runs for a test"
    return "t tests, Holm" if tested == pairs else f"t tests, Holm, in {tested} of them"


def _sign_tests(inputs: Inputs, values: Values, comparison: Comparison) -> list[dict[str, Any]]:
    pairs = [
        {"source": m.source, "dataset": m.dataset, "order": order}
        for _, b, m in of(comparison, values)
        if decides(inputs, values, m) and (order := ahead(m, b)) is not None
    ]
    out = []
    for source, dataset, part in summary.by_dataset(pairs):
        wins, losses = (sum(r["order"] == sign for r in part) for sign in (1, -1))
        if not wins + losses:
            continue  # nobody is ahead anywhere: there is nothing to test
        p = statistics.sign_test(wins, losses)
        phrase = f"{wins} pair{'s' * (wins != 1)} for, {losses} against, {len(part) - wins - losses} undecided; "
        phrase += f"sign test p = {p:.2g}"
        text = f"{inputs.source_label(source)}: {phrase}"
        out.append(summary.row("method_vs_baseline", source, dataset, "sign_test_p", p, len(part), text))
    return out


def _over_pairs(inputs: Inputs, values: Values, comparison: Comparison) -> list[dict[str, Any]]:
    out, settings = [], inputs.settings
    usable = [
        {"source": m.source, "dataset": m.dataset, "runs": (_all_runs(m), _all_runs(b)),
         "finished": ((), ()) if m.diverged or b.diverged else (_gains(m), _gains(b)), "paired": _same_seeds(b, m)}
        for of_, b, m in couples(inputs, values)
        if of_ is comparison and decides(inputs, values, m) and (m.attempts or b.attempts)
    ]  # fmt: skip
    ways = {
        "probability_of_improvement": ("runs", intervals.probability_of_improvement, _chance),
        # Of runs that all finished: a mean of those that are left is not what the method improves by.
        "mean_improvement": ("finished", intervals.mean_improvement, _gain),
    }
    for source, dataset, part in summary.by_dataset(usable):
        for name, (key, way, words) in ways.items():
            known = [r for r in part if all(r[key])]
            if known:
                seeds = all(r["paired"] for r in known)
                strata = [r[key] for r in known]
                result = way(strata, settings.resamples, settings.bootstrap_seed, settings.level, seeds)
                text = f"{inputs.source_label(source)}: {settings.primary.label}: {words(inputs, comparison, result)}"
                lost = sum(any(r["runs"]) for r in part) - len(known) if key == "finished" else 0
                text += (
                    f"; without {lost} pair{'s' * (lost != 1)} in which runs diverged or are missing" if lost else ""
                )
                out += _rows_of(source, dataset, name, result, text)
    return out


def _same_seeds(baseline: Value, method: Value) -> bool:
    """Whether the runs of both sides can change sides seed by seed."""
    complete = not (baseline.diverged or method.diverged)
    return baseline.seeded and method.seeded and baseline.seeds == method.seeds and complete


def _all_runs(value: Value) -> tuple[float, ...]:
    """The attempts as gains, and below any of them those that diverged."""
    return _gains(value) + (-math.inf,) * value.diverged


def _gains(value: Value) -> tuple[float, ...]:
    """The attempts so that more is better."""
    return tuple(value.measure.gain(x, 0.0) for x in value.attempts)


def _chance(inputs: Inputs, comparison: Comparison, found: intervals.OverPairs) -> str:
    method, baseline = inputs.method(comparison), inputs.baseline(comparison)
    phrase = f"a run of {method} beats one of {baseline} with probability {found.value:.3f}"
    return phrase + _interval(inputs, comparison, found, "{:.3f}".format)


def _gain(inputs: Inputs, comparison: Comparison, found: intervals.OverPairs) -> str:
    words = inputs.settings.primary.difference_text
    return f"mean improvement {words(found.value)}" + _interval(inputs, comparison, found, words)


def _interval(inputs: Inputs, comparison: Comparison, found: intervals.OverPairs, words: Callable[[float], str]) -> str:
    """The interval or why there is none, and the permutation test over seeds and pairs."""
    phrase = f" ({found.pairs} pair{'s' * (found.pairs != 1)}; "
    if found.interval:
        low, high = map(words, found.interval)
        phrase += f"{inputs.settings.level:.0%} bootstrap over pairs and seeds {low} to {high}"
    else:
        why = found.why_none.replace("the method", inputs.method(comparison))
        phrase += why.replace("the baseline", inputs.baseline(comparison))
    kind = "exact permutation" if found.exact else "permutation"
    return phrase + (f"; {kind} p = {found.p:.2g})" if math.isfinite(found.p) else ")")


def _rows_of(source: str, dataset: str, name: str, found: intervals.OverPairs, text: str) -> list[dict[str, Any]]:
    numbers = {"": found.value, "_p": found.p}
    if found.interval:
        numbers |= dict(zip(("_low", "_high"), found.interval, strict=True))
    return [
        summary.row("method_vs_baseline", source, dataset, f"{name}{end}", value, found.pairs, text)
        for end, value in numbers.items()
    ]
