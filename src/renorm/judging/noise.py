"""Whether a difference, of two values or of one and a number, is larger than what runs or test images vary by."""

import math

from renorm.judging import intervals, statistics
from renorm.judging.intervals import Tested
from renorm.judging.observations import Value
from renorm.judging.settings import TIME, Settings
from renorm.judging.spread import BINOMIAL_FACTOR
from renorm.study.known_datasets import SIZES

# Of averages of an unknown spread, SDs by the test images alone below which a difference is chance for certain.
IMAGES = 2.0


def compare(a: Value, b: Value, level: float) -> Tested:
    """The difference a - b by `intervals.compare`, or by Welch's test where an SD was printed with an average."""
    tested = intervals.compare(a.runs, b.runs, level)
    if tested.difference is not None or None in (a.mean, b.mean) or None in (a.sd, b.sd) or min(_n(a), _n(b)) < 2:
        return tested
    found = statistics.welch_of_means((a.known, a.sd or 0.0, _n(a)), (b.known, b.sd or 0.0, _n(b)), level)
    return Tested("printed SD", 0, found)


def doubtful(a: Value, b: Value, settings: Settings, gap: float = 0.0) -> bool:
    """Whether it may be chance on which side of `gap` the gain of `a` over `b` is.

    Of several runs a side, or averages printed with their SD, by the interval of level 1 - alpha of the test that
    `compare` chooses. Where the spread is unknown: single runs by the floor of the equivalence verdicts, since a run
    alone says nothing about seeds, and always where the metric is not a share of images; averages by the test images
    alone: what is smaller is chance for certain, what is larger may still be. Times of single runs: within a tenth. A
    side whose runs all diverged is in no doubt.

    Args:
        gap: in the metric's unit, positive where `a` is to be better by that much.
    """
    if a.mean is None or b.mean is None:
        return False
    sign = 1 if a.measure.higher_is_better else -1
    found = compare(a, b, 1 - settings.alpha).difference
    if found is not None and math.isfinite(found.low):
        return found.low <= sign * gap <= found.high
    off = abs(a.measure.gain(a.mean, b.mean) - gap)
    if a.measure.is_time:
        return off < (TIME.relative or 0.0) * max(abs(a.mean), abs(b.mean))
    return off < _reach((a, b))


def doubtful_bound(value: Value, bound: float, settings: Settings) -> bool:
    """Whether it may be chance on which side of the number `bound` a value's mean is."""
    if value.mean is None:
        return False
    if value.sd is not None and value.sd > statistics.ROUNDING and _n(value) > 1:
        n = _n(value)
        low, high = statistics.mean_interval(value.mean, value.sd, n, n - 1, 1 - settings.alpha)
        return low <= bound <= high
    return abs(value.mean - bound) < _reach((value,))


def _reach(values: tuple[Value, ...]) -> float:
    """What values without a known spread may be off by; infinite of a single run of which nothing is known."""
    single = any(v.reported_as == "attempts" and v.n == 1 for v in values)
    images = [_binomial(v) for v in values]
    if single and not all(images):
        return math.inf
    return (BINOMIAL_FACTOR if single else 1.0) * IMAGES * math.sqrt(sum(images))


def _n(value: Value) -> int:
    return value.n or 1


def _binomial(value: Value) -> float:
    """Variance of the mean by the choice of the test images; 0 where they are not known."""
    images = value.n_images or (SIZES[value.dataset].test if value.dataset in SIZES else None)
    if not images or not value.measure.granular or value.split == "train":
        return 0.0
    # Runs are tested on the same images: more of them do not help. At 100 % one image in doubt is left.
    share = min(max(value.known, 1 / images), 1 - 1 / images)
    return share * (1 - share) / images
