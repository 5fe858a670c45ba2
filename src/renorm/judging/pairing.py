"""The published colour rule: every claim and every source with a value for it."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from renorm.judging.inputs import GROUP, Inputs
from renorm.judging.observations import TINY, Value, Values, printed_sd
from renorm.judging.settings import Settings
from renorm.judging.statistics import mean_sd
from renorm.study.claims import ACCURACIES

LOOKS = {"better": ("green", "▲"), "within": ("black", "="), "below": ("red", "▼"), "diverged": ("red", "✗"),
         "missing": ("grey", "–")}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """One published value that can be compared with others; `sd` of its `n` runs where that is known."""

    source: str
    table: str
    page: str
    group: tuple
    metric: str
    split: str
    selection: str
    value: float
    n: int | None
    sd: float | None = None


@dataclass(frozen=True)
class Pair:
    """A claim and what one source says about it."""

    claim: Claim
    value: Value


def claims_of(inputs: Inputs) -> list[Claim]:
    """Every accuracy claimed by the original sources, in the order of the tables.

    Several attempts at one cell are one claim with a spread; beside a printed average they give its spread alone.
    """
    found = []
    for claims in inputs.originals:
        frame = claims.frame[claims.frame.metric.isin(ACCURACIES) & (claims.frame.status != "diverged")]
        keys = [*GROUP, "metric", "split", "selection"]
        found += [_claim(key, rows) for key, rows in frame.groupby(keys, sort=False)]
    return sorted(found, key=lambda c: (c.source, c.table, c.group, c.metric, c.split, c.selection))


def _claim(key: tuple, rows: pd.DataFrame) -> Claim:
    averages, attempts = rows[rows.attempt.isna()], rows[rows.attempt.notna()]
    first = (averages if len(averages) else attempts).iloc[0]
    group = (*key[:4], int(key[4]))
    head = (first.source, first.table, first.page, group, *key[5:])
    runs = attempts.value.astype(float).tolist()
    spread = mean_sd(runs)[1] if len(runs) > 1 else None
    if len(averages):
        n = None if pd.isna(first.n) else int(first.n)
        return Claim(*head, float(first.value), n or len(runs) or None, printed_sd(first) or spread)
    return Claim(*head, mean_sd(runs)[0], len(runs), spread)


def pairs(inputs: Inputs, values: Values) -> list[Pair]:
    """Claim x source for every source with a value for the claim; the study answers for what is in its grid.

    What a reproduction printed is a claim to the study alone: no other reproduction set out to repeat it.
    """
    reproductions = [c.source.name for c in inputs.reproductions]
    found = []
    for claim in claims_of(inputs):
        for source in (inputs.study,) if claim.source in inputs.repeated else (*reproductions, inputs.study):
            if source == claim.source:
                continue
            split = "test" if source == inputs.study and claim.split == "unstated" else claim.split
            value = values.find(source, claim.group, claim.metric, split, inputs.settings.selection)
            if value is not None:
                found.append(Pair(claim, value))
    return found


def judge_value(claimed: float, value: float | None, settings: Settings) -> str:
    """`better` above the claim, `below` when lower by more than the threshold, `within` otherwise.

    The rule of Obadage et al. 2024, Table 4: one-sided, relative to the claim unless configured absolute.
    """
    if value is None:
        return "missing"
    if value > claimed + TINY:
        return "better"
    allowed = settings.threshold * (claimed if settings.threshold_kind == "relative" else 1)
    return "below" if claimed - value > allowed + TINY else "within"


def rule_verdict(claimed: float, value: Value, settings: Settings) -> str:
    """`judge_value`, and `diverged` where every run did: the worst value there is, which is not a missing one."""
    return "diverged" if value.all_diverged else judge_value(claimed, value.mean, settings)


def rows(pairs: list[Pair], settings: Settings, flags: dict[tuple, str] | None = None) -> list[dict[str, Any]]:
    """The table threshold_rule.csv; `flags` are the equivalence verdict's warnings, by claim and source."""
    return [_row(pair, settings, (flags or {}).get(key_of(pair), "")) for pair in pairs]


def key_of(pair: Pair) -> tuple:
    claim = pair.claim
    return (claim.source, claim.table, claim.group, claim.metric, claim.split, claim.selection, pair.value.source)


def head(pair: Pair) -> dict[str, Any]:
    """The columns that say which claim and which source a row is about."""
    claim, value = pair.claim, pair.value
    return {"claim_source": claim.source, "table": claim.table, "page": claim.page, "metric": claim.metric,
            "split": claim.split, "selection": claim.selection, "claimed": claim.value, "source": value.source,
            "reproduced_split": value.split, "n": value.n, "n_expected": value.n_expected, "value": value.mean,
            **dict(zip(GROUP, claim.group, strict=True))}  # fmt: skip


def _row(pair: Pair, settings: Settings, flags: str) -> dict[str, Any]:
    claimed, value = pair.claim.value, pair.value
    verdict = rule_verdict(claimed, value, settings)
    colour, mark = LOOKS[verdict]
    change = None if value.mean is None else value.mean - claimed
    return head(pair) | {
        "sd": value.sd, "minimum": value.minimum, "maximum": value.maximum, "change": change,
        "relative_change": None if change is None or not claimed else change / claimed,
        "verdict": verdict, "colour": colour, "mark": mark,
        "reason": _reason(verdict, change, claimed, value, settings), "flags": flags,
    }  # fmt: skip


def _reason(verdict: str, change: float | None, claimed: float, value: Value, settings: Settings) -> str:
    if verdict in ("missing", "diverged"):
        return unfinished(value) or "no value"
    limit = (
        f"{settings.threshold:.0%}" if settings.threshold_kind == "relative" else f"{settings.threshold * 100:g} points"
    )
    relative = f" ({change / claimed:+.1%})" if claimed else ""
    phrase = "equal to the claim" if abs(change) <= TINY else f"{change * 100:+.2f} points{relative}"
    tail = {"below": f": lower by more than {limit}", "within": f": within {limit}", "better": ""}[verdict]
    return "; ".join(part for part in (phrase + tail, unfinished(value)) if part)


def unfinished(value: Value) -> str:
    """What of the expected runs has no value, in words."""
    parts = [f"{count} {word}" for word in ("diverged", "failed", "missing") if (count := getattr(value, word))]
    return f"{', '.join(parts)} of {value.n_expected} runs" if parts else ""
