"""Metrics: what a number measures, in which unit, which direction is better, and how it is printed.

Nothing else in renorm knows a metric by its name. A study adds its own with `Metrics(built-in and more)`; there is no
global state.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from renorm.core.errors import RenormError, suggest

# Differences below this are rounding of the machine: printed values have few digits.
TINY = 1e-9


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Its key in tables.
        label: What it is called in print.
        unit: The unit of every value inside renorm (`fraction`, `nats`, `s`).
        higher_is_better: The direction.
        lower, upper: Bounds of a value, in `unit`; None where there is none.
        granular: Whether a value is a whole number of images over the images measured (steps of 1/n_images).
        units: Accepted units of input and the divisor that turns them into `unit`.
        aliases: Other names that people write.
        scale: Factor from `unit` to what is printed (100 for percent).
        digits: Decimals in print.
        difference: The unit of a printed difference (`points`).
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool
    lower: float | None = 0.0
    upper: float | None = None
    granular: bool = False
    units: Mapping[str, float] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    scale: float = 1.0
    digits: int = 2
    difference: str = ""

    @property
    def accepted(self) -> dict[str, float]:
        """Every accepted unit with its divisor, the metric's own among them."""
        return {**self.units, self.unit: 1.0}

    def gain(self, value: float, reference: float) -> float:
        """By how much `value` is better than `reference`, in `unit`; negative where it is worse."""
        return value - reference if self.higher_is_better else reference - value

    def order(self, a: float, b: float) -> int:
        """1 where `a` is better than `b`, -1 where it is worse, 0 where they are equal up to rounding."""
        gain = self.gain(a, b)
        return 0 if abs(gain) <= TINY else 1 if gain > 0 else -1

    @property
    def worst(self) -> float:
        """A value that any finite one is better than."""
        return -math.inf if self.higher_is_better else math.inf

    def best(self, values: Iterable[float]) -> float:
        """The best of `values`; raises ValueError where there is none."""
        return max(values) if self.higher_is_better else min(values)

    def convert(self, value: float, unit: str) -> float:
        """`value`, given in `unit`, in the metric's own unit; raises `RenormError` for what it cannot be."""
        if unit not in self.accepted:
            raise RenormError(f"unit: unknown '{unit}' of {self.name}: {suggest(unit, self.accepted)}")
        divisor = self.accepted[unit]
        lower, upper = (None if bound is None else bound * divisor for bound in (self.lower, self.upper))
        if lower is not None and upper is not None and not lower <= value <= upper:
            wider = self.upper is not None and any(value <= self.upper * d for d in self.accepted.values())
            others = [u for u, d in self.accepted.items() if d > divisor] if wider else []
            hint = f"is the unit {others[0]}?" if others and value > 0 else "check the number"
            what = "an accuracy" if self.granular and self.higher_is_better else f"a value of {self.name}"
            raise RenormError(f"value: {value:g} is not {what} from {lower:g} to {upper:g} ({unit}): {hint}")
        if lower is not None and value < lower:
            raise RenormError(f"value: {value:g} is negative: {self.name} cannot be")
        return value if divisor == 1 else round(value / divisor, 12)

    def text(self, value: float) -> str:
        """`value` in its printed unit, without a sign: 0.9412 → 94.12."""
        return f"{self.scale * value:,.{self.digits}f}"

    def difference_text(self, value: float) -> str:
        """A difference in its printed unit, always with its sign: +1.25 points."""
        return f"{self.scale * value:+,.{self.digits}f} {self.difference}".rstrip()


def _share(name: str, label: str, higher_is_better: bool, aliases: tuple[str, ...]) -> Metric:
    """A share of images: fractions of 1 inside, percent in print."""
    return Metric(
        name,
        label,
        "fraction",
        higher_is_better,
        0.0,
        1.0,
        True,
        {"percent": 100.0, "%": 100.0},
        aliases,
        100.0,
        2,
        "points",
    )


BUILT_IN = (
    _share("top1", "top-1", True, ("accuracy", "acc", "acc@1", "top-1", "top1_accuracy", "test_accuracy")),
    _share("top5", "top-5", True, ("acc@5", "top-5", "top5_accuracy")),
    _share("error", "error", False, ("err", "top1_error", "error_rate")),
    Metric("loss", "loss", "nats", False, None, aliases=("cross_entropy", "nll"), digits=4, difference="nats"),
    Metric(
        "seconds",
        "seconds",
        "s",
        False,
        units={"sec": 1.0, "ms": 1000.0, "min": 1 / 60, "h": 1 / 3600},
        aliases=("time", "runtime"),
        difference="s",
    ),
    Metric(
        "parameters",
        "parameters",
        "count",
        False,
        units={"k": 1e-3, "M": 1e-6},
        aliases=("params", "n_parameters"),
        digits=0,
    ),
)


class Metrics(Mapping[str, Metric]):
    """A set of metrics by name; immutable, so that two studies of one process cannot disturb each other.

    Args:
        metrics: The metrics; a later one may not have the name or an alias of an earlier one.

    Raises:
        RenormError: Two metrics share a name or an alias.
    """

    def __init__(self, metrics: Iterable[Metric] = BUILT_IN):
        self._metrics: dict[str, Metric] = {}
        self._aliases: dict[str, str] = {}
        for metric in metrics:
            for name in (metric.name, *metric.aliases):
                if name.lower() in self._aliases:
                    raise RenormError(
                        f"metrics.{metric.name}: '{name}' is another metric's name or alias: choose another"
                    )
                self._aliases[name.lower()] = metric.name
            self._metrics[metric.name] = metric

    def extended(self, *metrics: Metric) -> "Metrics":
        """These metrics and `metrics`."""
        return Metrics((*self._metrics.values(), *metrics))

    def __getitem__(self, name: str) -> Metric:
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def find(self, name: str) -> Metric:
        """The metric that people call `name` (Acc@1, Top1, accuracy); raises `RenormError` with a suggestion."""
        key = self._aliases.get(name.strip().lower())
        if key is None:
            raise RenormError(f"metric: unknown '{name}': {suggest(name, self._metrics)}")
        return self._metrics[key]

    @property
    def accuracies(self) -> tuple[str, ...]:
        """The names of shares of images of which more is better."""
        return tuple(m.name for m in self._metrics.values() if m.granular and m.higher_is_better)


METRICS = Metrics()
