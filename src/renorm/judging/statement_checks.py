"""The named checks that a published sentence may ask for; a statement gives a name and parameters, no code.

Every check looks at one source through a `View`. On the paper's own tables a printed number must be met exactly; on
other sources the same sentence is read as a bound, since nobody expects another study to count the same 36 of 60.
"""

import inspect
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from renorm.core.errors import RenormError, suggest
from renorm.judging.inputs import GROUP
from renorm.judging.observations import TINY, Value, ahead
from renorm.judging.pairing import Pair, judge_value
from renorm.judging.repeat_consistency import deviation
from renorm.judging.settings import Settings
from renorm.study.claims import ACCURACIES

HOLDS, FAILS, OPEN = "holds", "fails", "not testable"
CHECKS: dict[str, Callable] = {}
Verdict = Literal["better", "within", "below", "reproduced"]
ThresholdKind = Literal["relative", "absolute"]
End = Literal["largest", "smallest"]
Quantity = Literal["value", "difference"]
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

    def select(self, where: dict | None, **more: Any) -> list[Value]:
        return [v for v in self.values if matches(v, where) and matches(v, more)]

    def in_scope(self, values: Iterable[Value]) -> list[Value]:
        """Those of `values` that the statement's own source has too."""
        return [v for v in values if v.group in self.statement_cells]

    def scope_note(self, couples: list[tuple[Value, Value]]) -> str:
        """What to say when not all of `couples` are of cells that the statement's own source has."""
        own = len(self.in_scope(method for method, _ in couples))
        return "" if own == len(couples) else f" ({own or 'none'} of them in cells that the sentence is about)"

    def couples(self, method: str, baseline: str, where: dict | None, metrics=ACCURACIES) -> list[tuple[Value, Value]]:
        """(method, baseline) that differ in nothing but the normaliser."""
        others = {key_without(v, "norm"): v for v in self.values if v.norm == (baseline or self.settings.baseline)}
        wanted = [v for v in self.select(where) if v.norm == (method or self.settings.method) and v.metric in metrics]
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


def tally(answers: Answers, share: float, phrase: str) -> Outcome:
    """Holds when `share` of all answers are yes, whatever is missing; fails when it cannot be reached any more."""
    yes, missing, of = answers.count(True), answers.count(None), len(answers)
    found = f"{yes} of {of} {phrase}" + (f", {missing} without a value" if missing else "")
    if not of:
        return Outcome(OPEN, None, None, "no such values")
    if yes >= share * of - TINY:
        return Outcome(HOLDS, yes, of, found)
    return Outcome(FAILS if yes + missing < share * of - TINY else OPEN, yes, of, found)


def _greater(a: Value, b: Value) -> bool | None:
    """Is a above b? None where that cannot be said."""
    found = ahead(a, b)
    return None if found is None else found > 0


@check
def method_beats_baseline(
    view: View, method: str = "", baseline: str = "", where: dict | None = None, share: float = 1.0
) -> Outcome:
    """The method's accuracy is above the baseline's in at least `share` of the pairs."""
    return _pairs(view, view.couples(method, baseline, where), share, "pairs better")


@check
def method_slower(
    view: View, method: str = "", baseline: str = "", where: dict | None = None, share: float = 1.0
) -> Outcome:
    """Training takes longer with the method in at least `share` of the pairs."""
    return _pairs(view, view.couples(method, baseline, where, ("seconds",)), share, "pairs take longer")


def _pairs(view: View, couples: list[tuple[Value, Value]], share: float, phrase: str) -> Outcome:
    return tally([_greater(m, b) for m, b in couples], share, phrase).but(view.scope_note(couples))


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
            found = judge_value(pair.claim.value, pair.value.mean, rule)
            answers.append(None if found == "missing" else found in wanted)
    if not view.own or not answers:
        return tally(answers, count / of, verdict)
    yes = answers.count(True)
    return Outcome(
        HOLDS if (yes, len(answers)) == (count, of) else FAILS, yes, len(answers), f"{yes} of {len(answers)} {verdict}"
    )


@check
def deviation_range(view: View, low: float, high: float, digits: int = 2, where: dict | None = None) -> Outcome:
    """The squared deviations from the claims run from `low` to `high` (elsewhere: stay below `high`)."""
    found = [deviation(p.claim.value, p.value) for p in view.pairs if matches(p.value, where)]
    return _range(view, found, low, high, digits, bounded_below=False)


@check
def consistent(view: View, threshold: float = 0.5, where: dict | None = None, share: float = 1.0) -> Outcome:
    """The squared deviations from the claims are below the threshold."""
    found = [deviation(p.claim.value, p.value) for p in view.pairs if matches(p.value, where)]
    return tally([None if x is None else x < threshold for x in found], share, f"deviations below {threshold:g}")


@check
def growth_range(
    view: View, low: float, high: float, method: str = "", baseline: str = "", where: dict | None = None,
    digits: int = 0,
) -> Outcome:  # fmt: skip
    """Training time grows by `low` to `high` percent from baseline to method."""
    couples = view.couples(method, baseline, where, ("seconds",))
    found = [None if None in (m.mean, b.mean) else (m.mean / b.mean - 1) * 100 for m, b in couples]
    return _range(view, found, low, high, digits, unit=" %").but(view.scope_note(couples))


@check
def ratio_between(
    view: View, low: float, high: float, method: str = "", baseline: str = "", where: dict | None = None
) -> Outcome:
    """Training with the method takes between `low` and `high` times as long, in every pair."""
    couples = view.couples(method, baseline, where, ("seconds",))
    ratios = [None if None in (m.mean, b.mean) else m.mean / b.mean for m, b in couples]
    phrase = ", ".join(f"{ratio:.2f}" for ratio in ratios[:4] if ratio is not None)
    found = tally(
        [None if r is None else low <= r <= high for r in ratios], 1.0, f"ratios as said ({phrase or 'none yet'})"
    )
    return found.but(view.scope_note(couples))


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
    view: View, arch: str, kind: End, quantity: Quantity = "value", metric: str = "seconds", where: dict | None = None,
    share: float = 1.0,
) -> Outcome:  # fmt: skip
    """`arch` has the largest or smallest value - or difference between method and baseline - in each column."""
    columns: dict[tuple, dict[str, float | None]] = {}
    for key, name, number in _quantities(view, quantity, metric, where):
        columns.setdefault(key, {})[name] = number
    pick = {"largest": max, "smallest": min}[kind]
    answers: Answers = []
    for column in columns.values():
        if arch in column and len(column) > 1:
            answers.append(None if None in column.values() else column[arch] == pick(column.values()))
    return tally(answers, share, f"columns with {arch} {kind}")


def _quantities(
    view: View, quantity: str, metric: str, where: dict | None
) -> Iterable[tuple[tuple, str, float | None]]:
    if quantity == "difference":
        for m, b in view.couples("", "", where, (metric,)):
            if m.group in view.statement_cells:
                yield key_without(m, "arch"), m.arch, None if None in (m.mean, b.mean) else m.mean - b.mean
    else:
        found = view.select(where, metric=metric, norm=[view.settings.baseline, view.settings.method])
        for v in view.in_scope(found):
            yield key_without(v, "arch"), v.arch, v.mean


@check
def value_above(view: View, percent: float, where: dict) -> Outcome:
    """Every selected accuracy is above `percent`."""
    found = [v for v in view.select(where) if v.metric in ACCURACIES]
    phrase = ", ".join(f"{v.mean * 100:.2f}" for v in found[:4] if v.mean is not None)
    answers = [None if v.mean is None else v.mean > percent / 100 + TINY for v in found]
    return tally(answers, 1.0, f"above {percent:g} % ({phrase or 'none yet'})")


@check
def gain(view: View, points: float, method: str, baseline: str, where: dict, digits: int = 2) -> Outcome:
    """The gain of `method` over `baseline` is `points` (elsewhere: at least that)."""
    found = [
        None if None in (m.mean, b.mean) else (m.mean - b.mean) * 100 for m, b in view.couples(method, baseline, where)
    ]
    phrase = ", ".join(f"{x:+.{digits}f}" for x in found if x is not None)
    answers = [None if x is None else round(x, digits) == points if view.own else x >= points - TINY for x in found]
    return tally(answers, 1.0, f"gains as said ({phrase or 'none yet'} points)")


@check
def gain_times(
    view: View, factor: float, method: str, baseline: str, reference: str, where: dict | None = None
) -> Outcome:
    """The gain of `method` over `reference` is at least `factor` times that of `baseline` over it."""
    base = {key_without(b, "norm"): (b, r) for b, r in view.couples(baseline, reference, where)}
    answers: Answers = []
    for m, r in view.couples(method, reference, where):
        if key_without(m, "norm") in base:
            b, _ = base[key_without(m, "norm")]
            known = None not in (m.mean, b.mean, r.mean)
            answers.append(m.mean - r.mean >= factor * (b.mean - r.mean) - TINY if known else None)
    return tally(answers, 1.0, f"gains at least {factor:g} times as large")


@check
def recipe_beats(view: View, better: str, worse: str, where: dict | None = None, share: float = 1.0) -> Outcome:
    """Accuracy under the recipe `better` is above that under `worse`, all else equal."""
    others = {key_without(v, "recipe"): v for v in view.select(where, recipe=worse)}
    found = [v for v in view.select(where, recipe=better) if v.metric in ACCURACIES]
    couples = [(v, others[key_without(v, "recipe")]) for v in found if key_without(v, "recipe") in others]
    return tally([_greater(a, b) for a, b in couples], share, "pairs better")


@check
def recipes_close(view: View, recipes: list[str], points: float, where: dict | None = None) -> Outcome:
    """Accuracy differs by at most `points` between the recipes, all else equal."""
    columns: dict[tuple, list[float | None]] = {}
    for value in view.select(where, recipe=list(recipes), metric=list(ACCURACIES)):
        columns.setdefault(key_without(value, "recipe"), []).append(value.mean)
    full = [c for c in columns.values() if len(c) == len(recipes)]
    spans = [None if None in c else (max(c) - min(c)) * 100 for c in full]
    widest = max((x for x in spans if x is not None), default=None)
    phrase = f"within {points:g} points" + (f" (widest {widest:.2f})" if widest is not None else "")
    return tally([None if x is None else x <= points + 1e-6 for x in spans], 1.0, phrase)


@check
def earlier(
    view: View, method_epochs: int, baseline_epochs: int, method: str = "", baseline: str = "",
    where: dict | None = None, share: float = 1.0,
) -> Outcome:  # fmt: skip
    """The method after `method_epochs` is at least as accurate as the baseline after `baseline_epochs`."""
    late = {
        key_without(v, "norm", "epochs"): v
        for v in view.select(where, norm=baseline or view.settings.baseline, epochs=baseline_epochs)
    }
    answers: Answers = []
    for v in view.select(where, norm=method or view.settings.method, epochs=method_epochs, metric=list(ACCURACIES)):
        other = late.get(key_without(v, "norm", "epochs"))
        if other is not None:
            answers.append(None if None in (v.mean, other.mean) else v.mean >= other.mean - TINY)
    return tally(answers, share, f"pairs as good after {method_epochs} epochs as the baseline after {baseline_epochs}")


@check
def lower_mostly(view: View, where: dict, share: float = 0.5) -> Outcome:
    """Of the values below their claims, more than `share` are where `where` says."""
    lower = [p for p in view.pairs if p.value.mean is not None and p.value.mean < p.claim.value - TINY]
    missing = sum(p.value.mean is None for p in view.pairs)
    there = sum(matches(p.value, where) for p in lower)
    if not lower or (missing and not view.own):
        return Outcome(OPEN, there, len(lower) or None, f"{there} of {len(lower)} lower values; {missing} missing")
    phrase = f"{there} of {len(lower)} lower values"
    return Outcome(HOLDS if there > share * len(lower) else FAILS, there, len(lower), phrase)


@check
def weakest(view: View, arch: str, where: dict | None = None) -> Outcome:
    """The architecture's median accuracy, over all columns, is the lowest of all architectures."""
    by_arch: dict[str, list[float | None]] = {}
    for value in view.in_scope(view.select(where, metric="top1")):
        by_arch.setdefault(value.arch, []).append(value.mean)
    if arch not in by_arch or len(by_arch) < 2:
        return Outcome(OPEN, None, None, "no such values")
    if any(None in means for means in by_arch.values()):
        return Outcome(OPEN, None, None, "some values are missing")
    medians = {name: statistics.median(means) for name, means in by_arch.items()}
    below = sum(median < medians[arch] for median in medians.values())
    text = f"{below} of {len(medians) - 1} other architectures have a lower median than its {medians[arch] * 100:.2f} %"
    return Outcome(HOLDS if below == 0 else FAILS, below, len(medians) - 1, text)


@check
def adds_up(view: View, parts: list[float], total: float) -> Outcome:
    """Printed counts add up to the printed total; a matter of the paper alone."""
    if not view.own:
        return Outcome(OPEN, None, None, "printed counts are the paper's own")
    found = f"{' + '.join(f'{part:g}' for part in parts)} = {sum(parts):g}, printed {total:g}"
    return Outcome(HOLDS if sum(parts) == total else FAILS, sum(parts), total, found)
