"""How to judge: the published rules' thresholds and the equivalence margins, from study.json."""

from dataclasses import dataclass, fields

from renorm.core.errors import RenormError, suggest
from renorm.study.config import Compare


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
    # Equivalence margins (absolute; relative to the claim below `short_epochs`) and levels.
    equivalence_margin: float = 0.01
    equivalence_margin_short: float = 0.10
    short_epochs: int = 20
    level: float = 0.95
    alpha: float = 0.05
    # Suspiciously good: above the claim by more than max(sd x pooled SD, points), or near perfect.
    suspicious_sd: float = 3.0
    suspicious_points: float = 0.01
    near_perfect: float = 0.99
    # The bootstrap over seeds.
    resamples: int = 2000
    bootstrap_seed: int = 0

    def margin(self, claimed: float, epochs: int) -> float:
        """The equivalence margin around `claimed` after `epochs`, as a fraction of 1."""
        short = epochs < self.short_epochs
        return self.equivalence_margin_short * claimed if short else self.equivalence_margin

    def margin_told(self, epochs: int) -> str:
        if epochs < self.short_epochs:
            return f"{self.equivalence_margin_short:.0%} of the claim"
        return f"{self.equivalence_margin * 100:g} points"


def from_study(study: dict, where: str) -> Settings:
    """The settings in `compare` and `judge` of study.json."""
    given = {**(study.get("compare") or {}), **(study.get("judge") or {})}
    known = {field.name: field for field in fields(Settings)}
    for key, value in given.items():
        if key not in known:
            raise RenormError(f"{where}: judge.{key}: unknown key: {suggest(key, known)}")
        _check(where, key, value, known[key].type)
    return Settings(**given)


def _check(where: str, key: str, value: object, kind: type) -> None:
    words = {"threshold_kind": ("relative", "absolute"), "selection": ("final", "best")}.get(key)
    if words and value not in words:
        raise RenormError(f"{where}: judge.{key}: unknown {value!r}: {suggest(value, words)}")
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise RenormError(f"{where}: judge.{key}: {value!r} is not a {kind.__name__}")
    if kind is not str and not value >= 0:
        raise RenormError(f"{where}: judge.{key}: {value!r} is negative")
