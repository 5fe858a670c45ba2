"""The formulas, each with its source. Numbers in, numbers out; nothing here knows a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


def tost_p(difference: float, error: float, df: float, margin: float) -> float:
    """p value of the two one-sided tests that |difference| < margin (Schuirmann 1987): the larger of the two.

    p < alpha exactly when the 1 - 2 alpha interval of the difference, of standard error `error`, lies inside the
    margins.
    """
    if error == 0:
        return 0.0 if abs(difference) < margin else 1.0
    return float(stats.t.sf((margin - abs(difference)) / error, df))


def welch(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Difference:
    """Welch's t test of mean(a) - mean(b) (Welch 1947)."""
    return welch_of_means((*mean_sd(a), len(a)), (*mean_sd(b), len(b)), level)


def welch_of_means(a: tuple[float, float, int], b: tuple[float, float, int], level: float = 0.95) -> Difference:
    """Welch's t test of two means, each given as (mean, SD, n): what a printed 93.2 ± 0.4 of 5 runs allows."""
    (mean_a, sd_a, n_a), (mean_b, sd_b, n_b) = a, b
    va, vb = sd_a**2 / n_a, sd_b**2 / n_b
    if not math.sqrt(va + vb) > ROUNDING * max(1.0, abs(mean_a), abs(mean_b)):
        return Difference(mean_a - mean_b)
    df = (va + vb) ** 2 / (va**2 / (n_a - 1) + vb**2 / (n_b - 1))
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
    """Confidence interval of mean(above) / mean(below), around that ratio on the logarithmic scale.

    Run times are positive and their spread grows with their size, so the logarithm is the scale on which a t interval
    fits: log ratio +- t sqrt(v_a + v_b) with v = (s / mean)^2 / n (the delta method) and Welch's degrees of freedom.
    """
    if len(above) < 2 or len(below) < 2 or min(*above, *below) <= 0:
        return None, None
    (mean_a, sd_a), (mean_b, sd_b) = mean_sd(above), mean_sd(below)
    va, vb = (sd_a / mean_a) ** 2 / len(above), (sd_b / mean_b) ** 2 / len(below)
    if not math.sqrt(va + vb) > ROUNDING:
        return None, None
    df = (va + vb) ** 2 / (va**2 / (len(above) - 1) + vb**2 / (len(below) - 1))
    logs = _t_test(math.log(mean_a / mean_b), math.sqrt(va + vb), df, level)
    return math.exp(logs.low), math.exp(logs.high)


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
