"""GRIM, GRIMMER and DEBIT: can a mean, a standard deviation and a sample size belong together on a granular scale?

Definitions follow the R package scrutiny with its rounding "up_or_down": a printed number stands for the closed
interval of half a unit of its last digit on either side, so that neither way of rounding a 5 is called an error.

* GRIM (Brown & Heathers 2017, doi:10.1177/1948550616673876): mean × n of whole numbers is a whole number.
* GRIMMER (Anaya 2016, doi:10.7287/peerj.preprints.2400v1; Allard 2018): the sum of squares of whole numbers is a whole
  number, and as odd or even as their sum. Both conditions are necessary: what fails them is impossible, what passes
  them may still be.
* DEBIT (Heathers & Brown 2019): the mean of n zeros and ones fixes their standard deviation.

All arithmetic is exact (`fractions.Fraction`).
"""

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Interval:
    """The real numbers, from `low` to `high`, that a printed number may stand for."""

    low: Fraction
    high: Fraction

    def scaled(self, factor: Fraction | int) -> "Interval":
        """The interval in another unit (`factor` > 0)."""
        return Interval(self.low * factor, self.high * factor)

    def widened(self, by: Fraction) -> "Interval":
        return Interval(self.low - by, self.high + by)

    def whole_numbers(self) -> range:
        """The whole numbers in the interval."""
        return range(math.ceil(self.low), math.floor(self.high) + 1)

    def overlaps(self, other: "Interval") -> bool:
        return self.low <= other.high and other.low <= self.high


def resolution(text: str) -> Fraction:
    """Half a unit of the last digit written: 93.2 stands for 93.15 to 93.25."""
    mantissa, _, exponent = text.lower().partition("e")
    return Fraction(1, 2) * Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def printed(text: str) -> Interval:
    """What the printed decimal `text` stands for."""
    return Interval(Fraction(text), Fraction(text)).widened(resolution(text))


def grim(mean: str | Interval, n: int, items: int = 1) -> bool:
    """Whether `mean` can be the mean of `n` values that are each the mean of `items` whole numbers.

    Args:
        mean: as printed, or an interval.
        n: number of values, at least 1.
        items: whole numbers behind each value; an accuracy is a mean of `items` zeros and ones.
    """
    return bool(_interval(mean).scaled(n * items).whole_numbers())


def grimmer(mean: str | Interval, sd: str | Interval, n: int, items: int = 1, ddof: int = 1) -> bool:
    """Whether whole numbers (means of `items` of them) with this mean and standard deviation may exist.

    Args:
        mean: as printed, or an interval.
        sd: standard deviation, as printed, or an interval.
        n: number of values, at least 2.
        items: whole numbers behind each value.
        ddof: 1 where the sum of squares was divided by n - 1, 0 where by n.
    """
    mean, sd = _interval(mean).scaled(items), _interval(sd).scaled(items)
    low, high = max(sd.low, Fraction(0)) ** 2 * (n - ddof), sd.high**2 * (n - ddof)
    for total in mean.scaled(n).whole_numbers():
        square = Fraction(total * total, n)
        squares = Interval(square + low, square + high).whole_numbers()
        # A whole number and its square are both odd or both even.
        if len(squares) > 1 or (len(squares) == 1 and squares[0] % 2 == total % 2):
            return True
    return False


def debit(mean: str | Interval, sd: str | Interval, n: int, ddof: int = 1) -> bool:
    """Whether `n` zeros and ones with this mean can have this standard deviation.

    Args:
        mean: share of ones, from 0 to 1.
        sd: standard deviation of the zeros and ones.
        n: number of zeros and ones, at least 2.
        ddof: 1 where the sum of squares was divided by n - 1, 0 where by n.
    """
    mean, sd = _interval(mean), _interval(sd)
    shares = [min(max(share, Fraction(0)), Fraction(1)) for share in (mean.low, mean.high)]
    variances = [Fraction(n, n - ddof) * share * (1 - share) for share in shares]
    most = Fraction(n, 4 * (n - ddof)) if shares[0] <= Fraction(1, 2) <= shares[1] else max(variances)
    possible = Interval(min(variances), most)
    return possible.overlaps(Interval(max(sd.low, Fraction(0)) ** 2, sd.high**2))


def _interval(value: str | Interval) -> Interval:
    return printed(value) if isinstance(value, str) else value
