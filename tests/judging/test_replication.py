"""Replication's measures against closed forms, statsmodels' own example and simulation."""

import math
import shutil
import subprocess

import numpy as np
import pytest
from scipy import stats

from renorm.judging import replication as r
from tests.judging import simulations


@pytest.mark.parametrize(("zo", "zr"), [(2.0, 2.0), (3.1, 1.2), (5.0, 0.4)])
def test_sceptical_z_in_closed_form_for_equal_precision(zo, zr):
    """Held 2020, section 3: for c = 1 z_S^2 is half the harmonic mean of the squares."""
    assert r.z_sceptical(zo, zr, 1.0) ** 2 == pytest.approx(1 / (1 / zo**2 + 1 / zr**2))


@pytest.mark.parametrize("c", [0.1, 0.5, 1.0, 1.0000001, 2.0, 30.0])
@pytest.mark.parametrize(("zo", "zr"), [(2.0, 2.0), (3.1, 1.2), (1.1, 4.4)])
def test_sceptical_z_solves_its_equation(zo, zr, c):
    z2 = r.z_sceptical(zo, zr, c) ** 2
    assert (zo**2 / z2 - 1) * (zr**2 / z2 - 1) == pytest.approx(c, rel=1e-6)
    assert z2 <= min(zo, zr) ** 2  # never more convincing than the weaker of both (Held 2020, section 3)


def test_golden_ratio_is_the_limit_of_a_borderline_original():
    """Equal effects and ever more runs: z_o^2 / z_S^2 tends to the golden ratio (Held, Micheloud & Pawel 2022)."""
    zo = 1.96
    assert zo**2 / r.z_sceptical(zo, zo * 1e4, 1e8) ** 2 == pytest.approx(r.GOLDEN, rel=1e-6)
    original, replication = r.Effect("o", 1.96, 1.0), r.Effect("r", 1.96, 1e-4)
    assert r.sceptical_p(original, replication, golden=True) == pytest.approx(stats.norm.sf(1.96), rel=1e-3)


def test_sceptical_p_knows_the_direction():
    o, same, other = r.Effect("o", 2.5, 1.0), r.Effect("r", 2.0, 1.0), r.Effect("r", -2.0, 1.0)
    z = math.sqrt(1 / (1 / 6.25 + 1 / 4))
    assert r.sceptical_p(o, same) == pytest.approx(stats.norm.sf(z))
    assert r.sceptical_p(o, other) == pytest.approx(stats.norm.cdf(z))
    assert r.sceptical_p(o, r.Effect("r", 0.0, 1.0)) == 0.5


def test_combined_effects_by_hand():
    """Inverse variances for the fixed effect; Paule and Mandel's tau2 makes the weighted squares equal k - 1."""
    effects = [r.Effect(str(i), v, s) for i, (v, s) in enumerate([(1.0, 0.2), (2.0, 0.4), (0.2, 0.3)])]
    found = r.combine(effects)
    w = np.array([1 / e.se**2 for e in effects])
    x = np.array([e.value for e in effects])
    assert found.fixed[0] == pytest.approx((w * x).sum() / w.sum())
    assert found.fixed[2] - found.fixed[0] == pytest.approx(1.959964 / math.sqrt(w.sum()), rel=1e-6)
    q = (w * (x - found.fixed[0]) ** 2).sum()
    assert (found.q, found.i2) == (pytest.approx(q), pytest.approx((q - 2) / q))
    assert found.q_p == pytest.approx(math.exp(-q / 2))  # chi square with two degrees of freedom in closed form
    wr = 1 / (1 / w + found.tau2)
    mean = (wr * x).sum() / wr.sum()
    assert found.random[0] == pytest.approx(mean, rel=1e-6)
    assert (wr * (x - mean) ** 2).sum() == pytest.approx(2, abs=1e-4)
    hartung_knapp = math.sqrt((wr * (x - mean) ** 2).sum() / 2 / wr.sum())
    assert found.random[2] - mean == pytest.approx(stats.t.ppf(0.975, 2) * max(hartung_knapp, 1 / math.sqrt(w.sum())),
                                                   rel=1e-4)  # fmt: skip


def test_scale_does_not_matter():
    """Accuracies are fractions: effects of 0.001 must not fall under an absolute tolerance."""
    pairs = [(1.0, 0.2), (2.0, 0.4), (0.2, 0.3)]
    large, small = (r.combine([r.Effect("", v * u, s * u) for v, s in pairs]) for u in (1.0, 1e-4))
    assert small.tau2 == pytest.approx(large.tau2 * 1e-8, rel=1e-4) and small.i2 == pytest.approx(large.i2)


def test_one_effect_is_not_combined():
    assert r.combine([r.Effect("a", 1.0, 0.1), r.Effect("b", 1.0, math.nan)]) is None


def test_prediction_of_a_replication():
    low, high = r.prediction(r.Effect("o", 1.0, 3.0), r.Effect("r", 0.0, 4.0))
    assert (low, high) == (pytest.approx(1 - 1.959964 * 5), pytest.approx(1 + 1.959964 * 5))
    wide = r.prediction(r.Effect("o", 1.0, 3.0, 2), r.Effect("r", 0.0, 4.0, 2))
    assert wide[1] - wide[0] == pytest.approx(2 * 5 * stats.t.ppf(0.975, 25**2 / (81 / 2 + 256 / 2)))


def test_the_probability_that_more_runs_settle_it_comes_true():
    phrase, came, worst = simulations.settled(250)
    print(f"predicted {phrase:.3f}, observed {came:.3f}, largest difference in a third {worst:.3f}")
    assert abs(phrase - came) < 0.07 and worst < 0.14


def test_probability_settled_at_its_limits():
    sure = r.probability_settled(0.0, 0.0, 0.001, 3, 2, 50, 0.5, 0.05, 0.95)
    assert sure > 0.99
    assert r.probability_settled(0.0, 0.5, 0.1, 3, 200, 2, 0.5, 0.05, 0.95) < 0.2  # exactly on the margin
    assert r.probability_settled(0.0, 0.0, 0.0, 3, 2, 5, 0.5, 0.05, 0.95) == 0


@pytest.mark.parametrize(
    ("zo", "zr", "c", "golden"),
    [
        (-4, -4, 0.5, 4.92521679461104e-05), (-2, -4, 0.5, 0.00860230836312371), (2, -4, 0.5, 0.991397691636876),
        (-2, -2, 0.5, 0.0257599721993693), (0, -2, 0.5, 0.5), (4, 4, 2, 0.000528949538842483),
        (2, 4, 2, 0.0165499416760937), (2, 2, 2, 0.050780864777783), (4, -2, 2, 0.983450058323906),
    ],
)  # fmt: skip
def test_sceptical_p_of_the_r_package(zo, zr, c, golden):
    """Numbers in tests/testthat/test-pSceptical.R of ReplicationSuccess 1.3.3 (type golden, one-sided)."""
    original, later = r.Effect("o", zo * math.sqrt(c), math.sqrt(c)), r.Effect("r", zr, 1.0)
    assert r.sceptical_p(original, later, golden=True) == pytest.approx(golden, rel=1e-9)


def test_combined_effects_of_metafor():
    """metafor's rma(method="PM") of nine measurements, as statsmodels 0.14 quotes it (stats/tests/results_meta.py).

    sqrt(tau2) = 0.8399 is in Table 1 of Kacker (2004). metafor's I2 of a fit by DL is Q's.
    """
    values = (61.0, 61.4, 62.21, 62.3, 62.34, 62.6, 62.7, 62.84, 65.9)
    variances = (0.2025, 1.21, 0.09, 0.2025, 0.3844, 0.5625, 0.0676, 0.0225, 1.8225)
    found = r.combine([r.Effect("", v, math.sqrt(s)) for v, s in zip(values, variances, strict=True)])
    assert found.random[0] == pytest.approx(62.4076199113286, rel=1e-7)
    assert found.tau2 == pytest.approx(0.705395309224248, rel=1e-4)
    assert math.sqrt(found.tau2) == pytest.approx(0.8399, abs=6e-5)
    assert (found.q, found.q_p) == (pytest.approx(24.801897741835), pytest.approx(0.00167935146372742))
    assert 100 * found.i2 == pytest.approx(67.744403741711)


METAFOR = """
suppressMessages(library(metafor))
rows <- read.csv(file("stdin"), header = FALSE)
for (study in unique(rows$V1)) {
    y <- rows$V2[rows$V1 == study]; v <- rows$V3[rows$V1 == study]
    fixed <- rma(y, v, method = "FE")
    random <- rma(y, v, method = "PM", test = "adhoc", control = list(tol = 1e-12, maxiter = 1000))
    found <- c(fixed$beta, fixed$ci.lb, fixed$ci.ub, random$beta, random$ci.lb, random$ci.ub, random$tau2, fixed$QE,
               fixed$QEp)
    cat(sprintf("%.15g", found), sep = ",")
    cat("\n")
}
"""


def metafor(studies):
    """What R's metafor finds, a list of numbers a study; skips where it is not installed."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("Rscript is not installed (envs/debian.txt)")
    if subprocess.run([rscript, "-e", "library(metafor)"], capture_output=True, timeout=120).returncode:
        pytest.skip("R's metafor is not installed (envs/debian.txt)")
    rows = "".join(f"{place},{e.value!r},{e.se**2!r}\n" for place, study in enumerate(studies) for e in study)
    found = subprocess.run(
        [rscript, "-e", METAFOR], input=rows, capture_output=True, text=True, timeout=300, check=True
    )
    return [[float(number) for number in line.split(",")] for line in found.stdout.splitlines()]


def test_combined_effects_are_those_of_metafor():
    """40 random studies of 2 to 8 sources: fixed effect, Paule & Mandel with Hartung & Knapp's interval, tau2, Q.

    metafor's "adhoc" is Hartung & Knapp's interval that is never narrower than the normal model's.
    """
    rng = np.random.default_rng(11)
    studies = []
    for k in rng.integers(2, 9, 40):
        values = rng.normal(rng.normal(0, 2), rng.choice([1e-9, 0.3, 2]), k)
        errors = rng.uniform(0.2, 1.5, k)
        studies.append([r.Effect("", float(value), float(se)) for value, se in zip(values, errors, strict=True)])
    for study, numbers in zip(studies, metafor(studies), strict=True):
        found = r.combine(study)
        tau2, q, q_p = numbers[6:]
        assert found.fixed == pytest.approx(numbers[:3], rel=1e-8, abs=1e-9)
        assert (found.q, found.q_p) == (pytest.approx(q, rel=1e-8), pytest.approx(q_p, rel=1e-6, abs=1e-12))
        assert found.tau2 == pytest.approx(tau2, rel=1e-4, abs=1e-5)
        assert found.random == pytest.approx(numbers[3:6], rel=1e-4, abs=1e-4)
