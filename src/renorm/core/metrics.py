"""Metrics: what a number measures, in which unit, which direction is better, and how it is printed.

Nothing else in renorm asks for a metric by its name. A study adds its own with `Metrics.extended`; there is no global
state.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
        printed: The unit behind a printed value (`%`).
        about: What it measures: how good predictions are, how long something takes, or how large a network is.
        comparative: How the better of two methods is called.
        top_k: Of an accuracy, among how many guesses the class must be; 0 where chance level is not defined.
        complement: The metric of which this one is what is left to 1, where there is one.
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool
    lower: float | None = 0.0
    upper: float | None = None
    granular: bool = False
    units: Mapping[str, float] = field(default_factory=dict, hash=False)
    aliases: tuple[str, ...] = ()
    scale: float = 1.0
    digits: int = 2
    difference: str = ""
    printed: str = ""
    about: Literal["quality", "time", "size"] = "quality"
    comparative: str = "better"
    top_k: int = 0
    complement: str = ""

    @property
    def is_quality(self) -> bool:
        """Whether it says how good predictions are: then a diverged run has the worst value there is."""
        return self.about == "quality"

    @property
    def is_time(self) -> bool:
        """Whether it is wall-clock time, which depends on the machine."""
        return self.about == "time"

    @property
    def is_size(self) -> bool:
        """Whether it is a property of the network alone: the same in every run, of no split."""
        return self.about == "size"

    @property
    def is_share(self) -> bool:
        """Whether it runs from 0 to 1: differences are points."""
        return self.lower == 0 and self.upper == 1

    @property
    def split(self) -> str:
        """The split whose value a reader means who names none: of time that of training."""
        return "train" if self.is_time else "unstated" if self.is_size else "test"

    @property
    def quality(self) -> str:
        """What is reached, in a sentence: accuracy, or the metric's label."""
        return "accuracy" if self.top_k and self.higher_is_better else self.label

    @property
    def title(self) -> str:
        """The metric in a heading: top-1 accuracy."""
        return f"{self.label} {self.quality}" if self.quality != self.label else self.label

    @property
    def axis(self) -> str:
        """What is written at an axis of values: accuracy, %."""
        return ", ".join(filter(None, (self.quality, self.printed)))

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

    @property
    def bound(self) -> float | None:
        """The best value that there can be; None where there is none."""
        return self.upper if self.higher_is_better else self.lower

    def span(self, value: float) -> float:
        """What constants that are fractions are fractions of: the range from bound to bound, else `value`'s size."""
        return abs(value) if self.lower is None or self.upper is None else self.upper - self.lower

    def shortfall(self, value: float) -> float | None:
        """How far `value` is from the best possible one, such as the error of an accuracy; None where none is known."""
        return None if self.bound is None else abs(self.bound - value)

    def chance(self, classes: int) -> float | None:
        """The value of a network that guesses one of `classes` classes; None where that is not defined."""
        if not self.top_k:
            return None
        share = min(self.top_k / classes, 1.0)
        return share if self.higher_is_better else 1 - share

    def near_perfect(self, value: float, level: float) -> bool:
        """Whether a share is at least `level` of the way from its worst to its best bound."""
        return self.is_share and (value if self.higher_is_better else 1 - value) >= level

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
            below = "negative" if lower == 0 else f"below {lower:g}"
            raise RenormError(f"value: {value:g} is {below}: {self.name} cannot be")
        if upper is not None and value > upper:
            raise RenormError(f"value: {value:g} is above {upper:g}: {self.name} cannot be")
        return value if divisor == 1 else round(value / divisor, 12)

    def text(self, value: float) -> str:
        """`value` in its printed unit, without a sign: 0.9412 → 94.12."""
        return f"{self.scale * value:,.{self.digits}f}"

    def with_unit(self, value: float) -> str:
        """`value` with its printed unit: 94.12 %."""
        return f"{self.text(value)} {self.printed}".rstrip()

    def difference_text(self, value: float) -> str:
        """A difference in its printed unit, always with its sign: +1.25 points."""
        return f"{self.scale * value:+,.{self.digits}f} {self.difference}".rstrip()

    def amount(self, printed: float) -> str:
        """A difference given in the printed unit, without a sign, with that unit: 1 point, 2.5 points, 3 K."""
        unit = self.difference[:-1] if self.difference.endswith("points") and printed == 1 else self.difference
        return f"{printed:g} {unit}".rstrip()

    def off(self, change: float) -> str:
        """A difference to a claim in words: 1.25 points higher than claimed."""
        size = f"{self.scale * abs(change):,.{self.digits}f} {self.difference}".rstrip()
        return f"{size} {'higher' if change > 0 else 'lower'} than claimed"


def share(
    name: str, label: str, higher_is_better: bool, aliases: tuple[str, ...] = (), granular: bool = True, **more: Any
) -> Metric:
    """A share: fractions of 1 inside, percent in print, differences in points; `granular`, when it counts images."""
    return Metric(
        name, label, "fraction", higher_is_better, 0.0, 1.0, granular, {"percent": 100.0, "%": 100.0}, aliases, 100.0,
        **{"digits": 2, "difference": "points", "printed": "%", **more},
    )  # fmt: skip


# The two metrics that tables of their own are about: what trains the built-in trainer, and what it takes.
TOP1, SECONDS = "top1", "seconds"
MORE_ACCURATE = "more accurate"

BUILT_IN = (
    share(
        TOP1, "top-1", True, ("accuracy", "acc", "acc@1", "top-1", "top1_accuracy", "test_accuracy"),
        comparative=MORE_ACCURATE, top_k=1,
    ),
    share("top5", "top-5", True, ("acc@5", "top-5", "top5_accuracy"), comparative=MORE_ACCURATE, top_k=5),
    share("error", "error", False, ("err", "top1_error", "error_rate"), comparative=MORE_ACCURATE, top_k=1,
          complement=TOP1),
    Metric("loss", "loss", "nats", False, None, aliases=("cross_entropy", "nll"), digits=4, difference="nats",
           printed="nats"),
    Metric(
        SECONDS, "seconds", "s", False, units={"sec": 1.0, "ms": 1000.0, "min": 1 / 60, "h": 1 / 3600},
        aliases=("time", "runtime"), difference="s", printed="s", about="time",
    ),
    Metric(
        "parameters", "parameters", "count", False, units={"k": 1e-3, "M": 1e-6}, aliases=("params", "n_parameters"),
        digits=0, difference="parameters", about="size",
    ),
)  # fmt: skip


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
                taken = self._aliases.get(name.lower(), metric.name) != metric.name
                if taken or metric.name in self._metrics:
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

    def __hash__(self) -> int:
        return hash(tuple(self._metrics.values()))

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
