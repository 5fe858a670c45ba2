"""Tests and intervals over seeds and pairs: the choice of the test, exact p values, no interval of width zero."""

import math
import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from renorm.judging import intervals
from renorm.judging.statistics import paired, welch
from tests.judging import simulations

X, Y = {1: 0.90, 2: 0.92, 3: 0.91}, {1: 0.88, 2: 0.91, 3: 0.885}


def test_equal_seeds_are_paired_and_different_ones_are_not():
    found = intervals.compare(X, Y, 0.95)
    assert (found.test, found.n_pairs) == ("paired t", 3)
    assert found.difference == paired(list(X.values()), list(Y.values()))
    other = intervals.compare(X, {s + 10: v for s, v in Y.items()}, 0.95)
    assert (other.test, other.n_pairs) == ("Welch t", 0)
    assert other.difference == welch(list(X.values()), list(Y.values()))
    assert intervals.compare(list(X.values()), list(Y.values()), 0.95).test == "Welch t"
    assert intervals.compare({1: 0.9}, {1: 0.8}, 0.95).difference is None


def test_two_common_seeds_of_eighteen_do_not_throw_the_others_away():
    rng = np.random.default_rng(0)
    x = {s: 0.93 + 0.001 * rng.standard_normal() for s in range(1, 11)}
    y = {s: 0.926 + 0.001 * rng.standard_normal() for s in range(9, 19)}
    found = intervals.compare(x, y, 0.95)
    assert found.test == "Welch t" and found.difference.p < 0.001


def test_partially_paired_lies_between_its_limits():
    """Without common runs it is Welch's test, with all of them Student's paired test."""
    x, y = [0.1, 0.4, 0.35, 0.8, 0.5], [0.2, 0.3, 0.5, 0.6, 0.1]
    all_common = intervals.overlapping(x, y, x, y, 0.95)
    expected = stats.ttest_rel(x, y)
    assert (all_common.p, all_common.df) == (pytest.approx(expected.pvalue), pytest.approx(4))
    most = {i: v for i, v in enumerate([*x, 0.45, 0.3, 0.2, 0.6, 0.7])}
    others = {(i if i < 9 else 99): v for i, v in enumerate([*y, 0.5, 0.2, 0.25, 0.55, 0.65])}
    found = intervals.compare(most, others, 0.95)
    assert (found.test, found.n_pairs) == ("partially paired t", 9)
    assert 8 < found.difference.df < 18


@pytest.mark.parametrize(("common", "alone"), [(3, 0), (9, 1), (2, 8), (0, 5)])
def test_the_chosen_test_keeps_its_size(common, alone):
    size, _, kind = simulations.tests(common, alone, 0.7, 500)
    print(f"{common} common, {alone} others: {kind}, size {size:.3f}")
    assert 0.02 <= size <= 0.08


def test_pairing_has_the_power_that_it_is_used_for():
    mixed, welch_alone, kind = simulations.tests(9, 1, 0.7, 500, effect=0.7)
    assert kind == "partially paired t" and mixed > welch_alone


@pytest.mark.parametrize(
    ("pairs", "runs", "effect", "differ"), [(1, 3, 1, 1), (4, 2, 0, 0), (4, 2, 1, 1), (4, 3, 1, 0), (10, 3, 1, 1)]
)
def test_intervals_over_pairs_cover(pairs, runs, effect, differ):
    """At least 90 % for four pairs or more (three standard errors of 100 studies allowed); none for fewer."""
    for name, (covered, shown) in simulations.coverage(pairs, runs, effect, differ, 100).items():
        print(f"{pairs} pairs of {runs} runs, {name}: coverage {covered}, shown in {shown:.2f}")
        if pairs < 4:
            assert covered is None and shown == 0
        else:
            assert covered >= 0.90 - 3 * math.sqrt(0.9 * 0.1 / 100)


def test_no_interval_of_width_zero():
    won = [([0.9, 0.91, 0.92], [0.8, 0.81, 0.82])] * 20
    found = intervals.probability_of_improvement(won, 500, 0)
    assert (found.value, found.interval) == (1.0, None)
    assert "every run of the method is better than every run" in found.why_none
    assert found.exact and found.p == pytest.approx(2 / math.comb(6, 3) ** 20)
    lost = [(y, x) for x, y in won]
    assert "every run of the baseline" in intervals.probability_of_improvement(lost, 500, 0).why_none
    equal = intervals.mean_improvement([([0.5, 0.5], [0.5, 0.5])] * 5, 500, 0)
    assert equal.interval is None and equal.why_none


def brute_force(strata):
    """Every order of all runs of every pair, without the module's shortcuts."""

    def gain(x, y):
        return sum(x) / len(x) - sum(y) / len(y)

    observed = abs(sum(gain(x, y) for x, y in strata))
    sums = [0.0]
    for x, y in strata:
        own = [gain(o[: len(x)], o[len(x) :]) for o in permutations([*x, *y])]
        sums = [s + g for s in sums for g in own]
    return np.mean([abs(s) >= observed - 1e-9 for s in sums])


@pytest.mark.parametrize("strata", [
    [([1.0, 5.0, 2.5], [0.5, 2.0, 1.5])],
    [([3.0, 1.0], [2.0, 0.5]), ([1.0, 4.0], [3.0, 2.0])],
    [([3.0, 1.0, 2.2], [2.0, 0.5])],
])  # fmt: skip
def test_exact_p_by_brute_force(strata):
    found = intervals.mean_improvement(strata, 100, 0)
    assert found.exact and found.p == pytest.approx(brute_force(strata))


def test_paired_seeds_only_change_sides():
    """Sign flips of the differences 1, 2, 3: 2 of 8 assignments are as extreme."""
    found = intervals.mean_improvement([([1.5, 2.5, 3.5], [0.5, 0.5, 0.5])], 100, 0, paired_seeds=True)
    assert found.p == pytest.approx(2 / 8)
    mixed = intervals.mean_improvement([([1.5, 0.0, 3.5], [0.5, 0.5, 0.5])], 100, 0, paired_seeds=True)
    assert mixed.p == pytest.approx(4 / 8)


def test_sampled_p_is_near_the_exact_one():
    rng = np.random.default_rng(3)
    strata = [(rng.standard_normal(3) + 0.4, rng.standard_normal(3)) for _ in range(3)]
    exact = intervals.mean_improvement(strata, 20_000, 0)
    old, intervals.ENUMERATED = intervals.ENUMERATED, 1
    try:
        sampled = intervals.mean_improvement(strata, 20_000, 0)
    finally:
        intervals.ENUMERATED = old
    assert exact.exact and not sampled.exact and sampled.p == pytest.approx(exact.p, abs=0.015)


def test_a_diverged_run_loses():
    found = intervals.probability_of_improvement([([1.0, -np.inf], [0.5, 0.6])], 100, 0)
    assert found.value == 0.5 and math.isfinite(found.p)


def test_a_thousand_runs_each_fit_in_memory():
    """Their pairs would take 16 GB in 2,000 resamples of four pairs, if they were all formed."""
    rng = np.random.default_rng(6)
    method, baseline = rng.integers(0, 50, 1000) / 50 + 0.1, rng.integers(0, 50, 1000) / 50
    tracemalloc.start()
    found = intervals.probability_of_improvement([(method, baseline)] * 4, 500, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    pairs = method[:, None] - baseline
    assert found.value == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    assert peak < 500e6
