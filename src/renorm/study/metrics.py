"""`metrics:` of a configuration: the metrics that a study adds to the built-in ones."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from renorm.core.metrics import METRICS, Metric, Metrics, share
from renorm.study.fields import Finite, Strict


class AddedMetric(Strict):
    """A metric of the study's own.

    Attributes:
        label: What it is called in print; by default its name.
        direction: Whether a higher or a lower value is better.
        kind: `share` runs from 0 to 1: percent and fractions are read, percent printed, differences are points.
            `number` is in its own `unit`.
        unit: The unit that a `number` is read and printed in; empty for one without.
        bounds: Lowest and highest possible value of a `number`; null where there is none.
        digits: Decimals in print.
        granular: Whether a share is a whole number of examples over their number, which the audit then checks.
        aliases: Other names that tables of claims may use.
    """

    label: str = ""
    direction: Literal["higher", "lower"]
    kind: Literal["number", "share"] = "number"
    unit: Annotated[str, Field(max_length=20, pattern=r"^\S*$")] = ""
    bounds: tuple[Finite | None, Finite | None] = (None, None)
    digits: Annotated[int, Field(ge=0, le=9, strict=True)] = 2
    granular: bool = False
    aliases: list[Annotated[str, Field(min_length=1, max_length=80)]] = []

    @model_validator(mode="after")
    def _one_kind(self) -> "AddedMetric":
        low, high = self.bounds
        if low is not None and high is not None and low >= high:
            raise ValueError(f"bounds: {low:g} is not below {high:g}: write the lower one first")
        if self.kind == "share" and (self.unit or self.bounds != (None, None)):
            raise ValueError("kind: a share has the unit and the bounds of shares: leave unit and bounds out")
        if self.kind == "number" and self.granular:
            raise ValueError("granular: only a share counts examples: add kind: share or take it out")
        return self

    def named(self, name: str) -> Metric:
        """The metric under its name."""
        label, better, aliases = self.label or name, self.direction == "higher", tuple(self.aliases)
        if self.kind == "share":
            return share(name, label, better, aliases, self.granular, digits=self.digits)
        return Metric(
            name, label, self.unit, better, *self.bounds, aliases=aliases, digits=self.digits, difference=self.unit,
            printed=self.unit,
        )  # fmt: skip


def registry(added: Mapping[str, AddedMetric]) -> Metrics:
    """The built-in metrics and those of a study; raises `RenormError` for a name or alias that is taken."""
    return METRICS.extended(*(metric.named(name) for name, metric in added.items()))
