"""Two sides compared over seeds and pairs: which test, which interval, and when there is none to show."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from scipy import stats

from renorm.judging.statistics import Difference, Interval, mean_sd, paired, welch

# Of all seeds on either side, the share that must be common for the pairing to be used.
COMMON = 0.8
# Fewer pairs say nothing about pairs that were not run: intervals over them cover less than they promise.
FEWEST_PAIRS = 4
ENUMERATED = 50_000
Stratum = tuple[Sequence[float], Sequence[float]]
Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Tested:
    """How two sides were compared: the test's name, the number of seed pairs used, and its result if there is one."""

    test: str
    n_pairs: int
    difference: Difference | None


def compare(
    method: dict[int, float] | Sequence[float], baseline: dict[int, float] | Sequence[float], level: float
) -> Tested:
    """The difference of the means, method - baseline, by a test that uses every run.

    Args:
        method, baseline: value by seed where the numbers are seeds, else the values alone.
        level: of the interval.

    Returns:
        Paired t where both sides have the same seeds; the partially overlapping t test (Derrick et al. 2017) where at
        least 80 % of all seeds are common; Welch's t where fewer are. A seed fixes data order and initialisation, so
        that runs of one seed go up and down together (correlations of .63 to .94 in the recorded studies).
    """
    x, y = (list(side.values()) if isinstance(side, dict) else list(side) for side in (method, baseline))
    if min(len(x), len(y)) < 2:
        return Tested("none", 0, None)
    if not isinstance(method, dict) or not isinstance(baseline, dict):
        return Tested("Welch t", 0, welch(x, y, level))
    common, everyone = sorted(method.keys() & baseline.keys()), len(method.keys() | baseline.keys())
    if len(common) < max(2, COMMON * everyone):
        return Tested("Welch t", 0, welch(x, y, level))
    both = [method[seed] for seed in common], [baseline[seed] for seed in common]
    if len(common) == everyone:
        return Tested("paired t", len(common), paired(*both, level))
    return Tested("partially paired t", len(common), overlapping(x, y, *both, level))


def overlapping(
    x: Sequence[float], y: Sequence[float], x_common: Sequence[float], y_common: Sequence[float], level: float
) -> Difference:
    """t test of mean(x) - mean(y) for samples of which a part is paired (Derrick, Russ, Toher & White 2017, T_new2).

    `x` and `y` hold all runs; `x_common` and `y_common` those of the common seeds, in the same order. It is Welch's
    test without common runs and Student's paired test where all are common.
    """
    (mean_x, sx), (mean_y, sy) = mean_sd(x), mean_sd(y)
    nx, ny, nc = len(x), len(y), len(x_common)
    if not (sx > 0 and sy > 0):
        return welch(x, y, level)
    r = float(np.corrcoef(x_common, y_common)[0, 1]) if min(np.ptp(x_common), np.ptp(y_common)) > 0 else 0.0
    vx, vy = sx**2 / nx, sy**2 / ny
    variance = vx + vy - 2 * r * sx * sy * nc / (nx * ny)
    if not variance > 0:
        return Difference(mean_x - mean_y)
    apart = (vx + vy) ** 2 / (vx**2 / (nx - 1) + vy**2 / (ny - 1))
    alone = nx + ny - 2 * nc
    df = (nc - 1) + (apart - nc + 1) / (nx + ny) * alone
    error, difference = math.sqrt(variance), mean_x - mean_y
    half = float(stats.t.ppf((1 + level) / 2, df)) * error
    t = difference / error
    return Difference(difference, difference - half, difference + half, t, df, 2 * float(stats.t.sf(abs(t), df)))


@dataclass(frozen=True)
class OverPairs:
    """A quantity averaged over pairs of cells.

    `interval` is None where `why_none` says why; `p` is the exact (or, of very many assignments, sampled) two-sided
    permutation p value that the sides differ in no pair; `exact` says which.
    """

    value: float
    interval: Interval | None
    p: float
    exact: bool
    pairs: int
    why_none: str = ""


def probability_of_improvement(
    strata: Sequence[Stratum], resamples: int, seed: int, level: float = 0.95, paired_seeds: bool = False
) -> OverPairs:
    """The probability that a run of the method is better than one of the baseline (Agarwal et al. 2021).

    Args:
        strata: (method, baseline) runs of each pair of cells, larger is better; a diverged run is -inf.
        resamples, seed: of the bootstrap, and of the permutations where they are sampled.
        paired_seeds: runs at the same place of both sides share a seed, so that only they change sides.
    """
    return _over_pairs(strata, share_of_wins, resamples, seed, level, paired_seeds)


def mean_improvement(
    strata: Sequence[Stratum], resamples: int, seed: int, level: float = 0.95, paired_seeds: bool = False
) -> OverPairs:
    """The mean over the pairs of the difference of the means, method - baseline, in the metric's unit."""
    return _over_pairs(strata, _gain, resamples, seed, level, paired_seeds)


def _gain(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x.mean(axis=-1) - y.mean(axis=-1)


def share_of_wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Per row: the share of pairs with x > y, ties half.

    By ranks (Mann and Whitney 1947), since the pairs of a thousand runs with a thousand do not fit in memory.
    """
    n, m = x.shape[-1], y.shape[-1]
    ranks = stats.rankdata(np.concatenate([x, y], axis=-1), axis=-1)[..., :n].sum(axis=-1)
    return (ranks - n * (n + 1) / 2) / (n * m)


def _over_pairs(
    given: Sequence[Stratum], statistic: Callable, resamples: int, seed: int, level: float, paired_seeds: bool
) -> OverPairs:
    strata = [(np.asarray(x, dtype=float), np.asarray(y, dtype=float)) for x, y in given]
    rng = np.random.default_rng(seed)
    each = np.array([float(statistic(x[None], y[None])[0]) for x, y in strata])
    value, k = float(each.mean()), len(strata)
    p, exact = permutation_p(strata, statistic, rng, resamples, paired_seeds)
    why = _no_interval(strata)
    if why:
        return OverPairs(value, None, p, exact, k, why)
    drawn = np.stack([statistic(_resampled(x, resamples, rng), _resampled(y, resamples, rng)) for x, y in strata])
    chosen = rng.integers(k, size=(resamples, k - 1))
    means = drawn[chosen, np.arange(resamples)[:, None]].mean(axis=1)
    low, high = (float(end) for end in np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))
    if not high - low > 1e-12:
        return OverPairs(value, None, p, exact, k, "no interval: the resampled values do not differ")
    return OverPairs(value, (low, high), p, exact, k)


def _no_interval(strata: Sequence[Arrays]) -> str:
    """Why there is no interval, in words; empty where there is one."""
    if all(x.min() > y.max() for x, y in strata) or all(x.max() < y.min() for x, y in strata):
        side = "method" if strata[0][0].min() > strata[0][1].max() else "baseline"
        return f"no interval: every run of the {side} is better than every run of the other side"
    if len(strata) < FEWEST_PAIRS:
        return f"no interval: fewer than {FEWEST_PAIRS} pairs"
    if all(min(len(x), len(y)) < 2 for x, y in strata):
        return "no interval: a single run on a side in every pair"
    return ""


def _resampled(values: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """n - 1 of n runs: n of n would make the spread of three runs too small by sqrt(2/3) (Rao and Wu 1988)."""
    return values[rng.integers(len(values), size=(resamples, max(1, len(values) - 1)))]


def permutation_p(
    strata: Sequence[Arrays], statistic: Callable, rng: np.random.Generator, sampled: int, paired_seeds: bool
) -> tuple[float, bool]:
    """Two-sided p value that neither side is better in any pair, over all ways to swap runs within pairs.

    Exact where there are at most 50,000 ways, or where every run of one side beats every run of the other (the two
    extreme assignments, however many there are); else `sampled` random ways plus the one at hand (Phipson & Smyth
    2010).
    """
    ways = [2 ** len(x) if paired_seeds and len(x) == len(y) else math.comb(len(x) + len(y), len(x)) for x, y in strata]
    total = math.prod(ways)
    if _separated(strata):
        return min(1.0, 2 / total), True
    # What the statistic is of two equal sides, summed over the pairs.
    centre = sum(float(statistic(x[None], x[None])[0]) for x, _ in strata)
    observed = abs(sum(float(statistic(x[None], y[None])[0]) for x, y in strata) - centre)
    if not math.isfinite(observed):
        return math.nan, False
    if total <= ENUMERATED:
        sums = np.zeros(1)
        for x, y in strata:
            sums = (sums[:, None] + _all_ways(x, y, statistic, paired_seeds)[None, :]).ravel()
        return float(np.mean(np.abs(sums - centre) >= observed - 1e-12)), True
    drawn = np.sum([_random_ways(x, y, statistic, paired_seeds, rng, sampled) for x, y in strata], axis=0)
    return float((1 + np.sum(np.abs(drawn - centre) >= observed - 1e-12)) / (1 + sampled)), False


def _separated(strata: Sequence[Arrays]) -> bool:
    above = all(x.min() > y.max() for x, y in strata)
    return above or all(x.max() < y.min() for x, y in strata)


def _all_ways(x: np.ndarray, y: np.ndarray, statistic: Callable, paired_seeds: bool) -> np.ndarray:
    if paired_seeds and len(x) == len(y):
        swaps = np.array(list(product((False, True), repeat=len(x))))
        return statistic(np.where(swaps, y, x), np.where(swaps, x, y))
    everything, n = np.concatenate([x, y]), len(x)
    chosen = np.array(list(combinations(range(len(everything)), n)))
    taken = np.zeros((len(chosen), len(everything)), dtype=bool)
    np.put_along_axis(taken, chosen, True, axis=1)
    tiled = np.broadcast_to(everything, taken.shape)
    return statistic(tiled[taken].reshape(-1, n), tiled[~taken].reshape(len(chosen), -1))


def _random_ways(
    x: np.ndarray, y: np.ndarray, statistic: Callable, paired_seeds: bool, rng: np.random.Generator, count: int
) -> np.ndarray:
    if paired_seeds and len(x) == len(y):
        swaps = rng.random((count, len(x))) < 0.5
        return statistic(np.where(swaps, y, x), np.where(swaps, x, y))
    shuffled = rng.permuted(np.broadcast_to(np.concatenate([x, y]), (count, len(x) + len(y))), axis=1)
    return statistic(shuffled[:, : len(x)], shuffled[:, len(x) :])
