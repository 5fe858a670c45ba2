"""The formulas against values that were not computed with them: R's printed examples, closed forms, simulation."""

import math

import numpy as np
import pytest

from renorm.judging import statistics as s

# R 4, `t.test(extra ~ group, data = sleep)` and its paired form: Student's sleep data (1908), as printed by R's help.
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
STUDIES = 2000


def t_sf(t, df):
    """Upper tail of Student's t in closed form, for one and two degrees of freedom."""
    return 0.5 - math.atan(t) / math.pi if df == 1 else 0.5 - t / (2 * math.sqrt(2 + t * t))


def test_welch_as_r_prints_it():
    found = s.welch(SLEEP_1, SLEEP_2)
    assert (found.statistic, found.df) == (pytest.approx(-1.8608, abs=5e-5), pytest.approx(17.776, abs=5e-4))
    assert (found.low, found.high) == (pytest.approx(-3.3654832, abs=5e-8), pytest.approx(0.2054832, abs=5e-8))
    assert found.p == pytest.approx(0.07939, abs=5e-6)


def test_paired_as_r_prints_it():
    found = s.paired(SLEEP_1, SLEEP_2)
    assert (found.statistic, found.df) == (pytest.approx(-4.0621, abs=5e-5), 9)
    assert (found.low, found.high) == (pytest.approx(-2.4598858, abs=5e-8), pytest.approx(-0.7001142, abs=5e-8))
    assert found.p == pytest.approx(0.002833, abs=5e-7)


def test_no_spread_is_no_test():
    assert math.isnan(s.welch([1, 1], [2, 2]).p)
    assert math.isnan(s.paired([0.3, 0.4, 0.7], [0.2, 0.3, 0.6]).p)


def test_holm_as_r_prints_it():
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm"); p.adjust(c(0.5, 0.001, 0.9), "holm")
    assert s.holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert s.holm([0.5, 0.001, 0.9]) == pytest.approx([1, 0.003, 1])
    assert s.holm([]) == []


def test_sign_test_is_the_binomial_sum():
    assert s.sign_test(8, 2) == pytest.approx(2 * (45 + 10 + 1) / 1024)
    assert s.sign_test(10, 0) == pytest.approx(2 / 1024)
    assert math.isnan(s.sign_test(0, 0))


def test_intervals_with_the_table_of_t():
    # t(9) at 0.975 is 2.262157 in every printed table.
    assert s.mean_interval(10, 2, 10, 9, 0.95)[1] - 10 == pytest.approx(2.262157 * 2 / math.sqrt(10), rel=1e-6)


def test_pooled_sd_by_hand():
    sd, df = s.pooled_sd([[1, 2, 3], [4, 8], [5]])
    assert (sd, df) == (pytest.approx(math.sqrt((2 * 1 + 1 * 8) / 3)), 3)
    assert s.pooled_sd([[1], []])[1] == 0


@pytest.mark.parametrize("df", [1, 2])
@pytest.mark.parametrize("difference", [0.0, 0.003, -0.003, 0.02])
def test_tost_in_closed_form(df, difference):
    n, sd, margin = 3, 0.004, 0.01
    both = [t_sf((margin + d) / (sd / math.sqrt(n)), df) for d in (difference, -difference)]
    assert s.tost_p(difference, sd / math.sqrt(n), df, margin) == pytest.approx(max(both), rel=1e-9)


def test_tost_agrees_with_its_interval():
    rng = np.random.default_rng(1)
    for _ in range(200):
        d, sd = rng.normal(0, 0.01), abs(rng.normal(0, 0.01))
        low, high = s.mean_interval(d, sd, 3, 2, 0.90)
        assert (s.tost_p(d, sd / math.sqrt(3), 2, 0.01) < 0.05) == (low > -0.01 and high < 0.01)


def test_tost_without_spread():
    assert (s.tost_p(0.005, 0, 2, 0.01), s.tost_p(0.02, 0, 2, 0.01)) == (0, 1)


def cover(low, high, truth):
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize("cells", [1, 20])
def test_95_percent_intervals_cover_95_percent(cells):
    """2,000 simulated studies of three runs a cell; the first cell's interval, with own or pooled spread."""
    runs = np.random.default_rng(7).normal(0.9, 0.004, size=(STUDIES, cells, 3))
    sd, df = np.sqrt(runs.var(axis=2, ddof=1).mean(axis=1)), 2 * cells
    mean = runs[:, 0].mean(axis=1)
    assert 0.93 <= cover(*s.mean_interval(mean, sd, 3, df, 0.95), 0.9) <= 0.97


def test_tests_keep_their_level():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.9, 0.004, size=(STUDIES, 5)), rng.normal(0.9, 0.012, size=(STUDIES, 5))
    assert 0.03 <= np.mean([s.welch(x, y).p < 0.05 for x, y in zip(a, b, strict=True)]) <= 0.07
    assert 0.03 <= np.mean([s.paired(x, y).p < 0.05 for x, y in zip(a, b, strict=True)]) <= 0.07


def test_equivalence_keeps_its_level_at_the_margin():
    runs = np.random.default_rng(4).normal(0.91, 0.004, size=(STUDIES, 3))  # truly off by the margin of 0.01
    found = [s.tost_p(r.mean() - 0.9, r.std(ddof=1) / math.sqrt(3), 2, 0.01) < 0.05 for r in runs]
    assert 0.035 <= np.mean(found) <= 0.065


def test_ratio_interval_covers():
    rng, hits = np.random.default_rng(6), 0
    for _ in range(STUDIES):
        low, high = s.ratio_interval(30 * rng.lognormal(0, 0.1, 3), 10 * rng.lognormal(0, 0.05, 3))
        hits += low <= 3 <= high
    assert 0.93 <= hits / STUDIES <= 0.985  # Welch's degrees of freedom are cautious with three runs
    assert s.ratio_interval([1.0], [2.0, 3.0]) == (None, None)
    assert s.ratio_interval([1.0, -1.0], [2.0, 3.0]) == (None, None)


def test_equal_runs_have_no_spread():
    """Averages of equal numbers leave a rest of rounding, which must not pass for certainty."""
    for k in range(1, 10_000):
        x = k / 10_000
        assert math.isnan(s.welch([x] * 3, [x + 0.01] * 3).p), x
