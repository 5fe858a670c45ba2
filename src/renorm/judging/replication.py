"""What replication science asks of an effect: the sources combined, the sceptical p value, and what more runs would do.

An effect is the difference method - baseline of one pair of cells in one source, with its standard error. Nothing here
replaces a verdict; it is reported in addition where its inputs exist.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from renorm.judging.statistics import Interval

GOLDEN = (1 + math.sqrt(5)) / 2


@dataclass(frozen=True)
class Effect:
    """A difference in the metric's unit, its standard error and the degrees of freedom behind that."""

    source: str
    value: float
    se: float
    df: float = math.inf


@dataclass(frozen=True)
class Combined:
    """Several sources' effects as one.

    `fixed`, `random`: (estimate, low, high) under one common effect, and under effects that differ by source with
    variance `tau2` (Paule & Mandel 1982; interval by Hartung & Knapp 2001). `q`, `q_p`: Cochran's test of
    heterogeneity; `i2`: the share of the variation that is not sampling (Higgins & Thompson 2002).
    """

    k: int
    fixed: tuple[float, float, float]
    random: tuple[float, float, float]
    tau2: float
    q: float
    q_p: float
    i2: float


def combine(effects: Sequence[Effect], level: float = 0.95) -> Combined | None:
    """Meta-analysis of two or more effects by statsmodels.stats.meta_analysis; None of fewer."""
    from statsmodels.stats.meta_analysis import combine_effects  # takes a second to import; few judgements need it

    known = [e for e in effects if e.se > 0 and math.isfinite(e.se) and math.isfinite(e.value)]
    if len(known) < 2:
        return None
    value, variance = np.array([e.value for e in known]), np.array([e.se**2 for e in known])
    # In units of the smallest error: the iteration for tau2 stops at an absolute tolerance.
    unit = float(np.sqrt(variance.min()))
    with np.errstate(divide="ignore"):  # its I2 of effects that agree to the last bit
        found = combine_effects(value / unit, variance / unit**2, method_re="iterated", use_t=False)
    half = float(stats.norm.ppf((1 + level) / 2)) * found.sd_eff_w_fe * unit
    fixed = found.mean_effect_fe * unit
    # Hartung & Knapp: a t interval with the weighted variance of the effects around the mean, not below the fixed one.
    spread = max(found.sd_eff_w_re_hksj, found.sd_eff_w_fe) * unit
    reach = float(stats.t.ppf((1 + level) / 2, len(known) - 1)) * spread
    random = found.mean_effect_re * unit
    q, df = float(found.q), len(known) - 1
    return Combined(
        len(known), (fixed, fixed - half, fixed + half), (random, random - reach, random + reach),
        float(found.tau2) * unit**2, q, float(stats.chi2.sf(q, df)), max(0.0, (q - df) / q) if q > 0 else 0.0,
    )  # fmt: skip


def prediction(original: Effect, replication: Effect, level: float = 0.95) -> Interval:
    """Where the replication's effect was to be expected from the original's, if both estimate one effect.

    theta_o +- t sqrt(se_o^2 + se_r^2) (Patil, Peng & Leek 2016); degrees of freedom by Welch and Satterthwaite.
    """
    a, b = original.se**2, replication.se**2
    parts = sum(v**2 / e.df for v, e in ((a, original), (b, replication)) if math.isfinite(e.df))
    df = (a + b) ** 2 / parts if parts else math.inf
    half = float(stats.t.ppf((1 + level) / 2, df)) * math.sqrt(a + b)
    return original.value - half, original.value + half


def z_sceptical(z_original: float, z_replication: float, c: float) -> float:
    """The non-negative root z_S of (z_o^2 / z_S^2 - 1)(z_r^2 / z_S^2 - 1) = c (Held 2020, equation 7).

    Args:
        z_original, z_replication: effect divided by its standard error.
        c: variance of the original's effect divided by that of the replication's.
    """
    o, r = z_original**2, z_replication**2
    if o == 0 or r == 0:
        return 0.0
    harmonic, mean = 2 / (1 / o + 1 / r), (o + r) / 2
    if abs(c - 1) < 1e-9:
        return math.sqrt(harmonic / 2)
    # Without the difference of nearly equal numbers: (sqrt(m^2 + x) - m) / (c - 1) with x = (c - 1) m h.
    return math.sqrt(mean * harmonic / (math.sqrt(mean * (mean + (c - 1) * harmonic)) + mean))


def sceptical_p(original: Effect, replication: Effect, golden: bool = False) -> float:
    """One-sided sceptical p value of a replication (Held 2020; `pSceptical` of R's ReplicationSuccess, type nominal).

    Small where the original would still convince a reader so sceptical that the original alone just fails to, and the
    replication contradicts that scepticism. `golden`: recalibrated so that a borderline significant original with no
    shrinkage of the effect can succeed (Held, Micheloud & Pawel 2022), to be compared with the usual level.
    """
    zo, zr = original.value / original.se, replication.value / replication.se
    z = z_sceptical(zo, zr, (original.se / replication.se) ** 2) * (math.sqrt(GOLDEN) if golden else 1)
    return float(stats.norm.sf(z) if zo * zr > 0 else stats.norm.cdf(z))


def probability_settled(
    claimed: float, mean: float, sd: float, n: int, df: float, more: int, margin: float, alpha: float, level: float,
    claim_variance: float = 1.0, draws: int = 4000, seed: int = 0,
) -> float:  # fmt: skip
    """The probability that `more` runs make an inconclusive cell reproduced or not reproduced.

    The cell's true mean and SD are drawn from their posterior (sd^2 df / chi^2(df), then a normal around the mean: the
    usual reference prior), the further runs from those, and the verdict's two conditions are asked of all runs
    together: the 1 - 2 alpha interval of the difference inside the margin, or outside it with the claim beyond the
    prediction interval.

    Args:
        claimed, mean, sd, margin: in the metric's unit; `sd` has `df` degrees of freedom and `n` runs are at hand.
        claim_variance: of the claim in units of one run's variance: 1 of a single run, 1/m of a mean of m.

    Returns:
        The share of `draws` that are settled.
    """
    if more < 1 or not sd > 0 or not df > 0:
        return 0.0
    rng = np.random.default_rng(seed)
    sigma = sd * np.sqrt(df / rng.chisquare(df, draws))
    truth = mean + sigma / math.sqrt(n) * rng.standard_normal(draws)
    further = truth + sigma / math.sqrt(more) * rng.standard_normal(draws)
    squares = sigma**2 * rng.chisquare(more - 1, draws) if more > 1 else np.zeros(draws)
    total, new_df = n + more, df + more
    overall = (n * mean + more * further) / total
    between = n * more / total * (further - mean) ** 2
    new_sd = np.sqrt((df * sd**2 + squares + between) / new_df)
    half = stats.t.ppf(1 - alpha, new_df) * new_sd / math.sqrt(total)
    reach = stats.t.ppf((1 + level) / 2, new_df) * new_sd * math.sqrt(claim_variance + 1 / total)
    off = np.abs(overall - claimed)
    return float(np.mean((off + half < margin) | ((off - half > margin) & (off > reach))))
