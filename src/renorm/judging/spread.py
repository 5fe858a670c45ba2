"""How much runs of one cell vary: a spread that pools with care, and floors for cells that have none.

Three runs say little about their own standard deviation, and a pooled one is wrong for a cell that is less stable than
the others. The variance here is moderated (Smyth 2004, section 6): the cell's own variance, drawn to the pool's with a
weight that is estimated from how much the cells' variances differ. Two rules keep it from being too small for the one
unstable cell of a pool, whose verdict is at stake: the prior weighs at most half as much as the cell's own runs, and
the result is never below the cell's own variance. `python -m tests.judging.simulations` prints sizes and coverages.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from renorm.judging.statistics import ROUNDING, mean_sd

# A cell whose own variance exceeds the others' by an F test at this level shares nothing with them.
APART = 0.25
# The pool's prior against a cell's own runs, in degrees of freedom.
WEIGHT = 0.5
# SDs over seeds of recorded one-epoch cells are up to 13 binomial SDs, 7 at the 90 % quantile (13 cells).
BINOMIAL_FACTOR = 10.0
# A floor decides only what lies outside an interval of this level.
FLOOR_LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """A standard deviation in the metric's unit with its degrees of freedom.

    `kind`: own (the cell's runs alone), moderated (own runs and pool), borrowed (the pool alone), claimed (printed
    with the value).
    """

    sd: float
    df: float
    kind: str


@dataclass(frozen=True)
class Floor:
    """A spread that a cell without one has at least: it may refute a claim, never confirm one."""

    sd: float
    name: str


def varies(values: Sequence[float]) -> bool:
    """Whether the runs differ by more than the rounding that averages of equal numbers leave."""
    return len(values) > 1 and mean_sd(values)[1] > ROUNDING * max(1.0, *map(abs, values))


def at_chance(values: Sequence[float], chance: float | None, n_images: int | None) -> bool:
    """Whether every run is a network that guesses one class: within 3 binomial SDs of `chance`."""
    if chance is None or not values:
        return False
    width = 3 * math.sqrt(chance * (1 - chance) / n_images) if n_images else 0.0
    return all(abs(x - chance) <= width + ROUNDING for x in values)


def as_runs(mean: float, sd: float, n: int) -> list[float]:
    """`n` numbers with that mean and SD: what a printed mean ± SD says of its runs."""
    places = np.linspace(-1, 1, n)
    return list(mean + sd * places / places.std(ddof=1))


def moderated(groups: Sequence[Sequence[float]], dead: Sequence[bool] | None = None) -> list[Spread | None]:
    """The spread of each of a pool's cells, None where there is none to be had.

    Args:
        groups: the runs of each cell, in the metric's unit; all cells share data set, epochs, recipe and metric.
        dead: cells at chance level, whose spread says nothing about the others', nor the others' about theirs.

    Returns:
        One entry a cell. Cells whose runs are equal, and dead ones, neither give nor take; a single run borrows.
    """
    dead = dead or [False] * len(groups)
    live = [i for i, group in enumerate(groups) if varies(group) and not dead[i]]
    variance = {i: mean_sd(groups[i])[1] ** 2 for i in live}
    df = {i: len(groups[i]) - 1 for i in live}
    prior_df = prior_degrees([variance[i] for i in live], [df[i] for i in live])
    total = sum(df.values())
    pooled = math.fsum(df[i] * variance[i] for i in live) / total if total else math.nan
    typical = _typical([variance[i] for i in live], [df[i] for i in live])
    found: list[Spread | None] = []
    for i, group in enumerate(groups):
        if i in variance:
            rest = (pooled * total - variance[i] * df[i]) / (total - df[i]) if total > df[i] else math.nan
            found.append(_own(variance[i], df[i], rest, total - df[i], typical, prior_df))
        elif len(group) == 1 and not dead[i] and prior_df:
            found.append(Spread(math.sqrt(pooled), min(prior_df, total), "borrowed"))
        else:
            found.append(None)
    return found


def _own(variance: float, df: int, rest: float, others: int, typical: float, prior_df: float) -> Spread:
    """`rest`: the others' pooled variance with `others` degrees of freedom; `typical`: that of the pool's cells."""
    alone = not prior_df or not rest > 0 or stats.f.sf(variance / rest, df, others) < APART
    if alone:
        return Spread(math.sqrt(variance), df, "own")
    weight = min(prior_df, WEIGHT * df)
    drawn = (weight * typical + df * variance) / (weight + df)
    return Spread(math.sqrt(max(drawn, variance)), df + weight, "moderated")


def _typical(variances: Sequence[float], df: Sequence[float]) -> float:
    """The cells' typical variance: the mean of log s^2 less its bias, so that one wild cell does not move it much."""
    if not variances:
        return math.nan
    d = np.asarray(df, dtype=float)
    return float(np.exp(np.mean(np.log(variances) - special.digamma(d / 2) + np.log(d / 2))))


def prior_degrees(variances: Sequence[float], df: Sequence[float]) -> float:
    """Degrees of freedom of the distribution that the cells' true variances come from; infinite where they agree.

    Smyth 2004, equation on log variances: the spread of log s_i^2 over cells, less what sampling alone gives
    (trigamma(df_i / 2)), is trigamma(d0 / 2). Zero of fewer than two cells, which say nothing about it.
    """
    if len(variances) < 2:
        return 0.0
    s2, d = np.asarray(variances, dtype=float), np.asarray(df, dtype=float)
    log = np.log(s2) - special.digamma(d / 2) + np.log(d / 2)
    excess = float(log.var(ddof=1) - special.polygamma(1, d / 2).mean())
    return math.inf if excess <= 0 else 2 * inverse_trigamma(excess)


def inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value > 0, by Newton's iteration on 1 / trigamma (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if -step / x < 1e-12:
            break
    return x


def binomial_floor(share: float, n_images: int) -> Floor:
    """Ten binomial SDs of an accuracy: sqrt(p (1 - p) / n) is what another sample of images alone would move it.

    Seeds move it by more, so that the floor is a multiple (`BINOMIAL_FACTOR`).
    """
    sd = math.sqrt(share * (1 - share) / n_images)
    return Floor(BINOMIAL_FACTOR * sd, f"{BINOMIAL_FACTOR:g} binomial SDs of {n_images:,} images")


def beyond_floor(difference: float, floor: Floor, n_value: int, n_claim: int, margin: float) -> bool:
    """Whether no noise of the floor's size explains `difference` (value - claim), margin included."""
    reach = float(stats.norm.ppf((1 + FLOOR_LEVEL) / 2)) * floor.sd * math.sqrt(1 / n_value + 1 / n_claim)
    return abs(difference) > margin + reach
