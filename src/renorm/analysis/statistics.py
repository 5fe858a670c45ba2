"""The formulas, each with its source. Numbers in, numbers out; nothing here knows a table."""

import math
from collections.abc import Sequence

from scipy import stats


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation with n - 1."""
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1)) if n > 1 else math.nan


def ratio_interval(
    above: Sequence[float], below: Sequence[float], level: float = 0.95
) -> tuple[float | None, float | None]:
    """Confidence interval of a ratio of means: Welch's interval of the difference of logarithms, exponentiated.

    Run times are positive and their spread grows with their size, so the logarithm is the scale on which a t interval
    fits (Welch 1947 for the degrees of freedom).
    """
    if len(above) < 2 or len(below) < 2 or min(*above, *below) <= 0:
        return None, None
    difference, low, high, _, _ = welch([math.log(x) for x in above], [math.log(x) for x in below], level)
    return (math.exp(low), math.exp(high)) if math.isfinite(difference) and math.isfinite(low) else (None, None)


def welch(a: Sequence[float], b: Sequence[float], level: float) -> tuple[float, float, float, float, float]:
    """Welch's t test of mean(a) - mean(b): difference, interval, degrees of freedom, two-sided p (Welch 1947)."""
    (mean_a, sd_a), (mean_b, sd_b) = mean_sd(a), mean_sd(b)
    difference = mean_a - mean_b
    va, vb = sd_a**2 / len(a), sd_b**2 / len(b)
    if va + vb == 0:
        return difference, math.nan, math.nan, math.nan, math.nan
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    error = math.sqrt(va + vb)
    half = stats.t.ppf((1 + level) / 2, df) * error
    return difference, difference - half, difference + half, df, 2 * stats.t.sf(abs(difference) / error, df)
