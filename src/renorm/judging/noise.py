"""Whether a difference between two values is larger than what their runs, or the test images, vary by."""

import math

from renorm.judging import intervals
from renorm.judging.observations import Value
from renorm.judging.settings import Settings
from renorm.study.known_datasets import SIZES


def doubtful(a: Value, b: Value, settings: Settings) -> bool:
    """Whether the order of two values may be chance: not significant at `settings.alpha`.

    Of several runs a side by the test that `intervals.compare` chooses; of single runs and averages, whose spread is
    unknown, by the test images alone (two binomial SDs of the difference): such a difference is chance for certain, a
    larger one may still be. A side whose runs all diverged is in no doubt.
    """
    if a.mean is None or b.mean is None:
        return False
    found = intervals.compare(a.runs, b.runs, settings.level).difference
    if found is not None and math.isfinite(found.p):
        return found.p >= settings.alpha
    return abs(a.mean - b.mean) < 2 * math.sqrt(_binomial(a) + _binomial(b))


def _binomial(value: Value) -> float:
    """Variance of the mean by the choice of the test images; 0 where they are not known."""
    images = value.n_images or (SIZES[value.dataset].test if value.dataset in SIZES else None)
    if not images or not value.measure.granular or value.split == "train":
        return 0.0
    # Runs are tested on the same images: more of them do not help.
    return value.known * (1 - value.known) / images
