"""How a number is written: how a metric is printed, `core.metrics` knows; this adds signs and what is absent."""

import math
import re
from typing import TypeGuard

from renorm.core import durations
from renorm.core.metrics import Metric

ABSENT = "–"
MINUS = "−"


def known(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not math.isnan(value)


def signed(text: str) -> str:
    return text.replace("-", MINUS)


def percent(value: float, digits: int = 2) -> str:
    """A fraction as a percentage without its sign: 0.9412 → 94.12."""
    return signed(f"{100 * value:.{digits}f}") if known(value) else ABSENT


def points(value: float, digits: int = 2) -> str:
    """A difference of fractions in percentage points, always with its sign."""
    return signed(f"{100 * value:+.{digits}f}") if known(value) else ABSENT


def count(value: float) -> str:
    return f"{int(value):,}" if known(value) and math.isfinite(value) else ABSENT


def decimal(value: float, digits: int = 2) -> str:
    return signed(f"{value:,.{digits}f}") if known(value) else ABSENT


def ratio(value: float) -> str:
    return f"{value:.2f}×" if known(value) else ABSENT


def seconds(value: float) -> str:
    """Seconds as the published tables print them; whole ones where tenths no longer say anything."""
    if not known(value):
        return ABSENT
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def duration(value: float) -> str:
    """The same seconds for people."""
    return durations.duration(value) if known(value) else ABSENT


def measure(metric: Metric, value: float) -> str:
    """A value in the unit that its metric is printed in; seconds lose the digits that say nothing."""
    if not known(value):
        return ABSENT
    return seconds(value) if metric.is_time else signed(metric.text(value))


def difference(metric: Metric, value: float) -> str:
    """A difference in the printed unit of its metric, always with its sign, without the unit."""
    return signed(f"{metric.scale * value:+,.{metric.digits}f}") if known(value) else ABSENT


def with_unit(text: str, metric: Metric) -> str:
    """A difference with its unit behind it."""
    return f"{text} {metric.difference}".rstrip()


def sentence(text: str) -> str:
    """A sentence from a table as it is printed: minus signs before numbers, a space before a percent sign."""
    return re.sub(r"(?<=\d)%", "\u00a0%", re.sub(r"(?<![\w.])-(?=\d)", MINUS, text))


def flags(text: str) -> str:
    """The warnings of a value in words."""
    return text.replace("_", " ").replace(";", ", ")
