"""The spread of a cell's runs: what it pools, what it leaves out, and what a floor may say."""

import math

import numpy as np
import pytest
from scipy import special

from renorm.judging import spread
from tests.judging import simulations


@pytest.mark.parametrize("scenario", simulations.SCENARIOS)
@pytest.mark.parametrize(("cells", "runs"), [(5, 3), (10, 3)])
def test_size_and_coverage_of_the_least_stable_cell(scenario, cells, runs):
    """Nominal 5 % and 95 %; the bounds are 7 % and 92 % and three standard errors of 300 studies."""
    size, covered = simulations.spreads(scenario, cells, runs, 300)
    print(f"{scenario}, {cells} cells of {runs} runs: size {size:.3f}, coverage {covered:.3f}")
    assert size <= 0.07 + 3 * math.sqrt(0.07 * 0.93 / 300)
    assert covered >= 0.92 - 3 * math.sqrt(0.92 * 0.08 / 300)


def test_a_pool_gains_power():
    moderated, own = simulations.power(10, 3, 300)
    assert moderated > own + 0.02


def test_cells_without_spread_give_nothing_to_the_others():
    live = [0.92, 0.93, 0.94]
    alone = spread.moderated([live])[0]
    assert (alone.kind, alone.df, alone.sd) == ("own", 2, pytest.approx(0.01))
    for dead in ([0.01] * 3, [0.1] * 3, [0.25] * 3, [0.05] * 2, [0.1 + 2e-17] * 5):
        found = spread.moderated([live, *[dead] * 5])
        assert found[0] == alone and found[1:] == [None] * 5


def test_a_cell_at_chance_gives_nothing_although_it_varies():
    live, dead = [0.92, 0.93, 0.94], [0.0100, 0.0101, 0.0099]
    assert spread.at_chance(dead, 0.01, 10_000) and not spread.at_chance(live, 0.01, 10_000)
    assert not spread.at_chance(dead, None, 10_000)
    found = spread.moderated([live, dead, dead], [False, True, True])
    assert found[0] == spread.moderated([live])[0] and found[1] is None
    # Without knowledge of the chance level the spread is still never below the cell's own.
    assert spread.moderated([live, dead, dead])[0].sd >= 0.01 - 1e-12


def test_one_run_borrows_and_says_so():
    pool = [[0.92, 0.93, 0.94], [0.80, 0.81, 0.82], [0.7, 0.71, 0.72]]
    found = spread.moderated([*pool, [0.5]])[-1]
    assert (found.kind, found.sd, found.df) == ("borrowed", pytest.approx(0.01), 6)
    assert spread.moderated([[0.5]]) == [None]
    assert spread.moderated([[0.5], [0.92, 0.93, 0.94]])[0] is None  # a single cell is no pool


def test_the_moderated_variance_by_hand():
    """Two degrees of freedom of its own and one of the pool's, where the cells agree (prior weight at most half)."""
    groups = [[0.0, 1.0, 2.0], [0.0, 1.1, 2.2], [0.0, 0.9, 1.8]]
    found = spread.moderated(groups)
    # log of chi^2(2) / 2 is -0.5772 on average (Euler's constant).
    typical = (1 * 1.21 * 0.81) ** (1 / 3) * math.exp(np.euler_gamma)
    assert found[2].kind == "moderated" and found[2].df == 3
    assert found[2].sd == pytest.approx(math.sqrt((typical + 2 * 0.81) / 3))
    assert found[1].sd == pytest.approx(math.sqrt((typical + 2 * 1.21) / 3)) and typical > 1.21


def test_prior_degrees_of_freedom_are_found_again():
    """Variances drawn from d0 s0^2 / chi^2(d0), as Smyth's model says."""
    rng = np.random.default_rng(0)
    for d0 in (2.0, 6.0):
        true = d0 / rng.chisquare(d0, 20_000)
        seen = true * rng.chisquare(4, 20_000) / 4
        assert spread.prior_degrees(seen, np.full(20_000, 4)) == pytest.approx(d0, rel=0.1)
    assert spread.prior_degrees([1.0, 1.0, 1.0], [2, 2, 2]) == math.inf
    assert spread.prior_degrees([1.0], [2]) == 0


@pytest.mark.parametrize("x", [0.05, 0.7, 3.0, 400.0])
def test_inverse_trigamma(x):
    assert spread.inverse_trigamma(float(special.polygamma(1, x))) == pytest.approx(x, rel=1e-8)


def test_floors_refute_what_no_noise_explains_and_nothing_else():
    floor = spread.binomial_floor(0.9325, 10_000)
    assert floor.sd == pytest.approx(10 * math.sqrt(0.9325 * 0.0675 / 10_000)) and "10,000 images" in floor.name
    assert spread.beyond_floor(0.10 - 0.9325, floor, 1, 1, 0.01)
    assert not spread.beyond_floor(-0.03, floor, 1, 1, 0.01)
    # More runs behind both means reach less far.
    assert not spread.beyond_floor(-0.05, floor, 1, 1, 0.01)
    assert spread.beyond_floor(-0.05, floor, 5, 5, 0.01)
