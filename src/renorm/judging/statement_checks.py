"""The named checks that a published sentence may ask for; a statement gives a name and parameters, no code.

Every check looks at one source through a `View`. On the paper's own tables a printed number must be met exactly; on
other sources the same sentence is read as a bound, since nobody expects another study to count the same 36 of 60.

Numbers in parameters (`percent`, `points`) are in the unit that their metric is printed in: percent and points of
shares, its own unit of any other. Above and gain mean better: of a loss, less.
"""

import inspect
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import pandas as pd
from scipy.stats import f as f_test

from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import SECONDS, TINY
from renorm.core.table_specs import GROUP
from renorm.judging import comparison
from renorm.judging.comparisons import Comparison
from renorm.judging.noise import compare, doubtful, doubtful_bound
from renorm.judging.observations import Value, Values, ahead, ratio_of
from renorm.judging.pairing import Pair, rule_verdict
from renorm.judging.repeat_consistency import deviation
from renorm.judging.settings import Settings
from renorm.judging.statistics import ROUNDING

HOLDS, FAILS, OPEN = "holds", "fails", "not testable"
HOLDS_IN_NOISE, FAILS_IN_NOISE = "holds within noise", "fails within noise"
OUTCOMES = (HOLDS, HOLDS_IN_NOISE, FAILS_IN_NOISE, FAILS, OPEN)
CHECKS: dict[str, Callable] = {}
Verdict = Literal["better", "within", "below", "reproduced"]
ThresholdKind = Literal["relative", "absolute"]
End = Literal["largest", "smallest"]
Quantity = Literal["value", "difference"]
Axis = Literal["dataset", "arch", "norm", "recipe", "epochs"]
Direction = Literal["rises", "falls"]
Answers = list[bool | None]  # one for each thing looked at; None where a value is missing


@dataclass(frozen=True)
class Outcome:
    """What a check found: the outcome, the count behind it, and the finding in words."""

    outcome: str
    counted: float | None
    of: float | None
    found: str

    def but(self, phrase: str) -> "Outcome":
        """The same with more words behind the finding."""
        return replace(self, found=self.found + phrase)


@dataclass(frozen=True)
class View:
    """One source's values, and its answers to the original's claims; `own` when the statement is its own.

    `statement_cells`: the cells (seed aside) that the statement's own source has values of. Which is last or first of
    all depends on the cells compared: such sentences are checked on these cells alone.
    """

    source: str
    own: bool
    settings: Settings
    values: list[Value] = field(repr=False)
    pairs: list[Pair] = field(repr=False)
    statement_cells: frozenset[tuple] = field(repr=False)
    curves: pd.DataFrame | None = field(repr=False, default=None)
    comparison: Comparison | None = None  # the study's that the statement names; else the first of normalisers

    def at_epoch(self, value: Value, epoch: int) -> float | None:
        """Mean test value of the value's runs after `epoch`, from the curves; None where there are none."""
        if self.curves is None or self.curves.empty:
            return None
        rows = self.curves[self.curves.epoch == epoch]
        for key in GROUP:
            rows = rows[rows[key] == getattr(value, key)]
        return float(rows.test_value.mean()) if rows.test_value.notna().any() else None

    def select(self, where: dict | None, **more: Any) -> list[Value]:
        return [v for v in self.values if matches(v, where) and matches(v, more)]

    def in_scope(self, values: Iterable[Value]) -> list[Value]:
        """Those of `values` that the statement's own source has too."""
        return [v for v in values if v.group in self.statement_cells]

    def measured(self, where: dict | None, **more: Any) -> list[Value]:
        """Those of the study's metric; where `where` names others, those of quality among them."""
        named = "metric" in (where or {})
        found = self.select(where, **more)
        return [v for v in found if (v.measure.is_quality if named else v.metric == self.settings.metric)]

    def couples(
        self, method: str, baseline: str, where: dict | None, metric: str | None = None
    ) -> list[tuple[Value, Value]]:
        """(method, baseline) that differ in what is compared alone; of `metric`, else as `measured` takes them.

        What is compared is the statement's comparison, else two normalisers: those named, else the study's first.
        """
        if self.comparison:
            metrics = [metric] if metric else {v.metric for v in self.measured(where)}
            pairs = comparison.of(self.comparison, Values(self.values), metrics)
            return [(couple.method, couple.baseline) for couple in pairs if matches(couple.method, where)]
        others = {key_without(v, "norm"): v for v in self.values if v.norm == (baseline or self.settings.baseline)}
        found = self.select(where, metric=metric) if metric else self.measured(where)
        wanted = [v for v in found if v.norm == (method or self.settings.method)]
        return [(v, others[key_without(v, "norm")]) for v in wanted if key_without(v, "norm") in others]


def key_without(value: Value, *left_out: str) -> tuple:
    keys = (*GROUP, "metric", "split", "selection")
    return tuple(getattr(value, key) for key in keys if key not in left_out)


def matches(value: Value, where: dict | None) -> bool:
    """Does the value's cell have these columns? A list means any of them."""
    for key, wanted in (where or {}).items():
        if getattr(value, key) not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def check(function: Callable) -> Callable:
    """Register `function` under its name."""
    CHECKS[function.__name__] = function
    return function


def run(name: str, view: View, parameters: dict[str, Any], where: str) -> Outcome:
    """The outcome of the check `name`, after `validate`."""
    validate(name, parameters, where)
    return CHECKS[name](view, **parameters)


def check_comparison(name: str, where: str) -> None:
    """Raise `RenormError` where the check `name` compares nothing, so that no comparison can be named for it."""
    if name in CHECKS and "baseline" not in inspect.signature(CHECKS[name]).parameters:
        raise RenormError(f"{where}: comparison: the check '{name}' compares no method with a baseline: leave it out")


def validate(name: str, parameters: dict[str, Any], where: str) -> None:
    """Raise `RenormError`, one line that begins with `where`, for a wrong name or parameter."""
    if name not in CHECKS:
        raise RenormError(f"{where}: check: unknown '{name}': {suggest(name, CHECKS)}")
    known = dict(list(inspect.signature(CHECKS[name]).parameters.items())[1:])
    for key, value in parameters.items():
        if key not in known:
            raise RenormError(f"{where}: parameters.{key}: unknown: {suggest(key, known)}")
        kind = known[key].annotation
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise RenormError(f"{where}: parameters.{key}: unknown {value!r}: {suggest(value, get_args(kind))}")
        if not _fits(value, kind):
            phrase = kind.__name__ if type(kind) is type else str(kind)
            raise RenormError(f"{where}: parameters.{key}: {value!r} is not a {phrase}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in parameters:
            raise RenormError(f"{where}: parameters.{key}: is missing: add it")
    for key in parameters.get("where") or {}:
        if key not in (*GROUP, "metric"):
            raise RenormError(f"{where}: parameters.where.{key}: unknown: {suggest(key, (*GROUP, 'metric'))}")


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if isinstance(kind, UnionType):
        return any(_fits(value, part) for part in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(part, get_args(kind)[0]) for part in value)
    return isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)


def tally(answers: Answers, at_least: float, phrase: str, doubts: Iterable[bool] = ()) -> Outcome:
    """Holds when `at_least` that share of all answers are yes, whatever is missing; fails when it is out of reach.

    `doubts`: whether each answer may be chance; the outcome is "within noise" where the other answers alone would not
    have decided it.
    """
    yes, missing, of = answers.count(True), answers.count(None), len(answers)
    unsure = [answer for answer, doubt in zip(answers, doubts, strict=False) if doubt and answer is not None]
    found = f"{yes} of {of} {phrase}" + (f", {missing} without a value" if missing else "")
    found += f", {len(unsure)} within noise" if unsure else ""
    if not of:
        return Outcome(OPEN, None, None, "no such values")
    needed = at_least * of - TINY
    if yes >= needed:
        return Outcome(HOLDS if yes - unsure.count(True) >= needed else HOLDS_IN_NOISE, yes, of, found)
    if yes + missing < needed:
        out_of_reach = yes + missing + unsure.count(False) < needed
        return Outcome(FAILS if out_of_reach else FAILS_IN_NOISE, yes, of, found)
    return Outcome(OPEN, yes, of, found)


def _greater(a: Value, b: Value) -> bool | None:
    """Is a better than b? None where that cannot be said."""
    found = ahead(a, b)
    return None if found is None else found > 0


def _fair(answer: bool | None, a: Value, b: Value) -> bool | None:
    """The answer about the means of `a` and `b`, where runs of theirs diverged.

    What `a` achieves by the runs that are left while more of its runs diverged it does not achieve; and what it misses
    by the mean of those that are left of `b`, while more of those diverged, cannot be said.
    """
    lost = a.share_diverged - b.share_diverged
    if not lost or answer is None or not a.measure.is_quality:
        return answer
    if lost > 0:
        return False
    return True if answer else None


def _diverged(a: Value, b: Value) -> bool | None:
    """False where `a` diverged in every run and `b` did not: whatever it was to be better at, it is not."""
    return False if a.all_diverged and b.mean is not None else None


@check
def method_beats_baseline(
    view: View, method: str = "", baseline: str = "", where: dict | None = None, at_least: float = 1.0
) -> Outcome:
    """The method is better than the baseline in at least `at_least` of the pairs."""
    return _pairs(view, view.couples(method, baseline, where), at_least, "pairs better")


@check
def method_slower(
    view: View, method: str = "", baseline: str = "", where: dict | None = None, at_least: float = 1.0
) -> Outcome:
    """Training takes longer with the method in at least `at_least` of the pairs."""
    couples = [(b, m) for m, b in view.couples(method, baseline, where, SECONDS)]
    return _pairs(view, couples, at_least, "pairs take longer")


def _pairs(view: View, couples: list[tuple[Value, Value]], at_least: float, phrase: str) -> Outcome:
    doubts = [doubtful(m, b, view.settings) for m, b in couples]
    return tally([_greater(m, b) for m, b in couples], at_least, phrase, doubts)


@check
def verdict_count(
    view: View, verdict: Verdict, count: int, of: int, threshold: float = 0.1, kind: ThresholdKind = "relative",
    where: dict | None = None,
) -> Outcome:  # fmt: skip
    """`count` of `of` values get `verdict` against the claims; reproduced is better or within."""
    rule = Settings(threshold=threshold, threshold_kind=kind)
    wanted = ("better", "within") if verdict == "reproduced" else (verdict,)
    answers: Answers = []
    for pair in view.pairs:
        if matches(pair.value, where):
            found = rule_verdict(pair.claim, pair.value, rule)
            # A diverged run is worse than any claim.
            found = "below" if found == "diverged" else found
            survivors = pair.value.diverged > 0 and found in ("better", "within")
            answers.append(None if found == "missing" or survivors else found in wanted)
    if not view.own or not answers:
        return tally(answers, count / of, verdict)
    yes = answers.count(True)
    return Outcome(
        HOLDS if (yes, len(answers)) == (count, of) else FAILS, yes, len(answers), f"{yes} of {len(answers)} {verdict}"
    )


@check
def deviation_range(view: View, low: float, high: float, digits: int = 2, where: dict | None = None) -> Outcome:
    """The squared deviations from the claims run from `low` to `high` (elsewhere: stay below `high`)."""
    found = [_deviation(p) for p in view.pairs if matches(p.value, where)]
    return _range(view, found, low, high, digits, bounded_below=False)


def _deviation(pair: Pair) -> float | None:
    """Infinite where every run diverged; of a cell's other runs alone it is not known."""
    if pair.value.all_diverged:
        return math.inf
    return None if pair.value.diverged else deviation(pair.claim.known, pair.value)


@check
def consistent(view: View, threshold: float = 0.5, where: dict | None = None, at_least: float = 1.0) -> Outcome:
    """The squared deviations from the claims are below the threshold."""
    asked = [p for p in view.pairs if matches(p.value, where)]
    found = [_deviation(p) for p in asked]
    return tally([None if x is None else x < threshold for x in found], at_least, f"deviations below {threshold:g}")


@check
def growth_range(
    view: View, low: float, high: float, method: str = "", baseline: str = "", where: dict | None = None,
    digits: int = 0,
) -> Outcome:  # fmt: skip
    """Training time grows by `low` to `high` percent from baseline to method."""
    couples = view.couples(method, baseline, where, SECONDS)
    found = [None if ratio is None else (ratio - 1) * 100 for ratio, _ in (ratio_of(*couple) for couple in couples)]
    return _range(view, found, low, high, digits, unit=" %")


@check
def ratio_between(
    view: View, low: float, high: float, method: str = "", baseline: str = "", where: dict | None = None
) -> Outcome:
    """Training with the method takes between `low` and `high` times as long, in every pair."""
    couples = view.couples(method, baseline, where, SECONDS)
    ratios = [ratio_of(*couple)[0] for couple in couples]
    phrase = ", ".join(f"{ratio:.2f}" for ratio in ratios[:4] if ratio is not None)
    found = tally(
        [None if r is None else low <= r <= high for r in ratios], 1.0, f"ratios as said ({phrase or 'none yet'})"
    )
    return found


def _range(
    view: View,
    found: list[float | None],
    low: float,
    high: float,
    digits: int,
    bounded_below: bool = True,
    unit: str = "",
) -> Outcome:
    known = [x for x in found if x is not None]
    if not known:
        return Outcome(OPEN, None, len(found) or None, "no such values" if not found else f"0 of {len(found)} known")
    least, most = min(known), max(known)
    phrase = f"{least:.{digits}f} to {most:.{digits}f}{unit} over {len(known)} of {len(found)}"
    inside = [round(x, digits) <= high and (not bounded_below or round(x, digits) >= low) for x in known]
    if view.own:
        met = (round(least, digits), round(most, digits)) == (low, high)
        return Outcome(HOLDS if met else FAILS, sum(inside), len(found), phrase)
    if not all(inside):
        return Outcome(FAILS, sum(inside), len(found), phrase)
    return Outcome(HOLDS if len(known) == len(found) else OPEN, sum(inside), len(found), phrase)


@check
def extreme(
    view: View, arch: str, kind: End, quantity: Quantity = "value", metric: str = SECONDS, where: dict | None = None,
    at_least: float = 1.0,
) -> Outcome:  # fmt: skip
    """`arch` has the largest or smallest value - or difference between method and baseline - in each column."""
    columns: dict[tuple, dict[str, tuple[float | None, Value]]] = {}
    for key, name, number, value in _quantities(view, quantity, metric, where):
        columns.setdefault(key, {})[name] = (number, value)
    pick: Callable[[list[float]], float] = max if kind == "largest" else min
    answers: Answers = []
    doubts = []
    for column in columns.values():
        if arch in column and len(column) > 1:
            known = [number for number, _ in column.values() if number is not None]
            first = None if len(known) < len(column) else column[arch][0] == pick(known)
            answers.append(first)
            unsure = [doubtful(column[arch][1], value, view.settings) for name, (_, value) in column.items()
                      if name != arch]  # fmt: skip
            doubts.append(not view.own and quantity == "value" and (any(unsure) if first else all(unsure)))
    return tally(answers, at_least, f"columns with {arch} {kind}", doubts)


def _quantities(
    view: View, quantity: str, metric: str, where: dict | None
) -> Iterable[tuple[tuple, str, float | None, Value]]:
    """(column, architecture, number, its value); of a quality the worst number there is where all runs diverged."""
    if quantity == "difference":
        for m, b in view.couples("", "", where, metric):
            if m.group in view.statement_cells:
                yield key_without(m, "arch"), m.arch, None if None in (m.mean, b.mean) else m.known - b.known, m
    else:
        found = view.select(where, metric=metric, norm=[view.settings.baseline, view.settings.method])
        for v in view.in_scope(found):
            worst = v.measure.worst if v.all_diverged and v.measure.is_quality else None
            yield key_without(v, "arch"), v.arch, worst if v.mean is None else v.mean, v


@check
def value_above(view: View, percent: float, where: dict) -> Outcome:
    """Every selected value is better than `percent`."""
    found = view.measured(where)
    phrase = ", ".join(v.measure.text(v.mean) for v in found[:4] if v.mean is not None)
    answers = [_above(v, percent) for v in found]
    doubts = [not view.own and doubtful_bound(v, percent / v.measure.scale, view.settings) for v in found]
    words, unit = ("above", found[0].measure.printed) if found else ("above", "%")
    words = words if not found or found[0].measure.higher_is_better else "below"
    return tally(answers, 1.0, f"{words} {percent:g} {unit}".rstrip() + f" ({phrase or 'none yet'})", doubts)


def _above(value: Value, printed: float) -> bool | None:
    """Whether a value is better than a number in the printed unit; the runs beside diverged ones do not show it."""
    if value.all_diverged:
        return False
    if value.mean is None:
        return None
    better = value.measure.order(value.mean, printed / value.measure.scale) > 0
    return None if better and value.diverged else better


@check
def gain(view: View, points: float, method: str, baseline: str, where: dict, digits: int = 2) -> Outcome:
    """The gain of `method` over `baseline` is `points` (elsewhere: at least that)."""
    couples = view.couples(method, baseline, where)
    found = [_gain(m, b) for m, b in couples]
    phrase = ", ".join(f"{x:+.{digits}f}" for x in found if x is not None)
    unit = couples[0][0].measure.difference if couples else view.settings.primary.difference
    answers = [None if x is None else round(x, digits) == points if view.own else x >= points - TINY for x in found]
    answers = [_diverged(m, b) if x is None else _fair(x, m, b) for x, (m, b) in zip(answers, couples, strict=True)]
    doubts = [doubtful(m, b, view.settings, points / m.measure.scale) for m, b in couples]
    said = f"gains as said ({phrase} {unit})" if phrase else "gains as said (none yet)"
    return tally(answers, 1.0, said, () if view.own else doubts)


def _gain(method: Value, baseline: Value) -> float | None:
    """By how much the method is better, in the printed unit."""
    if method.mean is None or baseline.mean is None:
        return None
    return method.measure.gain(method.mean, baseline.mean) * method.measure.scale


@check
def gain_times(
    view: View, factor: float, method: str, baseline: str, reference: str, where: dict | None = None
) -> Outcome:
    """The gain of `method` over `reference` is at least `factor` times that of `baseline` over it."""
    base = {key_without(b, "norm"): (b, r) for b, r in view.couples(baseline, reference, where)}
    answers: Answers = []
    doubts = []
    for m, r in view.couples(method, reference, where):
        if key_without(m, "norm") in base:
            b, _ = base[key_without(m, "norm")]
            more, less = _gain(m, r), _gain(b, r)
            if more is None or less is None:
                answers.append(None)
                doubts.append(False)
                continue
            answers.append(_fair(more >= factor * less - TINY, m, r))
            doubts.append(doubtful(m, r, view.settings, factor * less / m.measure.scale))
    return tally(answers, 1.0, f"gains at least {factor:g} times as large", () if view.own else doubts)


@check
def recipe_beats(view: View, better: str, worse: str, where: dict | None = None, at_least: float = 1.0) -> Outcome:
    """Values under the recipe `better` are better than those under `worse`, all else equal."""
    others = {key_without(v, "recipe"): v for v in view.select(where, recipe=worse)}
    found = view.measured(where, recipe=better)
    couples = [(v, others[key_without(v, "recipe")]) for v in found if key_without(v, "recipe") in others]
    doubts = [doubtful(a, b, view.settings) for a, b in couples]
    return tally([_greater(a, b) for a, b in couples], at_least, "pairs better", doubts)


@check
def recipes_close(view: View, recipes: list[str], points: float, where: dict | None = None) -> Outcome:
    """Values differ by at most `points` between the recipes, all else equal."""
    columns: dict[tuple, list[Value]] = {}
    unit = view.settings.primary
    for value in view.measured(where, recipe=list(recipes)):
        unit = value.measure
        columns.setdefault(key_without(value, "recipe"), []).append(value)
    answers: Answers = []
    doubts, spans = [], []
    for column in [c for c in columns.values() if len(c) == len(recipes)]:
        ordered = sorted((v for v in column if v.mean is not None), key=lambda v: v.known)
        if len(ordered) < len(column):
            # A recipe that diverged is not close to one that did not.
            answers.append(False if ordered and any(v.all_diverged for v in column) else None)
            doubts.append(False)
            continue
        low, high = ordered[0], ordered[-1]
        spans.append(unit.scale * (high.known - low.known))
        near = spans[-1] <= points + 1e-6
        answers.append(None if near and len({v.share_diverged for v in column}) > 1 else near)
        ends = (points / unit.scale, -points / unit.scale)
        doubts.append(not view.own and any(doubtful(high, low, view.settings, end) for end in ends))
    phrase = f"within {unit.amount(points)}" + (f" (widest {max(spans):.2f})" if spans else "")
    return tally(answers, 1.0, phrase, doubts)


@check
def earlier(
    view: View, method_epochs: int, baseline_epochs: int, method: str = "", baseline: str = "",
    where: dict | None = None, at_least: float = 1.0,
) -> Outcome:  # fmt: skip
    """The method after `method_epochs` is at least as good as the baseline after `baseline_epochs`."""
    late = {
        key_without(v, "norm", "epochs"): v
        for v in view.select(where, norm=baseline or view.settings.baseline, epochs=baseline_epochs)
    }
    found = view.measured(where, norm=method or view.settings.method, epochs=method_epochs)
    couples = [(v, late[key_without(v, "norm", "epochs")]) for v in found if key_without(v, "norm", "epochs") in late]
    orders = [ahead(v, other) for v, other in couples]
    answers = [
        None if order is None else _fair(order >= 0, *couple) for order, couple in zip(orders, couples, strict=True)
    ]
    doubts = [not view.own and doubtful(v, other, view.settings) for v, other in couples]
    phrase = f"pairs as good after {method_epochs} epochs as the baseline after {baseline_epochs}"
    return tally(answers, at_least, phrase, doubts)


@check
def lower_mostly(view: View, where: dict, at_least: float = 0.5) -> Outcome:
    """Of the values worse than their claims, more than `at_least` are where `where` says."""
    order = [(p, _order(p)) for p in view.pairs]
    worse = [p for p, sign in order if sign is not None and sign < 0]
    missing = sum(sign is None for _, sign in order)
    there = sum(matches(p.value, where) for p in worse)
    if not worse or (missing and not view.own):
        return Outcome(OPEN, there, len(worse) or None, f"{there} of {len(worse)} worse values; {missing} missing")
    phrase = f"{there} of {len(worse)} worse values"
    return Outcome(HOLDS if there > at_least * len(worse) else FAILS, there, len(worse), phrase)


def _order(pair: Pair) -> int | None:
    """1 where a value is better than its claim, -1 where it is worse; None where one of them is missing."""
    if pair.value.all_diverged and pair.claim.value is not None:
        return -1
    if pair.value.mean is None or pair.claim.value is None:
        return None
    return pair.claim.measure.order(pair.value.mean, pair.claim.value)


@check
def weakest(view: View, arch: str, where: dict | None = None) -> Outcome:
    """The architecture's median, over all columns, is the worst of all architectures."""
    metric = view.settings.primary
    by_arch: dict[str, list[Value]] = {}
    for value in view.in_scope(view.select(where, metric=metric.name)):
        by_arch.setdefault(value.arch, []).append(value)
    if arch not in by_arch or len(by_arch) < 2:
        return Outcome(OPEN, None, None, "no such values")
    if any(v.mean is None and not v.all_diverged for values in by_arch.values() for v in values):
        return Outcome(OPEN, None, None, "some values are missing")
    medians = {name: statistics.median(map(_as_gain, values)) for name, values in by_arch.items()}
    its, others = medians.pop(arch), [name for name in by_arch if name != arch]
    worse = {name for name, median in medians.items() if median < its}
    middle = {name: sorted(values, key=_as_gain)[(len(values) - 1) // 2] for name, values in by_arch.items()}
    unsure = {n for n in others if not view.own and doubtful(middle[n], middle[arch], view.settings)}
    text = f"{len(worse)} of {len(others)} other architectures have a worse median than its "
    text += metric.with_unit(metric.gain(its, 0.0)) if math.isfinite(its) else "own, which diverged"
    text += f", {len(unsure)} within noise" if unsure else ""
    outcome = (FAILS if worse - unsure else FAILS_IN_NOISE) if worse else HOLDS_IN_NOISE if unsure else HOLDS
    return Outcome(outcome, len(worse), len(others), text)


def _as_gain(value: Value) -> float:
    """The mean so that more is better, and worse than any where the runs diverged."""
    return -math.inf if value.mean is None else value.measure.gain(value.mean, 0.0)


@check
def adds_up(view: View, parts: list[float], total: float) -> Outcome:
    """Printed counts add up to the printed total; a matter of the paper alone."""
    if not view.own:
        return Outcome(OPEN, None, None, "printed counts are the paper's own")
    found = f"{' + '.join(f'{part:g}' for part in parts)} = {sum(parts):g}, printed {total:g}"
    equal = math.isclose(sum(parts), total, rel_tol=1e-12, abs_tol=1e-12)
    return Outcome(HOLDS if equal else FAILS, sum(parts), total, found)


@check
def ranking(
    view: View, order: list[str], axis: Axis = "arch", where: dict | None = None, top: int = 0, correlation: float = 1.0
) -> Outcome:
    """Along `axis` the values come in `order`, best first: Kendall's tau is at least `correlation` in every column.

    With `top` only the first `top` of `order` must be the best, in any order among them.
    """
    columns: dict[tuple, dict[str, Value]] = {}
    for value in view.in_scope(view.select(where, metric=view.settings.metric, **{axis: list(order)})):
        columns.setdefault(key_without(value, axis), {})[getattr(value, axis)] = value
    full = [[column[name] for name in order] for column in columns.values() if len(column) == len(order)]
    answers: Answers = []
    doubts, taus = [], []
    for values in full:
        if any(v.mean is None and not v.all_diverged for v in values):
            answers.append(None)
            doubts.append(False)
            continue
        orders = _orders(values, view.settings)
        taus.append(f"{kendall(orders[0]):.2f}")
        answer, least, most = (_ranked(signs, top if top < len(values) else 0, correlation) for signs in orders)
        answers.append(answer)
        doubts.append(not view.own and least != most)
    return tally(answers, 1.0, f"columns in this order (Kendall's tau {', '.join(taus[:4]) or 'unknown'})", doubts)


Orders = dict[tuple[int, int], int]


def _orders(values: list[Value], settings: Settings) -> tuple[Orders, Orders, Orders]:
    """Of each two values, 1 where the first is better: as found, and with all doubtful ones against it, and for it."""
    places = [(i, j) for i in range(len(values)) for j in range(i + 1, len(values))]
    signs = {(i, j): ahead(values[i], values[j]) or 0 for i, j in places}
    doubts = {(i, j) for i, j in places if doubtful(values[i], values[j], settings)}
    lowest, highest = ({place: end if place in doubts else sign for place, sign in signs.items()} for end in (-1, 1))
    return signs, lowest, highest


def _ranked(signs: Orders, top: int, correlation: float) -> bool:
    """Whether the first `top` values are the best; without `top`, whether the order is near enough to that found."""
    if top:
        return all(sign >= 0 for (i, j), sign in signs.items() if i < top <= j)
    return kendall(signs) >= correlation - TINY


def kendall(signs: Orders) -> float:
    """Kendall's tau of values with the order that they are listed in, best first; ties count neither way."""
    return sum(signs.values()) / len(signs)


@check
def trend(
    view: View, axis: Axis, order: list[str | int], direction: Direction, where: dict | None = None,
    at_least: float = 1.0,
) -> Outcome:  # fmt: skip
    """Along the ordered values of `axis` the means rise (or fall) from each to the next, in each column."""
    columns: dict[tuple, dict] = {}
    metric = view.settings.primary
    for value in view.in_scope(view.select(where, metric=metric.name, **{axis: list(order)})):
        columns.setdefault(key_without(value, axis), {})[getattr(value, axis)] = value
    steps = [(a, b) for c in columns.values() if len(c) == len(order) for a, b in pairwise(c[name] for name in order)]
    improves = (direction == "rises") == metric.higher_is_better
    wanted = [(b, a) for a, b in steps] if improves else steps
    doubts = [doubtful(a, b, view.settings) for a, b in wanted]
    return tally([_greater(a, b) for a, b in wanted], at_least, f"steps along {axis} where it {direction}", doubts)


@check
def no_difference(
    view: View, points: float, method: str = "", baseline: str = "", where: dict | None = None
) -> Outcome:
    """Method and baseline are equivalent: their difference is within `points` in every pair.

    Where both have several runs the interval of the difference decides (1 - 2 alpha, two one-sided tests): inside the
    margin it holds, outside it fails, across it the difference of the means decides within noise.
    """
    answers: Answers = []
    doubts = []
    metric = view.settings.primary
    for m, b in view.couples(method, baseline, where):
        metric, difference = m.measure, _gain(m, b)
        gap = None if difference is None else abs(difference)
        near = None if gap is None else gap <= points + TINY * metric.scale
        # A method whose runs diverge more often is not equal to its baseline, nor shown to differ by the others.
        answers.append(_diverged(m, b) if near is None else near if m.share_diverged == b.share_diverged else None)
        found = compare(m, b, 1 - 2 * view.settings.alpha).difference
        ends = (
            []
            if found is None or not math.isfinite(found.low)
            else [abs(x) * metric.scale for x in (found.low, found.high)]
        )
        inside = bool(ends) and max(ends) < points
        outside = found is not None and bool(ends) and min(ends) > points and found.low * found.high > 0
        doubts.append(gap is not None and not view.own and not inside and not outside)
    return tally(answers, 1.0, f"pairs within {metric.amount(points)}", doubts)


@check
def error_reduction(
    view: View, percent: float, method: str = "", baseline: str = "", where: dict | None = None, at_least: float = 1.0
) -> Outcome:
    """The method's error is lower than the baseline's by at least `percent` of it, in each pair.

    The error is how far a value is from the best one possible: 1 - accuracy, or a loss that cannot be below 0 itself.
    """
    couples = view.couples(method, baseline, where)
    cuts = [_reduction(m, b) for m, b in couples]
    phrase = ", ".join(f"{cut:.1f} %" for cut in cuts[:4] if cut is not None)
    answers = [_diverged(m, b) if cut is None else _fair(cut >= percent - 1e-6, m, b)
               for cut, (m, b) in zip(cuts, couples, strict=True)]  # fmt: skip
    doubts = [not view.own and doubtful(m, b, view.settings, _asked(b, percent)) for m, b in couples]
    return tally(answers, at_least, f"errors lower by {percent:g} % or more ({phrase or 'none yet'})", doubts)


def _asked(baseline: Value, percent: float) -> float:
    """The gain that lowers the baseline's error by that much."""
    error = None if baseline.mean is None else baseline.measure.shortfall(baseline.mean)
    return percent / 100 * (error or 0.0)


def _reduction(method: Value, baseline: Value) -> float | None:
    """By how many percent the method's error is lower than the baseline's."""
    if method.mean is None or baseline.mean is None:
        return None
    less, more = method.measure.shortfall(method.mean), baseline.measure.shortfall(baseline.mean)
    return None if less is None or not more else 100 * (more - less) / more


@check
def less_variable(
    view: View, method: str = "", baseline: str = "", where: dict | None = None, at_least: float = 1.0
) -> Outcome:
    """The SD over runs is smaller with the method, in each pair with two runs a side or more.

    In doubt where an F test of the two variances is not significant.
    """
    answers: Answers = []
    doubts = []
    for m, b in view.couples(method, baseline, where):
        if m.sd is None or b.sd is None:
            answers.append(None)
            doubts.append(False)
            continue
        answers.append(_fair(m.sd < b.sd, m, b))
        if not (m.sd > ROUNDING and b.sd > ROUNDING):
            doubts.append(not view.own)  # equal runs, such as those of a network that guesses, show no stability
            continue
        ratio = (m.sd / b.sd) ** 2
        freedom = ((m.n or 1) - 1, (b.n or 1) - 1)
        tail = min(f_test.cdf(ratio, *freedom), f_test.sf(ratio, *freedom))
        doubts.append(bool(2 * tail >= view.settings.alpha))
    return tally(answers, at_least, "pairs with a smaller SD", doubts)


@check
def value_at_epoch(view: View, epoch: int, percent: float, where: dict, at_least: float = 1.0) -> Outcome:
    """After `epoch` epochs of training the test value (mean over the runs) is at least as good as `percent`."""
    metric = view.settings.primary
    means = [view.at_epoch(v, epoch) for v in view.select(where, metric=metric.name)]
    phrase = ", ".join(metric.text(mean) for mean in means[:4] if mean is not None)
    answers = [None if mean is None else metric.order(mean, percent / metric.scale) >= 0 for mean in means]
    least = f"{'at least' if metric.higher_is_better else 'at most'} {percent:g} {metric.printed}".rstrip()
    return tally(answers, at_least, f"{least} after epoch {epoch} ({phrase or 'none yet'})")
