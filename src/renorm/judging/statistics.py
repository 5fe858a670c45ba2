"""The formulas, each with its source. Numbers in, numbers out; nothing here knows a table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Interval = tuple[float, float]
# Of values of order 1: what equal numbers leave when they are averaged and subtracted, which is not a spread.
ROUNDING = 1e-12


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
    if not math.sqrt(va + vb) > ROUNDING * max(1.0, abs(mean_a), abs(mean_b)):
        return Difference(mean_a - mean_b)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return _t_test(mean_a - mean_b, math.sqrt(va + vb), df, level)


def paired(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Difference:
    """Student's t test of the differences a_i - b_i."""
    mean, sd = mean_sd([x - y for x, y in zip(a, b, strict=True)])
    if not sd > ROUNDING * max(1.0, abs(mean)):
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


def unusually_wide(groups: Sequence[Sequence[float]], alpha: float = 0.01) -> list[bool]:
    """F tests: which groups of values spread more than all the others together do?

    Again without those that do, until none is left: a very wide group hides a wide one.
    """
    found, left = [False] * len(groups), list(range(len(groups)))
    while wide := [i for i, w in zip(left, _wider_than_rest([groups[i] for i in left], alpha), strict=True) if w]:
        for i in wide:
            found[i] = True
        left = [i for i in left if not found[i]]
    return found


def _wider_than_rest(groups: Sequence[Sequence[float]], alpha: float) -> list[bool]:
    squares = np.array([(len(g) - 1) * mean_sd(g)[1] ** 2 if len(g) > 1 else 0.0 for g in groups])
    df = np.array([max(len(g) - 1, 0) for g in groups])
    # Sums of the others without subtraction, which would leave rounding of the widest group in the narrow ones.
    rest, rest_df = _sums_of_others(squares), df.sum() - df
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (squares / df) / (rest / rest_df)
    known = (df > 0) & (rest_df > 0) & (rest > 0)
    return [bool(k and stats.f.sf(r, own, other) < alpha) for k, r, own, other in
            zip(known, ratio, df, rest_df, strict=True)]  # fmt: skip


def _sums_of_others(values: np.ndarray) -> np.ndarray:
    """For each of the values the sum of all others."""
    before = np.concatenate([[0.0], np.cumsum(values)[:-1]])
    behind = np.concatenate([np.cumsum(values[::-1])[::-1][1:], [0.0]])
    return before + behind


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
class Bootstrapped:
    """A mean over `strata` with its percentile interval; none where every stratum has a single run on a side.

    `single`: strata with a single run on a side, which add nothing to the interval.
    """

    value: float
    interval: Interval | None
    strata: int
    single: int


Stratum = tuple[Sequence[float], Sequence[float]]


def probability_of_improvement(
    strata: Sequence[Stratum], resamples: int, seed: int, level: float = 0.95
) -> Bootstrapped:
    """The probability that a run of the method beats one of the baseline (Agarwal et al. 2021).

    `strata`: (method, baseline) runs. Of a stratum it is the share of its run pairs that the method wins, ties half;
    strata count alike. A run that diverged is -inf: it loses against any that did not.
    """
    return _bootstrapped(strata, _share_of_wins, resamples, seed, level)


def mean_improvement(strata: Sequence[Stratum], resamples: int, seed: int, level: float = 0.95) -> Bootstrapped:
    """The mean over the strata of the difference of the means, method less baseline."""
    return _bootstrapped(strata, lambda x, y: x.mean(axis=1) - y.mean(axis=1), resamples, seed, level)


def _bootstrapped(
    strata: Sequence[Stratum], statistic: Callable, resamples: int, seed: int, level: float
) -> Bootstrapped:
    """Percentile bootstrap over runs, resampled inside each stratum.

    Each resample draws n - 1 of n runs: n of n would make the interval of three runs too narrow by sqrt(2/3) (Rao and
    Wu 1988).
    """
    rng, here, drawn = np.random.default_rng(seed), 0.0, np.zeros(resamples)
    for method, baseline in strata:
        here += float(statistic(np.atleast_2d(method), np.atleast_2d(baseline))[0])
        drawn += statistic(_resampled(method, resamples, rng), _resampled(baseline, resamples, rng))
    single, n = sum(min(map(len, stratum)) < 2 for stratum in strata), len(strata)
    low, high = np.quantile(drawn / n, [(1 - level) / 2, (1 + level) / 2])
    return Bootstrapped(here / n, None if single == n else (float(low), float(high)), n, single)


def _resampled(values: Sequence[float], resamples: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(len(values), size=(resamples, max(1, len(values) - 1)))
    return np.asarray(values, dtype=float)[drawn]


def _share_of_wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Per row: the share of pairs with x > y, ties half.

    By ranks (Mann and Whitney 1947), since the pairs of a thousand runs with a thousand do not fit in memory.
    """
    n, m = x.shape[1], y.shape[1]
    ranks = stats.rankdata(np.concatenate([x, y], axis=1), axis=1)[:, :n].sum(axis=1)
    return (ranks - n * (n + 1) / 2) / (n * m)
