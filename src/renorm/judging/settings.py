"""How to judge: the published rules' thresholds, the equivalence margins and the levels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ConfigDict

from renorm.core.metrics import METRICS, Metric, Metrics
from renorm.judging.comparisons import Comparison, of_study
from renorm.study.config import Judge, MarginRule
from renorm.study.description import Description

# Without a rule of the study's own: one point where training had time to converge. Accuracies after few epochs differ
# by more between implementations; there it is a tenth of the claim, but at most three points: a tenth of 95 % is a lot.
LONG = (MarginRule(points=1.0), MarginRule(relative=0.02))
SHORT = (MarginRule(points=3.0, relative=0.10), MarginRule(relative=0.10))
# Seconds of two machines: a tenth is what clocks and loads alone make.
TIME = MarginRule(relative=0.10)


@dataclass(frozen=True)
class Margin:
    """An equivalence margin in the metric's unit, and the rule that it follows from, in words."""

    value: float
    rule: str


class Settings(Judge):
    """Everything a verdict depends on besides the numbers: `judge:` of the configuration, and what goes with it.

    Accuracies and margins are fractions of 1.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    comparisons: tuple[Comparison, ...] = ()
    metrics: Metrics = METRICS

    # Not configurable: a verdict of one study means what it means in another.
    level: ClassVar[float] = 0.95
    # Suspiciously good: above the claim by more than max(sd x the spread's SD, points), or near perfect.
    suspicious_sd: ClassVar[float] = 3.0
    suspicious_points: ClassVar[float] = 0.01
    near_perfect: ClassVar[float] = 0.99
    # The bootstrap over pairs and seeds.
    resamples: ClassVar[int] = 2000
    bootstrap_seed: ClassVar[int] = 0

    @property
    def added(self) -> tuple[str, ...]:
        """The metrics of the study's own."""
        return tuple(name for name in self.metrics if name not in METRICS)

    @property
    def primary(self) -> Metric:
        """The metric that pairs are decided by."""
        return self.metrics[self.metric]

    def threshold_text(self, metric: Metric) -> str:
        """The published rule's threshold in words: 10 %, or an amount in the metric's unit."""
        if self.threshold_kind == "relative":
            return f"{self.threshold:.0%}"
        return metric.amount(metric.scale * self.threshold)

    @property
    def normalisers(self) -> Comparison | None:
        """The first comparison of two normalisers."""
        return next((one for one in self.comparisons if one.axis == "norm"), None)

    @property
    def baseline(self) -> str:
        """The baseline among the normalisers; empty where none are compared."""
        return self.normalisers.baseline if self.normalisers else ""

    @property
    def method(self) -> str:
        """The method among the normalisers; empty where none are compared."""
        return self.normalisers.method if self.normalisers else ""

    def margin(self, claimed: float, cell: Any) -> Margin:
        """The equivalence margin around `claimed`: of the first rule in `margins` that fits `cell` and its metric.

        Args:
            claimed: in the metric's unit (fractions of 1 for accuracies).
            cell: anything with the attributes dataset, arch, norm, recipe, epochs and metric.
        """
        metric = self.metrics[cell.metric]
        for rule in (*self.margins, *self._usual(metric, cell.epochs)):
            sizes = _sizes(rule, metric, claimed)
            if sizes and _fits(rule.where, cell):
                return Margin(
                    min(sizes.values()), " or ".join(sizes) + (", whichever is smaller" if len(sizes) > 1 else "")
                )
        return Margin(0.0, "the printed digits")

    def _usual(self, metric: Metric, epochs: int) -> tuple[MarginRule, ...]:
        """The rules of a study that has none for a metric; a number of parameters is right or wrong."""
        if metric.is_size:
            return ()
        if metric.is_time:
            return (TIME,)
        return LONG if epochs >= self.short_epochs else SHORT


def _sizes(rule: MarginRule, metric: Metric, claimed: float) -> dict[str, float]:
    """The rule's sizes for a claim by their words, in the metric's unit; empty where it has none for this metric."""
    printed = rule.points if metric.is_share else rule.absolute
    sizes = {} if printed is None else {metric.amount(printed): printed / metric.scale}
    if rule.relative is not None:
        sizes[f"{100 * rule.relative:g} % of the claim"] = rule.relative * abs(claimed)
    return sizes


def _fits(where: Mapping[Any, Any], cell: Any) -> bool:
    for key, wanted in where.items():
        if getattr(cell, key) not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def from_study(study: Description) -> Settings:
    """How `study` is judged."""
    return Settings(**dict(study.judge), comparisons=of_study(study), metrics=study.registry)
