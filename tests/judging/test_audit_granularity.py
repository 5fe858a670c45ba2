"""GRIM, GRIMMER and DEBIT against published examples and against every data set there is (small ones)."""

import itertools
import math
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renorm.judging.audit.granularity import debit, grim, grimmer
from renorm.judging.audit.typing_errors import explain


def rounded(value: Fraction, digits: int) -> set[str]:
    """How a value may be printed: a 5 in the next place is rounded up, down or to even."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    step = Decimal(1).scaleb(-digits)
    return {str(exact.quantize(step, rounding)) for rounding in (ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_HALF_EVEN)}


def printed_sd(counts, ddof: int, digits: int) -> str:
    mean = Fraction(sum(counts), len(counts))
    variance = sum((c - mean) ** 2 for c in counts) / (len(counts) - ddof)
    return f"{math.sqrt(variance):.{digits}f}"


@pytest.mark.parametrize(
    ("mean", "n", "items", "possible"),
    [
        ("5.19", 28, 1, False),  # the first example of Brown & Heathers 2017
        ("5.18", 28, 1, True),
        ("5.21", 28, 1, True),
        ("3.45", 28, 1, False),
        ("3.46", 28, 1, True),
        ("2.73", 11, 4, True),  # 120 / 44: four items a person
        ("2.71", 11, 4, False),
        ("0.9323", 1, 1_000, False),
        ("0.9323", 3, 1_000, True),
    ],
)
def test_grim_examples(mean, n, items, possible):
    assert grim(mean, n, items) == possible
    every = {
        text
        for k in range(6 * n * items if mean > "1" else n * items)
        for text in rounded(Fraction(k, n * items), len(mean) - 2)
    }
    assert (mean in every) == possible


@pytest.mark.parametrize(("mean", "sd", "n", "possible"), [("5.23", "2.55", 35, False), ("5.23", "2.55", 31, True)])
def test_grimmer_examples(mean, sd, n, possible):
    """The examples of scrutiny's manual."""
    assert grimmer(mean, sd, n) == possible


@pytest.mark.parametrize(
    ("share", "sd", "possible"),
    [("0.53", "0.50", 1), ("0.44", "0.50", 1), ("0.77", "0.42", 1), ("0.19", "0.35", 0), ("0.34", "0.47", 1),
     ("0.93", "0.25", 1), ("0.12", "0.33", 1)],
)  # fmt: skip
def test_debit_examples(share, sd, possible):
    """scrutiny's data set pigs3 (n = 1683), decided by trying every number of ones."""
    n = 1683
    tried = any(
        share in rounded(Fraction(k, n), 2) and f"{math.sqrt(n / (n - 1) * (k / n) * (1 - k / n)):.2f}" == sd
        for k in range(n + 1)
    )
    assert debit(share, sd, n) == tried == bool(possible)


@given(k=st.integers(0, 5000), n=st.integers(1, 60), digits=st.integers(0, 4))
def test_no_true_mean_is_accused(k, n, digits):
    assert all(grim(text, n) for text in rounded(Fraction(k, n), digits))


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 40), digits=st.integers(1, 2), hundredths=st.integers(0, 400))
def test_grim_is_every_fraction_tried(n, digits, hundredths):
    mean = f"{hundredths / 100:.{digits}f}"
    assert grim(mean, n) == any(mean in rounded(Fraction(k, n), digits) for k in range(5 * n + 1))


@given(
    counts=st.lists(st.integers(0, 360), min_size=2, max_size=6), ddof=st.sampled_from([0, 1]),
    digits=st.integers(0, 3), items=st.sampled_from([1, 4, 100]),
)  # fmt: skip
def test_no_true_mean_and_sd_are_accused(counts, ddof, digits, items):
    values = [Fraction(c, items) for c in counts]
    for mean in rounded(sum(values) / len(values), digits):
        assert grimmer(mean, printed_sd(values, ddof, digits), len(values), items, ddof)


def test_grimmer_accuses_nothing_that_exists_and_much_that_does_not():
    """All means and SDs of four whole numbers from 0 to 12, with two digits: every one that exists passes."""
    n, top = 4, 12
    real = {
        (mean, printed_sd(counts, 1, 2))
        for counts in itertools.combinations_with_replacement(range(top + 1), n)
        for mean in rounded(Fraction(sum(counts), n), 2)
    }
    assert all(grimmer(mean, sd, n) for mean, sd in real)
    means = sorted({mean for mean, _ in real})
    tried = [(mean, f"{sd / 100:.2f}") for mean in means for sd in range(0, 500, 7)]
    absent = [pair for pair in tried if pair not in real]
    assert sum(not grimmer(mean, sd, n) for mean, sd in absent) > 0.9 * len(absent)


@given(ones=st.integers(0, 400), zeros=st.integers(0, 400), ddof=st.sampled_from([0, 1]), digits=st.integers(1, 3))
def test_no_true_share_is_accused(ones, zeros, ddof, digits):
    n = ones + zeros
    if n >= 2:
        share = Fraction(ones, n)
        sd = f"{math.sqrt(n / (n - ddof) * share * (1 - share)):.{digits}f}"
        assert all(debit(text, sd, n, ddof) for text in rounded(share, digits))


@pytest.mark.parametrize(
    ("text", "right", "words"),
    [
        ("93.52", 93.25, "transposed digits: 93.25"),
        ("932.5", 93.25, "a decimal point in the wrong place: 93.25"),
        ("93.5", 93.05, "a zero too few or too many: 93.05"),
        ("93.5", 93.25, "one digit left out: 93.25"),
        ("98.25", 93.25, "one wrong digit: 93.25"),
        ("12.34", 93.25, ""),
    ],
)
def test_slips(text, right, words):
    assert explain(text, lambda value: abs(value - right) < 1e-9) == words


@given(st.text(max_size=6) | st.floats().map(repr))
def test_slips_of_any_text(text):
    assert isinstance(explain(text, lambda value: 90 < value < 91), str)


def test_a_slip_is_named_only_where_it_is_the_only_one():
    assert explain("12.34", lambda value: True) == ""
