"""Durations as they are printed: nothing but what says something, and every place of an axis under its own name."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renorm.core.durations import duration, tick, unit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (4.54, "4.5 s"), (45, "45 s"), (720, "12 min"), (3600 * 3 + 300, "3 h 05 min"), (183600, "2 d 03 h"),
     (2572261.984, "29 d 19 h"), (400 * 86400, "400 d 00 h")],
)  # fmt: skip
def test_a_duration_in_words(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_duration_never_reads_shorter(a, b):
    low, high = sorted((a, b))
    assert _seconds(duration(low)) <= _seconds(duration(high))
    last = SIZES[duration(a).split()[-1]] * (0.1 if "." in duration(a) else 1)
    assert abs(_seconds(duration(a)) - a) <= 0.5001 * last


SIZES = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def _seconds(text: str) -> float:
    words = text.replace(",", "").split()
    return sum(float(number) * SIZES[word] for number, word in zip(words[::2], words[1::2], strict=True))


def test_units_of_axes():
    assert unit(3 * 3600, 3)[2] == "hours" and unit(3 * 3600 - 1, 3)[2] == "minutes" and unit(0.5)[2] == "seconds"
    assert unit(math.nan) == unit(0) and [tick(x) for x in (0.5, 90, 5400)] == ["0.5 s", "1.5 min", "1.5 h"]
