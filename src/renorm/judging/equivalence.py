"""Equivalence verdicts: per claim and source, from the published rule up to equivalence, with the reason in words.

The published rule is one-sided and knows no spread. Here stand its two-sided form, the change of the error rate, the
spread of the runs, an interval for the mean, one for a single further run (the claim is one), and an equivalence test.
"""

import math
from dataclasses import dataclass
from typing import Any

from renorm.judging import statistics
from renorm.judging.inputs import Inputs
from renorm.judging.observations import TINY, Value, Values
from renorm.judging.pairing import Claim, Pair, head, judge_value, key_of, unfinished
from renorm.judging.settings import Settings


@dataclass(frozen=True)
class Spread:
    """The standard deviation that the intervals use, where it is from, and its degrees of freedom."""

    sd: float
    df: int
    kind: str


class Pools:
    """Attempts by source x data set x epochs x metric: siblings that share their spread.

    A cell that spreads clearly more than its siblings do keeps its own SD and stays out of theirs: one unstable
    network must not make all others inconclusive.
    """

    def __init__(self, values: Values):
        pools: dict[tuple, list[Value]] = {}
        for value in values:
            if value.reported_as == "attempts":
                pools.setdefault(self._key(value), []).append(value)
        self._pooled: dict[tuple, tuple[float, int]] = {}
        self._wide: set[Value] = set()
        for key, members in pools.items():
            wide = statistics.unusually_wide([v.attempts for v in members])
            self._wide.update(v for v, stands_out in zip(members, wide, strict=True) if stands_out)
            self._pooled[key] = statistics.pooled_sd([v.attempts for v in members if v not in self._wide])

    @staticmethod
    def _key(value: Value) -> tuple:
        return (value.source, value.dataset, value.recipe, value.epochs, value.metric, value.split, value.selection)

    def pooled(self, value: Value) -> tuple[float, int]:
        """SD and degrees of freedom of the value's pool."""
        return self._pooled.get(self._key(value), (math.nan, 0))

    def spread(self, value: Value) -> Spread | None:
        """The pooled SD, since three runs say little about their own; the own one where it is clearly wider."""
        if value.reported_as != "attempts" or not value.attempts:
            return None
        sd, df = self.pooled(value)
        own = len(value.attempts) - 1
        if own and (df <= own or value in self._wide):
            return Spread(value.sd, own, "own")
        return Spread(sd, df, "pooled") if df else None


def rows(inputs: Inputs, values: Values, pairs: list[Pair]) -> list[dict[str, Any]]:
    """The table equivalence.csv."""
    pools = Pools(values)
    return [_row(inputs, values, pools, pair) for pair in pairs]


def flags_by_claim(pairs: list[Pair], rows: list[dict[str, Any]]) -> dict[tuple, str]:
    return {key_of(pair): row["flags"] for pair, row in zip(pairs, rows, strict=True)}


def _row(inputs: Inputs, values: Values, pools: Pools, pair: Pair) -> dict[str, Any]:
    settings, claimed, value = inputs.settings, pair.claim.value, pair.value
    margin = settings.margin(claimed, value.epochs)
    row = head(pair) | {"one_sided": judge_value(claimed, value.mean, settings), "margin": margin, "sd": value.sd}
    row |= nearer_splits(inputs, values, pair)
    if value.mean is None:
        return row | {"flags": ""} | dict(zip(("verdict", "reason"), _without_value(value), strict=True))
    pooled, df = pools.pooled(value)
    spread = pools.spread(value)
    row |= _differences(claimed, value.mean, settings)
    row |= {"pooled_sd": pooled, "pooled_df": df or None, "spread": spread.kind if spread else "none"}
    flags = suspicions(claimed, value, pooled, margin, settings) + _differs(pair.claim, value) + _split_flag(row)
    row["flags"] = ";".join(flags)
    if spread is None or spread.sd <= statistics.ROUNDING:
        return row | {"verdict": "inconclusive", "reason": _no_spread(value)}
    return row | _tested(claimed, value, spread, margin, settings)


def _without_value(value: Value) -> tuple[str, str]:
    if value.diverged and value.diverged == value.n_expected:
        return "not reproduced", f"all {value.diverged} runs diverged"
    return "missing", unfinished(value) or "no value"


def _no_spread(value: Value) -> str:
    if value.reported_as == "average":
        return "only an average was published: its spread is unknown"
    if len(value.attempts) > 1:
        return f"its {len(value.attempts)} runs are equal: they say nothing about the spread"
    return "one run without siblings says nothing about the spread"


def _differences(claimed: float, mean: float, settings: Settings) -> dict[str, Any]:
    change = mean - claimed
    return {
        "change": change,
        "relative_change": change / claimed if claimed else None,
        "error_change": -change / (1 - claimed) if claimed < 1 else None,
        "two_sided_relative": abs(change) <= settings.threshold * claimed + TINY,
        "two_sided_absolute": abs(change) <= settings.threshold + TINY,
    }


def _tested(claimed: float, value: Value, spread: Spread, margin: float, settings: Settings) -> dict[str, Any]:
    mean, n = value.mean, len(value.attempts)
    around = (mean, spread.sd, n, spread.df)
    low, high = statistics.mean_interval(*around, settings.level)
    first, last = statistics.prediction_interval(*around, settings.level)
    bottom, top = statistics.mean_interval(*around, 1 - 2 * settings.alpha)
    inside = first - TINY <= claimed <= last + TINY
    verdict, reason = decide(claimed, (bottom, top), inside, margin, value, settings)
    return {
        "mean_low": low, "mean_high": high, "prediction_low": first, "prediction_high": last,
        "inside_prediction": inside, "equivalence_low": bottom, "equivalence_high": top,
        "equivalence_p": statistics.tost_p(mean - claimed, spread.sd, n, spread.df, margin),
        "verdict": verdict, "reason": reason,
        "seeds_needed": seeds_needed(claimed, value, spread, margin, settings) if verdict == "inconclusive" else None,
    }  # fmt: skip


def decide(
    claimed: float, equivalence: tuple[float, float], inside: bool, margin: float, value: Value, settings: Settings
) -> tuple[str, str]:
    """The verdict and its reason.

    Reproduced: the mean's interval lies within the margin (TOST). Not reproduced: it lies outside the margin AND the
    claim is not plausible as a single run. Everything else is inconclusive; so is a cell with diverged runs, since
    those are failures that a mean of the others hides.
    """
    low, high = equivalence[0] - claimed, equivalence[1] - claimed
    limit = f"±{margin * 100:.2g} points"
    if settings.margin_told(value.epochs).endswith("claim"):
        limit += f" ({settings.margin_told(value.epochs)})"
    shown = f"difference of the mean {low * 100:+.2f} to {high * 100:+.2f} points"
    within, outside = -margin < low and high < margin, low > margin or high < -margin
    tail = f"; {unfinished(value)}" if unfinished(value) else ""
    if within and value.diverged:
        return "inconclusive", f"{shown}, within {limit}, but runs diverged{tail}"
    if within:
        return "reproduced", f"{shown}, within {limit}{tail}"
    plausible = "could be one of these runs" if inside else "is not plausible as a single run"
    if outside and not inside:
        return "not reproduced", f"{shown}, outside {limit}, and the claim {plausible}{tail}"
    where = "outside" if outside else "reaches over"
    return "inconclusive", f"{shown}, {where} {limit}, and the claim {plausible}{tail}"


def seeds_needed(claimed: float, value: Value, spread: Spread, margin: float, settings: Settings) -> int | None:
    """How many more runs would settle an inconclusive cell, if mean and spread stay as they are; None: no number would.

    The equivalence interval must clear the nearer margin; outside it, the claim must leave the prediction interval too.
    """
    distance, n = abs(value.mean - claimed), len(value.attempts)
    needed = statistics.runs_needed(abs(margin - distance), spread.sd, n, spread.df, 1 - 2 * settings.alpha)
    if needed is None or (value.diverged and distance < margin):
        return None
    while distance > margin and needed <= 1000:
        _, last = statistics.prediction_interval(0, spread.sd, needed, spread.df + needed - n, settings.level)
        if distance > last:
            break
        needed += 1
    return needed - n if needed <= 1000 else None


def suspicions(claimed: float, value: Value, pooled: float, margin: float, settings: Settings) -> list[str]:
    """Why a value may be too good to be true, or no accuracy of this test set.

    Where the spread is unknown the equivalence margin stands in for it: after few epochs one point is nothing.
    """
    found = []
    known = math.isfinite(pooled)
    limit = max(settings.suspicious_sd * pooled if known else margin, settings.suspicious_points)
    if value.mean - claimed > limit + TINY:
        found.append("above_claim")
    if value.n_images and any(not is_share(x, value.n_images) for x in value.attempts):
        found.append("granularity")
    if value.mean >= settings.near_perfect > claimed:
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
    claim, selection = pair.claim, inputs.settings.selection
    train, test = (
        values.find(inputs.study, claim.group, claim.metric, split, selection) for split in ("train", "test")
    )
    if train is None or test is None or train.mean is None or test.mean is None:
        return {"claim_nearer_split": "", "value_nearer_split": ""}

    def nearer(number: float | None) -> str:
        if number is None or abs(train.mean - test.mean) < inputs.settings.suspicious_points:
            return ""
        return "train" if abs(number - train.mean) < abs(number - test.mean) else "test"

    own = pair.value.source == inputs.study
    return {
        "claim_nearer_split": nearer(claim.value),
        "value_nearer_split": "" if own else nearer(pair.value.mean),
    }


def _split_flag(row: dict[str, Any]) -> list[str]:
    return ["nearer_train"] if row["value_nearer_split"] == "train" else []
