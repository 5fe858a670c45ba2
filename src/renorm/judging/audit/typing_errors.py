"""Typing errors that explain a number: which correct number may have become the printed one?"""

import itertools
import re
from collections.abc import Callable, Iterator

DIGITS = "0123456789"
PLAIN = re.compile(r"\d+(\.\d+)?", re.ASCII)


def explain(text: str, accept: Callable[[float], bool]) -> str:
    """The likeliest slip that turned an acceptable number into the plain decimal `text`, in words, or "".

    A slip is named only where it is the only one of its kind that leads to an acceptable number.
    """
    if not PLAIN.fullmatch(text):
        return ""
    for words, candidates in (
        ("transposed digits", _transposed(text)),
        ("a decimal point in the wrong place", _shifted(text)),
        ("a zero too few or too many", _zeros(text)),
        ("one digit left out", _inserted(text)),
        ("one wrong digit", _replaced(text)),
    ):
        right = sorted({float(c) for c in candidates if accept(float(c))})
        if len(right) == 1:
            return f"{words}: {right[0]:.10g}"
    return ""


def _transposed(text: str) -> Iterator[str]:
    places = [i for i, character in enumerate(text) if character in DIGITS]
    for a, b in itertools.pairwise(places):
        if text[a] != text[b]:
            yield text[:a] + text[b] + text[a + 1 : b] + text[a] + text[b + 1 :]


def _shifted(text: str) -> Iterator[str]:
    for factor in (0.001, 0.01, 0.1, 10, 100, 1000):
        yield f"{float(text) * factor:.12g}"


def _zeros(text: str) -> Iterator[str]:
    yield from (text[:i] + "0" + text[i:] for i in range(len(text) + 1))
    for i, character in enumerate(text):
        if character == "0" and any(digit in DIGITS for digit in text[:i] + text[i + 1 :]):
            yield text[:i] + text[i + 1 :]


def _inserted(text: str) -> Iterator[str]:
    for i in range(len(text) + 1):
        yield from (text[:i] + digit + text[i:] for digit in DIGITS)


def _replaced(text: str) -> Iterator[str]:
    for i, character in enumerate(text):
        if character in DIGITS:
            yield from (text[:i] + digit + text[i + 1 :] for digit in DIGITS if digit != character)
