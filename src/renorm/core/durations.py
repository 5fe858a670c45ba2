"""How durations are written: the units of a clock, for sentences, ticks and axes."""

import math

UNITS = ((86400, "d", "days"), (3600, "h", "hours"), (60, "min", "minutes"), (1, "s", "seconds"))


def duration(seconds: float) -> str:
    """Seconds for people: 4.5 s, 45 s, 12 min, 3 h 05 min, 2 d 03 h."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24:,} d {hours % 24:02d} h"


def unit(seconds: float, least: float = 1) -> tuple[int, str, str]:
    """The largest unit of which `seconds` are `least` or more: its seconds, symbol and plural; else seconds."""
    known = seconds if math.isfinite(seconds) else 0.0
    return next((found for found in UNITS if known >= least * found[0]), UNITS[-1])


def tick(seconds: float) -> str:
    """Seconds in one unit, for a place on an axis: 1.5 min."""
    size, symbol, _ = unit(seconds)
    return f"{seconds / size:.3g} {symbol}"
