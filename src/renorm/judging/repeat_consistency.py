"""Consistency of repeats, as the published reproduction defines it."""

from typing import Any

from renorm.core.table_specs import GROUP
from renorm.judging.observations import Value
from renorm.judging.pairing import Pair
from renorm.judging.settings import Settings


def deviation(claimed: float, value: Value) -> float | None:
    """Sum of squared deviations of the attempts from the claimed value, divided by n - 1 (fractions of 1).

    Obadage et al. 2024, Section 5.1 calls it "averaged squared deviation"; division by n - 1 gives its printed range.
    With an average alone, sum((x - c)^2) >= n (mean - c)^2, so n / (n - 1) (mean - c)^2 is a lower bound.
    """
    if value.mean is None or value.n is None or value.n < 2:
        return None
    if value.reported_as == "average":
        return value.n / (value.n - 1) * (value.mean - claimed) ** 2
    return sum((x - claimed) ** 2 for x in value.attempts) / (value.n - 1)


def rows(pairs: list[Pair], settings: Settings) -> list[dict[str, Any]]:
    """The table repeat_consistency.csv; a row per claim x source, empty where fewer than two runs speak.

    The rule is defined for shares: what a squared deviation of 0.5 is of seconds or perplexities, nobody said.
    """
    found = []
    for pair in pairs:
        if pair.claim.value is None or not pair.claim.measure.is_share:
            continue
        value, spread = pair.value, deviation(pair.claim.value, pair.value)
        found.append({
            "claim_source": pair.claim.source, "source": value.source,
            **dict(zip(GROUP, pair.claim.group, strict=True)), "metric": pair.claim.metric,
            "split": pair.claim.split, "selection": pair.claim.selection, "claimed": pair.claim.value, "n": value.n,
            "reported_as": value.reported_as, "deviation": spread,
            "consistent": None if spread is None else spread < settings.consistency_threshold,
        })  # fmt: skip
    return sorted(
        found, key=lambda row: (row["source"], *(row[key] for key in GROUP), row["metric"], row["claim_source"])
    )
