"""The formulas, each with its source. Numbers in, numbers out; nothing here knows a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Interval = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """A difference of means with its interval and two-sided p value; NaN where there is no spread to judge by."""

    value: float
    low: float = math.nan
    high: float = math.nan
    statistic: float = math.nan
    df: float = math.nan
    p: float = math.nan


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation with n - 1; the latter is NaN of one value."""
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1)) if n > 1 else math.nan


def pooled_sd(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """SD pooled over groups, sqrt(sum (n_i - 1) s_i^2 / sum (n_i - 1)), and its degrees of freedom."""
    several = [group for group in groups if len(group) > 1]
    df = sum(len(group) - 1 for group in several)
    if not df:
        return math.nan, 0
    return math.sqrt(math.fsum((len(g) - 1) * mean_sd(g)[1] ** 2 for g in several) / df), df


def mean_interval(mean: float, sd: float, n: int, df: float, level: float) -> Interval:
    """t interval of a mean: mean +- t(df) s / sqrt(n) (Student 1908); `df` is the spread's, so it may be pooled."""
    half = float(stats.t.ppf((1 + level) / 2, df)) * sd / math.sqrt(n)
    return mean - half, mean + half


def prediction_interval(mean: float, sd: float, n: int, df: float, level: float) -> Interval:
    """Where one further run falls: mean +- t(df) s sqrt(1 + 1/n) (Spence and Stanley 2016, equation 2)."""
    half = float(stats.t.ppf((1 + level) / 2, df)) * sd * math.sqrt(1 + 1 / n)
    return mean - half, mean + half


def tost_p(difference: float, sd: float, n: int, df: float, margin: float) -> float:
    """p value of the two one-sided tests that |difference| < margin (Schuirmann 1987): the larger of the two.

    p < alpha exactly when the 1 - 2 alpha interval of the difference lies inside the margins.
    """
    error = sd / math.sqrt(n)
    if error == 0:
        return 0.0 if abs(difference) < margin else 1.0
    return float(stats.t.sf((margin - abs(difference)) / error, df))


def welch(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Difference:
    """Welch's t test of mean(a) - mean(b) (Welch 1947)."""
    (mean_a, sd_a), (mean_b, sd_b) = mean_sd(a), mean_sd(b)
    va, vb = sd_a**2 / len(a), sd_b**2 / len(b)
    if not va + vb > 0:
        return Difference(mean_a - mean_b)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return _t_test(mean_a - mean_b, math.sqrt(va + vb), df, level)


def paired(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Difference:
    """Student's t test of the differences a_i - b_i."""
    mean, sd = mean_sd([x - y for x, y in zip(a, b, strict=True)])
    # Equal differences leave a rest of the machine's rounding, which is no spread.
    if not sd > 1e-12 * max(1.0, abs(mean)):
        return Difference(mean)
    return _t_test(mean, sd / math.sqrt(len(a)), len(a) - 1, level)


def _t_test(difference: float, error: float, df: float, level: float) -> Difference:
    half = float(stats.t.ppf((1 + level) / 2, df)) * error
    t = difference / error
    return Difference(difference, difference - half, difference + half, t, df, 2 * float(stats.t.sf(abs(t), df)))


def ratio_interval(
    above: Sequence[float], below: Sequence[float], level: float = 0.95
) -> tuple[float | None, float | None]:
    """Confidence interval of a ratio of means: Welch's interval of the difference of logarithms, exponentiated.

    Run times are positive and their spread grows with their size, so the logarithm is the scale on which a t interval
    fits.
    """
    if len(above) < 2 or len(below) < 2 or min(*above, *below) <= 0:
        return None, None
    logs = welch([math.log(x) for x in above], [math.log(x) for x in below], level)
    return (math.exp(logs.low), math.exp(logs.high)) if math.isfinite(logs.low) else (None, None)


def holm(p: Sequence[float]) -> list[float]:
    """p values adjusted for the size of their family (Holm 1979): step down, monotone, at most 1."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, worst = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = worst
    return adjusted


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p value of `wins` against `losses` when either is as likely; ties stay out (Dixon and Mood 1946)."""
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else math.nan


def is_unusually_wide(own: Sequence[float], others: Sequence[Sequence[float]], alpha: float = 0.01) -> bool:
    """F test: do these values spread more than their siblings do?"""
    sd, df = pooled_sd(others)
    if len(own) < 2 or not df or not sd > 0:
        return False
    return float(stats.f.sf((mean_sd(own)[1] / sd) ** 2, len(own) - 1, df)) < alpha


def runs_needed(distance: float, sd: float, n: int, df: float, level: float, most: int = 1000) -> int | None:
    """The smallest number of runs with t(df') s / sqrt(runs) <= distance, if SD and means stay as they are.

    df' grows by one with each run added to the n at hand. None when more than `most` would be needed.
    """
    if not distance > 0:
        return None
    runs = np.arange(n + 1, most + 1)
    enough = stats.t.ppf((1 + level) / 2, df + runs - n) * sd / np.sqrt(runs) <= distance
    return int(runs[enough.argmax()]) if enough.any() else None


@dataclass(frozen=True)
class Improvement:
    """Over all strata: the probability that a method's run beats a baseline's, and the mean improvement."""

    probability: float
    probability_interval: Interval
    mean: float
    mean_interval: Interval


def stratified_bootstrap(
    strata: Sequence[tuple[Sequence[float], Sequence[float]]], resamples: int, seed: int, level: float = 0.95
) -> Improvement:
    """Percentile bootstrap over (method, baseline) runs, resampled inside each stratum (Agarwal et al. 2021).

    The probability of improvement of a stratum is the share of its run pairs that the method wins, ties half; strata
    count alike. Each resample draws n - 1 of n runs: n of n would make the interval of three runs too narrow by
    sqrt(2/3) (Rao and Wu 1988).
    """
    rng = np.random.default_rng(seed)
    here, drawn = np.zeros(2), np.zeros((2, resamples))
    for method, baseline in strata:
        here += _wins_and_gain(np.atleast_2d(method), np.atleast_2d(baseline))[:, 0]
        drawn += _wins_and_gain(_resampled(method, resamples, rng), _resampled(baseline, resamples, rng))
    (wins, gain), drawn = here / len(strata), drawn / len(strata)
    tails = [(1 - level) / 2, (1 + level) / 2]
    around_wins, around_gain = (tuple(map(float, np.quantile(found, tails))) for found in drawn)
    return Improvement(float(wins), around_wins, float(gain), around_gain)


def _resampled(values: Sequence[float], resamples: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(len(values), size=(resamples, max(1, len(values) - 1)))
    return np.asarray(values, dtype=float)[drawn]


def _wins_and_gain(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Per row: the share of pairs with x > y, and the difference of the means.

    By ranks (Mann and Whitney 1947), since the pairs of a thousand runs with a thousand do not fit in memory.
    """
    n, m = x.shape[1], y.shape[1]
    ranks = stats.rankdata(np.concatenate([x, y], axis=1), axis=1)[:, :n].sum(axis=1)
    wins = (ranks - n * (n + 1) / 2) / (n * m)
    return np.stack([wins, x.mean(axis=1) - y.mean(axis=1)])
