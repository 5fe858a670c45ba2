"""Equivalence verdicts: per claim and source, from the published rule up to equivalence, with the reason in words.

The published rule is one-sided and knows no spread. Here are its two-sided form, the change of the error rate, the
spread of the runs, an interval for the mean, one for the claim as further runs, and an equivalence test.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from scipy import stats

from renorm.core.metrics import TINY, Metric
from renorm.judging import replication, statistics
from renorm.judging import spread as spreads
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values
from renorm.judging.pairing import (
    NOT_JUDGED,
    OTHER_MACHINE,
    Claim,
    Pair,
    head,
    key_of,
    not_judged,
    rule_verdict,
    unfinished,
    unmeasured,
)
from renorm.judging.settings import Margin, Settings
from renorm.judging.spread import Floor, Spread
from renorm.study.known_datasets import CLASSES, SIZES

# Two groups of runs: a gap of at least five points (of a metric without bounds 5 % of the median) that is ten times as
# wide as either group.
CLUSTER_GAP, CLUSTER_RATIO = 0.05, 10


class Pools:
    """The spread of every value, from its own runs and its siblings': source x data set x recipe x epochs x metric."""

    def __init__(self, inputs: Inputs, values: Values):
        pools: dict[tuple, list[Value]] = {}
        for value in values:
            if value.attempts or value.printed_sd is not None:
                pools.setdefault(_pool(value), []).append(value)
        self._spread: dict[Value, Spread | None] = {}
        self._elsewhere: dict[tuple, list[tuple[str, float, int]]] = {}
        for members in pools.values():
            dead = [is_dead(v) for v in members]
            runs = [spreads.as_runs(v.known, v.printed_sd, v.n or 1) if v.printed_sd is not None and not v.attempts
                    else v.attempts for v in members]  # fmt: skip
            self._spread.update(zip(members, spreads.moderated(runs, dead), strict=True))
            live = [r for r, lost in zip(runs, dead, strict=True) if spreads.varies(r) and not lost]
            if live:
                first = members[0]
                sd, _ = statistics.pooled_sd(live)
                self._elsewhere.setdefault(_setting(first), []).append(
                    (inputs.source_label(first.source), sd, len(live))
                )

    def spread(self, value: Value) -> Spread | None:
        """The moderated SD, that of the pool for a single run, or the one printed with an average."""
        return self._spread.get(value)

    def floor(self, value: Value, claimed: float) -> Floor | None:
        """The largest of the floors that are known for a value without spread."""
        known = [Floor(sd, f"the SD of {cells} cell{'s' * (cells != 1)} of {source} on the same data set and epochs")
                 for source, sd, cells in self._elsewhere.get(_setting(value), ())]  # fmt: skip
        images = value.n_images or (SIZES[value.dataset].test if value.dataset in SIZES else None)
        if images and value.measure.granular:
            # At 100 % no image moves it; of the claim and the value the one that varies more counts.
            shares = [min(max(x, 1 / images), 1 - 1 / images) for x in (claimed, value.known)]
            known.append(spreads.binomial_floor(min(shares, key=lambda share: abs(share - 0.5)), images))
        return max(known, key=lambda floor: floor.sd, default=None)


def _pool(value: Value) -> tuple:
    return (value.source, value.dataset, value.recipe, value.epochs, value.metric, value.split, value.selection)


def _setting(value: Value) -> tuple:
    return (value.dataset, value.epochs, value.metric, value.split != "train")


def is_dead(value: Value) -> bool:
    """Whether every run of the cell guesses: its value is that of chance on a data set whose classes are known."""
    chance = value.measure.chance(CLASSES[value.dataset]) if value.dataset in CLASSES else None
    return chance is not None and spreads.at_chance(value.attempts, chance, value.n_images or SIZES[value.dataset].test)


def two_clusters(value: Value) -> tuple[list[float], list[float]] | None:
    """The runs in two groups, where they are so far apart that their mean describes neither (a bistable cell)."""
    values = value.attempts
    if len(values) < 3 or not value.measure.is_quality:
        return None
    ordered = sorted(values)
    gaps = [b - a for a, b in pairwise(ordered)]
    at = max(range(len(gaps)), key=gaps.__getitem__) + 1
    low, high = ordered[:at], ordered[at:]
    within = max(low[-1] - low[0], high[-1] - high[0])
    least = CLUSTER_GAP * value.measure.span(ordered[len(ordered) // 2])
    return (low, high) if gaps[at - 1] >= max(least, CLUSTER_RATIO * within, TINY) else None


def rows(inputs: Inputs, values: Values, pairs: list[Pair]) -> list[dict[str, Any]]:
    """The table equivalence.csv; Holm's adjustment is over the claims that one source answers."""
    pools = Pools(inputs, values)
    found = [_row(inputs, values, pools, pair) for pair in pairs]
    for source in {row["source"] for row in found}:
        tested = [row for row in found if row["source"] == source and row.get("equivalence_p") is not None]
        for row, adjusted in zip(tested, statistics.holm([r["equivalence_p"] for r in tested]), strict=True):
            row["equivalence_p_holm"] = adjusted
    return found


def flags_by_claim(pairs: list[Pair], rows: list[dict[str, Any]]) -> dict[tuple, str]:
    return {key_of(pair): row["flags"] for pair, row in zip(pairs, rows, strict=True)}


def _row(inputs: Inputs, values: Values, pools: Pools, pair: Pair) -> dict[str, Any]:
    settings, claim, value = inputs.settings, pair.claim, pair.value
    row = head(pair) | {"one_sided": rule_verdict(claim, value, settings), "sd": value.sd, "claimed_sd": claim.sd,
                        "claimed_n": claim.n, "flags": ""}  # fmt: skip
    row |= nearer_splits(inputs, values, pair)
    if claim.value is None:
        return row | {"verdict": NOT_JUDGED, "reason": not_judged(claim)}
    margin = settings.margin(claim.value, value)
    row["margin"] = margin.value
    if value.mean is None:
        return row | dict(zip(("verdict", "reason"), _without_value(value), strict=True))
    row |= _differences(claim.value, value.mean, settings, claim.measure)
    if claim.measure.is_size:
        return row | _of_size(claim, claim.value, value.mean, margin)
    own = pools.spread(value)
    flags = suspicions(claim.value, value, own.sd if own else math.nan, margin.value, settings)
    flags += _differs(claim, value) + _split_flag(row) + (["bistable"] if two_clusters(value) else [])
    row["flags"] = ";".join(flags)
    used = own or _claims_spread(claim, value)
    if used is None or used.sd <= statistics.ROUNDING:
        return row | _without_spread(pools, claim, value, margin)
    case = Case(claim, value, used, claim.sd if claim.n and claim.n > 1 else None, settings)
    return row | {"spread": used.kind, "spread_sd": used.sd, "spread_df": used.df} | _tested(case, margin)


def _claims_spread(claim: Claim, value: Value) -> Spread | None:
    """For a value without spread that of the claim, whose runs repeat the same cell."""
    if claim.sd and claim.n and claim.n > 1 and not (len(value.attempts) > 1 or value.all_diverged):
        return Spread(claim.sd, claim.n - 1, "claimed")
    return None


def _without_value(value: Value) -> tuple[str, str]:
    if value.all_diverged and value.measure.is_quality:
        return (
            "not reproduced",
            f"diverged: {'its only run' if value.diverged == 1 else f'all {value.diverged} runs'} did",
        )
    return "missing", unfinished(value) or unmeasured(value)


def _of_size(claim: Claim, claimed: float, found: float, margin: Margin) -> dict[str, Any]:
    """A property of the network has no spread: it is as printed, within a margin, or another."""
    change, rounding = found - claimed, claim.resolution / 2
    within = abs(change) <= max(margin.value, rounding) * (1 + TINY) + TINY
    limit = f"±{margin.rule}" if margin.value > rounding else "the printed digits"
    phrase = "as claimed" if abs(change) <= TINY else claim.measure.off(change)
    reason = f"{phrase}, {'within' if within else 'outside'} {limit}"
    return {"verdict": "reproduced" if within else "not reproduced", "reason": reason, "spread": "none"}


def _without_spread(pools: Pools, claim: Claim, value: Value, margin: Margin) -> dict[str, Any]:
    """A floor may refute what no noise of its size explains; everything else is inconclusive."""
    floor, change = pools.floor(value, claim.known), value.known - claim.known
    why, metric = _no_spread(value), value.measure
    if metric.is_time:
        return {"verdict": "inconclusive", "spread": "none", "reason": f"{_off(claim, value)}; {why}; {OTHER_MACHINE}"}
    if floor and spreads.beyond_floor(change, floor, value.n or 1, claim.n or 1, margin.value):
        size = f"{metric.scale * floor.sd:.{metric.digits}f} {metric.difference}".rstrip()
        reason = f"{_off(claim, value)}; {why}, but noise of {floor.name} ({size}) does not explain it"
        return {"verdict": "not reproduced", "spread": "floor", "spread_sd": floor.sd, "reason": reason}
    return {"verdict": "inconclusive", "spread": "none", "reason": why}


def _off(claim: Claim, value: Value) -> str:
    """By how much the value differs: of time as a ratio, of anything else as a difference."""
    metric = claim.measure
    if metric.is_time and claim.value:
        return f"{value.known / claim.known:.2f} times the claimed {metric.label}"
    return metric.off(value.known - claim.known)


def _range(case: "Case", low: float, high: float) -> str:
    """The interval of the difference, of time as ratios."""
    metric, claimed = case.claim.measure, case.claim.value
    if metric.is_time and claimed:
        return f"ratio {1 + low / claimed:.2f} to {1 + high / claimed:.2f}"
    ends = " to ".join(f"{metric.scale * end:+,.{metric.digits}f}" for end in (low, high))
    return f"difference of the mean {ends} {metric.difference}".rstrip()


def _no_spread(value: Value) -> str:
    if value.reported_as == "average":
        return "only an average was published: its spread is unknown"
    if len(value.attempts) > 1:
        return f"its {len(value.attempts)} runs are equal: they say nothing about the spread"
    return "one run without siblings says nothing about the spread"


def _differences(claimed: float, mean: float, settings: Settings, metric: Metric) -> dict[str, Any]:
    change = mean - claimed
    here, there = metric.shortfall(mean), metric.shortfall(claimed)
    return {
        "change": change,
        "relative_change": change / abs(claimed) if claimed else None,
        "error_change": here / there - 1 if metric.is_quality and here is not None and there else None,
        "two_sided_relative": abs(change) <= settings.threshold * abs(claimed) + TINY,
        "two_sided_absolute": abs(change) <= settings.threshold + TINY if metric.is_share else None,
    }


@dataclass(frozen=True)
class Case:
    """A claim and a value with the spread of the value's runs and, where it is known, that of the claim's."""

    claim: Claim
    value: Value
    spread: Spread
    claim_sd: float | None
    settings: Settings

    @property
    def n(self) -> int:
        return self.value.n or 1

    @property
    def claim_n(self) -> int:
        return self.claim.n or 1

    def error(self, n: int | None = None, claimed_too: bool = False) -> tuple[float, float]:
        """Standard error of the difference and its degrees of freedom (Welch 1947), after `n` runs.

        The claim is exact unless its SD is known; with `claimed_too` it is a mean of its n runs (1 where that is not
        stated) of the value's SD: where the claim falls if it is more of the same runs.
        """
        runs = n or self.n
        df = self.spread.df + runs - self.n
        own = self.spread.sd**2 / runs
        if self.claim_sd:
            other, other_df = self.claim_sd**2 / self.claim_n, self.claim_n - 1
            both = own + other
            return math.sqrt(both), both**2 / (own**2 / df + other**2 / other_df)
        return math.sqrt(own + self.spread.sd**2 / self.claim_n * claimed_too), df

    def half(self, level: float, n: int | None = None, claimed_too: bool = False) -> float:
        """Half the width of the interval of that level."""
        error, df = self.error(n, claimed_too)
        return float(stats.t.ppf((1 + level) / 2, df)) * error


def _tested(case: Case, margin: Margin) -> dict[str, Any]:
    settings, mean, claimed = case.settings, case.value.known, case.claim.known
    low, high = statistics.mean_interval(mean, case.spread.sd, case.n, case.spread.df, settings.level)
    reach = case.half(settings.level, claimed_too=True)
    half = case.half(1 - 2 * settings.alpha)
    inside = abs(mean - claimed) <= reach + TINY
    verdict, reason = decide(case, half, inside, margin)
    error, df = case.error()
    needed = seeds_needed(case, margin.value) if verdict == "inconclusive" else None
    return {
        "mean_low": low, "mean_high": high, "prediction_low": mean - reach, "prediction_high": mean + reach,
        "inside_prediction": inside, "equivalence_low": mean - half, "equivalence_high": mean + half,
        "equivalence_p": statistics.tost_p(mean - claimed, error, df, margin.value),
        "verdict": verdict, "reason": reason, "seeds_needed": needed,
        "settle_probability": settle_probability(case, needed, margin.value) if needed else None,
    }  # fmt: skip


def decide(case: Case, half: float, inside: bool, margin: Margin) -> tuple[str, str]:
    """The verdict and its reason.

    Reproduced: the interval of the difference lies within the margin (TOST). Not reproduced: it lies outside the margin
    AND the claim is not a plausible outcome of as many such runs. Everything else is inconclusive; so is a cell with
    diverged runs, since those are failures that a mean of the others hides.
    """
    value, change = case.value, case.value.known - case.claim.known
    low, high, size = change - half, change + half, margin.value
    metric = value.measure
    limit = f"±{metric.amount(float(f'{metric.scale * size:.2g}'))} ({margin.rule})"
    phrase = f"{_off(case.claim, value)}; {_range(case, low, high)}"
    machine = OTHER_MACHINE if metric.is_time else ""
    tail = "".join(f"; {part}" for part in (_borrowed(case), machine, unfinished(value)) if part)
    within, outside = -size < low and high < size, low > size or high < -size
    if within and value.diverged:
        return "inconclusive", f"{phrase}, within {limit}, but runs diverged{tail}"
    if within:
        return "reproduced", f"{phrase}, within {limit}{tail}"
    several = case.claim_n > 1
    kind = f"mean of {case.claim_n} such runs" if several else "single run"
    likely = f"could be a {kind}" if several else "could be one of these runs"
    claim_phrase = likely if inside else f"is not a plausible {kind}"
    if outside and not inside:
        return "not reproduced", f"{phrase}, outside {limit}, and the claim {claim_phrase}{tail}"
    groups = two_clusters(value)
    if groups:
        means = " and ".join(f"{len(g)} near {metric.with_unit(sum(g) / len(g))}" for g in groups)
        return "inconclusive", f"bistable: of its runs {means}, and their mean describes neither group{tail}"
    where = "outside" if outside else "reaches over"
    return "inconclusive", f"{phrase}, {where} {limit}, and the claim {claim_phrase}{tail}"


def _borrowed(case: Case) -> str:
    """Whose spread it is where the value has none of its own."""
    if case.spread.kind == "borrowed":
        return "one run, judged by the SD of its siblings"
    if case.spread.kind == "claimed":
        return f"judged by the SD of the claim's own {case.claim_n} runs"
    return ""


def seeds_needed(case: Case, margin: float, most: int = 1000) -> int | None:
    """How many more runs would settle an inconclusive cell, if mean and SD stay as they are; None: no number would.

    The equivalence interval must clear the nearer margin; outside it, the claim must leave the prediction interval too.
    """
    distance, settings = abs(case.value.known - case.claim.known), case.settings
    if case.value.diverged and distance < margin:
        return None

    def settled(n: int) -> bool:
        if case.half(1 - 2 * settings.alpha, n) > abs(margin - distance):
            return False
        return distance <= margin or distance > case.half(settings.level, n, claimed_too=True)

    needed = first(settled, case.n + 1, most)
    return None if needed is None else needed - case.n


def first(holds: Callable[[int], bool], least: int, most: int) -> int | None:
    """The smallest number from `least` to `most` for which `holds`, which once true stays true."""
    if least > most or not holds(most):
        return None
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if holds(middle) else (middle + 1, most)
    return least


def settle_probability(case: Case, more: int, margin: float) -> float:
    """The probability that `more` runs settle the cell; with a claim of known spread the claim counts as exact."""
    settings, value = case.settings, case.value
    return replication.probability_settled(
        case.claim.known, value.known, case.spread.sd, case.n, case.spread.df, more, margin, settings.alpha,
        settings.level, 1 / case.claim_n,
    )  # fmt: skip


def suspicions(claimed: float, value: Value, sd: float, margin: float, settings: Settings) -> list[str]:
    """Why a value may be too good to be true, or not a share of this test set.

    Where the spread is unknown the equivalence margin takes its place: after few epochs one point is nothing. Being
    fast never is.
    """
    found: list[str] = []
    metric = value.measure
    if not metric.is_quality:
        return found
    known = math.isfinite(sd)
    limit = max(settings.suspicious_sd * sd if known else margin, settings.suspicious_points * metric.span(claimed))
    if metric.gain(value.known, claimed) > limit + TINY:
        found.append("above_claim")
    if metric.granular and value.n_images and any(not is_share(x, value.n_images) for x in value.attempts):
        found.append("granularity")
    if metric.near_perfect(value.known, settings.near_perfect) and not metric.near_perfect(
        claimed, settings.near_perfect
    ):
        found.append("near_perfect")
    return found


def _differs(claim: Claim, value: Value) -> list[str]:
    """A claim about one epoch that is answered by another: the best epoch is never below the final one."""
    stated = {claim.selection, value.selection} - {"unstated"}
    return ["selection_differs"] if len(stated) > 1 else []


def is_share(accuracy: float, images: int) -> bool:
    """Is the accuracy a whole number of images?"""
    return abs(accuracy * images - round(accuracy * images)) < 1e-3


def nearer_splits(inputs: Inputs, values: Values, pair: Pair) -> dict[str, str]:
    """Which of this study's splits the claim, and the source's value, are nearer to; empty where they do not differ."""
    if not pair.claim.measure.is_quality:
        return {"claim_nearer_split": "", "value_nearer_split": ""}
    claim, selection = pair.claim, inputs.settings.selection
    train, test = (
        values.find(inputs.study, claim.group, claim.metric, split, selection) for split in ("train", "test")
    )
    if train is None or test is None or train.mean is None or test.mean is None:
        return {"claim_nearer_split": "", "value_nearer_split": ""}

    ends = train.mean, test.mean
    apart = abs(ends[0] - ends[1]) >= inputs.settings.suspicious_points * claim.measure.span(ends[1])

    def nearer(number: float | None) -> str:
        if number is None or not apart:
            return ""
        return "train" if abs(number - ends[0]) < abs(number - ends[1]) else "test"

    own = pair.value.source == inputs.study
    return {
        "claim_nearer_split": nearer(claim.value),
        "value_nearer_split": "" if own else nearer(pair.value.mean),
    }


def _split_flag(row: dict[str, Any]) -> list[str]:
    return ["nearer_train"] if row["value_nearer_split"] == "train" else []
