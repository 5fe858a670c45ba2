"""Sizes and coverages of the judgement's methods, by simulation: `python -m tests.judging.simulations` prints them.

    python -m tests.judging.simulations [STUDIES [CLEAN [PLANTED]]]

STUDIES of each scenario (4,000), CLEAN tables (200) and PLANTED faults of each kind (50) for the audit. The long form
takes a quarter of an hour; the suite asks the same functions for fewer studies. Every number is of the code that
judges, on data whose truth is known.
"""

import sys
import time
from collections.abc import Iterator

import numpy as np
from scipy import stats

from renorm.judging import intervals, replication, spread
from renorm.judging.statistics import mean_sd, tost_p
from tests.judging import audit_tables

# What the first cell's siblings have as their SD, in units of the smallest; None: log-normal, drawn anew every study.
SCENARIOS = {
    "equal SDs": lambda cells: np.ones(cells),
    "one cell with twice the SD": lambda cells: np.r_[2.0, np.ones(cells - 1)],
    "half the cells with twice the SD": lambda cells: np.r_[np.full(cells // 2, 2.0), np.ones(cells - cells // 2)],
    "one cell with five times the SD": lambda cells: np.r_[5.0, np.ones(cells - 1)],
    "half the cells with five times the SD": lambda cells: np.r_[np.full(cells // 2, 5.0), np.ones(cells - cells // 2)],
    "log-normal SDs (sigma 0.7)": None,
}
NORMAL = {"effect 0": (0, 0), "effect 1 SD": (1, 0), "effect 1 SD, pairs differ by 1 SD": (1, 1)}


def spreads(scenario: str, cells: int, runs: int, studies: int, seed: int = 0) -> tuple[float, float]:
    """Size of the one-sided test at the margin (nominal 0.05) and coverage of the 95 % prediction interval.

    Of the first cell, which is the unstable one where a cell is.
    """
    rng, make = np.random.default_rng(seed), SCENARIOS[scenario]
    found = []
    for _ in range(studies):
        sds = rng.lognormal(0, 0.7, cells) if make is None else make(cells)
        values = rng.standard_normal((cells, runs)) * sds[:, None]
        own = spread.moderated([list(row) for row in values])[0]
        found.append((values[0].mean(), own.sd, own.df, rng.standard_normal() * sds[0]))
    mean, sd, df, further = np.array(found).T
    size = np.mean(mean / (sd / np.sqrt(runs)) > stats.t.ppf(0.95, df))
    reach = stats.t.ppf(0.975, df) * sd * np.sqrt(1 + 1 / runs)
    return float(size), float(np.mean(np.abs(further - mean) <= reach))


def power(cells: int, runs: int, studies: int, margin: float = 2.5, seed: int = 1) -> tuple[float, float]:
    """Power of the equivalence test under equal SDs, margin in SDs: with the moderated SD, with the own one alone."""
    rng, hits, alone = np.random.default_rng(seed), 0, 0
    for _ in range(studies):
        values = rng.standard_normal((cells, runs))
        own, mean = spread.moderated([list(row) for row in values])[0], float(values[0].mean())
        hits += tost_p(mean, own.sd / np.sqrt(runs), own.df, margin) < 0.05
        alone += tost_p(mean, mean_sd(list(values[0]))[1] / np.sqrt(runs), runs - 1, margin) < 0.05
    return hits / studies, alone / studies


def coverage(pairs: int, runs: int, effect: float, differ: float, studies: int, seed: int = 2) -> dict[str, tuple]:
    """Of both quantities over pairs: (coverage of the intervals that are shown, share of studies that show one)."""
    rng = np.random.default_rng(seed)
    truth = {"mean improvement": effect, "probability": float(stats.norm.cdf(effect / np.sqrt(2 + differ**2)))}
    ways = {"mean improvement": intervals.mean_improvement, "probability": intervals.probability_of_improvement}
    hits = {name: [] for name in ways}
    for study in range(studies):
        own = effect + differ * rng.standard_normal(pairs)
        strata = [(rng.standard_normal(runs) + d, rng.standard_normal(runs)) for d in own]
        for name, way in ways.items():
            shown = way(strata, 300, study).interval
            if shown is not None:
                hits[name].append(shown[0] <= truth[name] <= shown[1])
    return {name: (float(np.mean(h)) if h else None, len(h) / studies) for name, h in hits.items()}


def tests(common: int, alone: int, correlation: float, studies: int, effect: float = 0.0, seed: int = 3) -> tuple:
    """How often `compare` rejects at 5 %, beside Welch's test on the same runs, and which test it was."""
    rng, hits, welch, kind = np.random.default_rng(seed), 0, 0, ""
    n = common + alone
    for _ in range(studies):
        shared = rng.standard_normal(common + 2 * alone) * np.sqrt(correlation)
        noise = rng.standard_normal((2, n)) * np.sqrt(1 - correlation)
        first = {s: shared[s] + noise[0, s] + effect for s in range(n)}
        seeds = [*range(common), *range(n, n + alone)]
        second = {s: shared[s] + noise[1, i] for i, s in enumerate(seeds)}
        found = intervals.compare(first, second, 0.95)
        kind = found.test
        hits += found.difference.p < 0.05
        welch += intervals.compare(list(first.values()), list(second.values()), 0.95).difference.p < 0.05
    return hits / studies, welch / studies, kind


def settled(studies: int, more: int = 5, seed: int = 4) -> tuple[float, float, float]:
    """Predicted and observed share of cells that `more` runs settle, and how far the prediction differs by terciles."""
    rng, phrase, came = np.random.default_rng(seed), [], []
    margin, claimed = 2.0, 0.0
    while len(phrase) < studies:
        # As the prediction assumes: every true difference and every order of magnitude of the SD alike.
        truth, sigma = rng.uniform(-20, 20), 10 ** rng.uniform(-1.5, 1.5)
        first = truth + sigma * rng.standard_normal(3)
        mean, sd = mean_sd(list(first))
        if _decided(list(first), claimed, margin):
            continue
        phrase.append(replication.probability_settled(claimed, mean, sd, 3, 2, more, margin, 0.05, 0.95, draws=500,
                                                    seed=len(phrase)))  # fmt: skip
        came.append(_decided([*first, *(truth + sigma * rng.standard_normal(more))], claimed, margin))
    phrase, came = np.array(phrase), np.array(came, dtype=float)
    thirds = np.array_split(np.argsort(phrase), 3)
    return float(phrase.mean()), float(came.mean()), float(max(abs(phrase[t].mean() - came[t].mean()) for t in thirds))


def _decided(values: list[float], claimed: float, margin: float) -> bool:
    mean, sd = mean_sd(values)
    n, df = len(values), len(values) - 1
    off, half = abs(mean - claimed), stats.t.ppf(0.95, df) * sd / np.sqrt(n)
    return bool(off + half < margin or (off - half > margin and off > stats.t.ppf(0.975, df) * sd * np.sqrt(1 + 1 / n)))


SIZE, COVERAGE, SHOWN = 0.07, 0.92, 0.90  # at most; at least; at least of intervals over 4 pairs or more


def table(studies: int, clean: int, planted: int) -> Iterator[str]:
    """What docs/judging.md prints, in Markdown: each number with its n, and whether it keeps its target."""
    for part in (_spreads, _power, _intervals, _tests):
        yield from part(studies)
        yield ""
    predicted, came, worst = settled(max(300, studies // 4))
    n = max(300, studies // 4)
    yield f"Five more runs settle a cell (n = {n}): predicted {predicted:.0%}, observed {came:.0%}; largest"
    yield f"difference in a third of the cells, ordered by the prediction: {worst:.0%}."
    yield ""
    yield from audit_tables.table(clean, planted)


def _kept(*conditions: bool) -> str:
    return "yes" if all(conditions) else "no"


def _spreads(studies: int) -> Iterator[str]:
    yield f"Spread rule, n = {studies} studies a row; targets: size <= {SIZE:.0%}, coverage >= {COVERAGE:.0%}."
    yield ""
    yield "| SDs of the cells | cells | runs | size (5 %) | coverage of the prediction interval (95 %) | kept |"
    yield "|---|---|---|---|---|---|"
    for name in SCENARIOS:
        for cells in (2, 5, 20):
            for runs in (2, 3, 5):
                size, covered = spreads(name, cells, runs, studies)
                kept = _kept(size <= SIZE, covered >= COVERAGE)
                yield f"| {name} | {cells} | {runs} | {size:.1%} | {covered:.1%} | {kept} |"


def _power(studies: int) -> Iterator[str]:
    yield f"Power of the equivalence test under equal SDs with a margin of 2.5 SDs, n = {studies}."
    yield ""
    yield "| cells | runs | power, moderated SD | power, own SD |"
    yield "|---|---|---|---|"
    for cells, runs in ((5, 2), (5, 3), (20, 3), (20, 5)):
        with_pool, alone = power(cells, runs, studies)
        yield f"| {cells} | {runs} | {with_pool:.0%} | {alone:.0%} |"


def _intervals(studies: int) -> Iterator[str]:
    n = max(200, studies // 4)
    yield f"Intervals over pairs, n = {n} studies a row, in brackets the share that shows an interval; target:"
    yield f"at least {SHOWN:.0%} from 4 pairs on."
    yield ""
    yield "| truth | pairs | runs | mean improvement: coverage (shown) | probability: coverage (shown) | kept |"
    yield "|---|---|---|---|---|---|"
    for name, (effect, differ) in NORMAL.items():
        for pairs in (1, 4, 20):
            for runs in (2, 3, 5):
                found = coverage(pairs, runs, effect, differ, n).values()
                phrase = ["no interval" if c is None else f"{c:.1%} ({shown:.0%})" for c, shown in found]
                kept = _kept(*(c is None or c >= SHOWN for c, _ in found))
                yield f"| {name} | {pairs} | {runs} | {' | '.join(phrase)} | {kept} |"


def _tests(studies: int) -> Iterator[str]:
    yield f"Tests of one pair of cells, correlation of common seeds 0.7, n = {studies} studies a row."
    yield ""
    yield "| common seeds | others a side | test | size (5 %) | power at 1.5 SD | power of Welch's test |"
    yield "|---|---|---|---|---|---|"
    for common, alone in ((3, 0), (5, 0), (9, 1), (19, 1), (8, 1), (2, 8), (0, 5)):
        size, _, kind = tests(common, alone, 0.7, studies)
        strong, welch, _ = tests(common, alone, 0.7, studies, effect=1.5)
        yield f"| {common} | {alone} | {kind} | {size:.1%} | {strong:.0%} | {welch:.0%} |"


if __name__ == "__main__":
    counts = [int(argument) for argument in sys.argv[1:4]]
    started = time.monotonic()
    print(f"python -m tests.judging.simulations {' '.join(sys.argv[1:])}".rstrip(), flush=True)
    for line in table(*(counts + [4000, 200, 50][len(counts) :])):
        print(line, flush=True)
    print(f"\n{time.monotonic() - started:.0f} s", flush=True)
