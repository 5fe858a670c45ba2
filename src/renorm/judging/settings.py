"""How to judge: the published rules' thresholds, the equivalence margins and the levels, from study.json."""

from dataclasses import dataclass, fields
from typing import Any

from renorm.core.validation import validate_model
from renorm.study.config import Compare, Judge, MarginRule

# Without a rule of the study's own: one point where training had time to converge. Accuracies after few epochs differ
# by more between implementations; there it is a tenth of the claim, but at most three points: a tenth of 95 % is a lot.
LONG = MarginRule(points=1.0)
SHORT = MarginRule(points=3.0, relative=0.10)


@dataclass(frozen=True)
class Margin:
    """An equivalence margin in the metric's unit, and the rule that it follows from, in words."""

    value: float
    rule: str


@dataclass(frozen=True)
class Settings:
    """Everything a verdict depends on besides the numbers. Accuracies and margins are fractions of 1."""

    baseline: str = Compare().baseline
    method: str = Compare().method
    # The published rules.
    threshold: float = 0.10
    threshold_kind: str = "relative"
    consistency_threshold: float = 0.5
    selection: str = "final"
    # What decides a pair, and equivalence.
    metric: str = "top1"
    alpha: float = 0.05
    short_epochs: int = 20
    margins: tuple[MarginRule, ...] = ()
    level: float = 0.95
    # Suspiciously good: above the claim by more than max(sd x the spread's SD, points), or near perfect.
    suspicious_sd: float = 3.0
    suspicious_points: float = 0.01
    near_perfect: float = 0.99
    # The bootstrap over pairs and seeds.
    resamples: int = 2000
    bootstrap_seed: int = 0

    def margin(self, claimed: float, cell: Any) -> Margin:
        """The equivalence margin around `claimed`: that of the first rule in `margins` whose `where` fits `cell`.

        Args:
            claimed: in the metric's unit (fractions of 1 for accuracies).
            cell: anything with the attributes dataset, arch, norm, recipe, epochs and metric.
        """
        rule = next((rule for rule in self.margins if _fits(rule.where, cell)), None)
        if rule is None:
            rule = LONG if cell.epochs >= self.short_epochs else SHORT
        sizes = {}
        if rule.points is not None:
            sizes[f"{rule.points:g} point{'s' * (rule.points != 1)}"] = rule.points / 100
        if rule.relative is not None:
            sizes[f"{100 * rule.relative:g} % of the claim"] = rule.relative * abs(claimed)
        return Margin(min(sizes.values()), " or ".join(sizes) + (", whichever is smaller" if len(sizes) > 1 else ""))


def _fits(where: dict[str, Any], cell: Any) -> bool:
    for key, wanted in where.items():
        if getattr(cell, key) not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def from_study(study: dict, where: str) -> Settings:
    """The settings in `compare` and `judge` of study.json."""
    compare = validate_model(Compare, study.get("compare") or {}, f"{where}: compare")
    judge = validate_model(Judge, study.get("judge") or {}, f"{where}: judge")
    given = {**dict(compare), **dict(judge), "margins": tuple(judge.margins)}
    known = {field.name for field in fields(Settings)}
    return Settings(**{key: value for key, value in given.items() if key in known})
