"""A cell that a person wrote → value, spread, percent sign: `93.2 ± 0.3`, `74.18 %`, `$\\mathbf{93.2} \\pm 0.3$`."""

import re
from dataclasses import dataclass

_PLUS_MINUS = re.compile(r"±|\+/-|\+-|\\pm\b")
_LATEX = re.compile(r"\\(?:textbf|mathbf|underline|emph|textit|bm|bf|mathrm)\b|[${}]")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
# Marks of footnotes and of significance behind a number.
_MARKS = " *†‡§"


@dataclass(frozen=True)
class Number:
    """`value` and `spread` as decimal text; `percent`: whether a percent sign follows one of them."""

    value: str
    spread: str
    percent: bool


def parse(text: str, decimal: str = ".") -> Number | None:
    """The number in a cell; None where there is another text.

    Args:
        text: The cell.
        decimal: The decimal mark; the other of comma and point is not read, since it may be either.
    """
    plain = _LATEX.sub("", text.replace("\\%", "%")).replace("−", "-")
    parts = [part.strip().strip(_MARKS) for part in _PLUS_MINUS.split(plain)]
    if not 1 <= len(parts) <= 2:
        return None
    percent = any(part.endswith("%") for part in parts)
    numbers = [_plain(part.removesuffix("%").strip(), decimal) for part in parts]
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    return Number(numbers[0], numbers[1] if len(numbers) > 1 else "", percent)


def _plain(text: str, decimal: str) -> str:
    if decimal == ".":
        return text
    return "" if "." in text else text.replace(",", ".")
