"""The published colour rule: every claim and every source with a value for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from renorm.core.metrics import TINY, Metric
from renorm.core.table_specs import GROUP
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values, printed_sd
from renorm.judging.settings import Settings
from renorm.judging.statistics import mean_sd
from renorm.study.claims import CLAIM, Claims

NOT_JUDGED = "not judged"
# What every comparison of seconds must say.
OTHER_MACHINE = "seconds of two machines say nothing about the method: compare ratios within one source"
LOOKS = {"better": ("green", "▲"), "within": ("black", "="), "below": ("red", "▼"), "diverged": ("red", "✗"),
         "missing": ("grey", "–"), NOT_JUDGED: ("grey", "")}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """One published value; `sd` of its `n` runs where that is known, None for a run that diverged.

    `resolution`: one unit of the last place that it was printed with.
    """

    source: str
    table: str
    page: str
    group: tuple
    metric: str
    split: str
    selection: str
    measure: Metric
    value: float | None
    n: int | None
    sd: float | None = None
    resolution: float = 0.0

    @property
    def known(self) -> float:
        """The value of a claim that has one; ValueError for a run that diverged."""
        if self.value is None:
            raise ValueError(f"{self.source}: {self.group}: the claimed run diverged")
        return self.value


@dataclass(frozen=True)
class Pair:
    """A claim and what one source says about it."""

    claim: Claim
    value: Value


def claims_of(inputs: Inputs, sources: Iterable[Claims]) -> list[Claim]:
    """Every value that `sources` claim, in the order of the tables.

    Several attempts at one cell are one claim with a spread; beside a printed average they give its spread alone.
    """
    found = []
    for claims in sources:
        groups = claims.frame.groupby([*CLAIM], sort=False)
        found += [_claim(key, rows, inputs.settings.metrics[key[5]]) for key, rows in groups]
    return sorted(found, key=lambda c: (c.source, c.table, c.group, c.metric, c.split, c.selection))


def _claim(key: tuple, rows: pd.DataFrame, metric: Metric) -> Claim:
    first = rows.iloc[0]
    group, (name, split, selection) = (*key[:4], int(key[4])), key[5:]
    rows = rows[rows.status != "diverged"]
    averages, attempts = rows[rows.attempt.isna()], rows[rows.attempt.notna()]
    if len(rows):
        first = (averages if len(averages) else attempts).iloc[0]
    head = (first.source, first.table, first.page, group, name, split, selection, metric)
    if rows.empty:
        return Claim(*head, None, None)
    runs = attempts.value.astype(float).tolist()
    spread = mean_sd(runs)[1] if len(runs) > 1 else None
    resolution = float(first.resolution)
    if len(averages):
        n = None if pd.isna(first.n) else int(first.n)
        return Claim(*head, float(first.value), n or len(runs) or None, printed_sd(first) or spread, resolution)
    return Claim(*head, mean_sd(runs)[0], len(runs), spread, resolution)


def pairs(inputs: Inputs, values: Values) -> list[Pair]:
    """Claim x source for every source with a value for the claim; the study answers for what is in its grid.

    What a reproduction printed is a claim to the study alone: no other reproduction set out to repeat it.
    """
    reproductions = [c.source.name for c in inputs.reproductions]
    found = []
    for claim in claims_of(inputs, inputs.originals):
        for source in (inputs.study,) if claim.source in inputs.repeated else (*reproductions, inputs.study):
            if source == claim.source:
                continue
            value = answer(inputs, values, claim, source, claim.group)
            if value is not None:
                found.append(Pair(claim, value))
    return found


def answer(inputs: Inputs, values: Values, claim: Claim, source: str, group: tuple) -> Value | None:
    """The value of `source` for the cell `group` that may be compared with `claim`; None where it has none."""
    split = claim.measure.split if source == inputs.study and claim.split == "unstated" else claim.split
    return values.find(source, group, claim.metric, split, inputs.settings.selection)


def judge_value(claimed: float, value: float | None, settings: Settings, metric: Metric) -> str:
    """`better` than the claim, `below` when worse by more than the threshold, `within` otherwise.

    The rule of Obadage et al. 2024, Table 4: one-sided, relative to the claim unless configured absolute. Of a metric
    of which less is better, `below` is higher than the claim.
    """
    if value is None:
        return "missing"
    if metric.order(value, claimed) > 0:
        return "better"
    allowed = settings.threshold * (abs(claimed) if settings.threshold_kind == "relative" else 1)
    return "below" if metric.gain(claimed, value) > allowed + TINY else "within"


def rule_verdict(claim: Claim, value: Value, settings: Settings) -> str:
    """`judge_value`, and `diverged` where every run did: the worst value there is, which is not a missing one.

    `not judged`: the claim has no value.
    """
    if claim.value is None:
        return NOT_JUDGED
    return "diverged" if value.all_diverged else judge_value(claim.value, value.mean, settings, claim.measure)


def rows(pairs: list[Pair], settings: Settings, flags: dict[tuple, str] | None = None) -> list[dict[str, Any]]:
    """The table threshold_rule.csv; `flags` are the equivalence verdict's warnings, by claim and source."""
    return [_row(pair, settings, (flags or {}).get(key_of(pair), "")) for pair in pairs]


def key_of(pair: Pair) -> tuple:
    claim = pair.claim
    return (claim.source, claim.table, claim.group, claim.metric, claim.split, claim.selection, pair.value.source)


def head(pair: Pair) -> dict[str, Any]:
    """The columns that say which claim and which source a row is about."""
    value = pair.value
    return columns_of(pair.claim) | {
        "source": value.source, "reproduced_split": value.split, "n": value.n, "n_expected": value.n_expected,
        "value": value.mean,
    }  # fmt: skip


def columns_of(claim: Claim) -> dict[str, Any]:
    """The columns that say which claim a row is about."""
    return {"claim_source": claim.source, "table": claim.table, "page": claim.page, "metric": claim.metric,
            "split": claim.split, "selection": claim.selection, "claimed": claim.value,
            **dict(zip(GROUP, claim.group, strict=True))}  # fmt: skip


def _row(pair: Pair, settings: Settings, flags: str) -> dict[str, Any]:
    claim, value = pair.claim, pair.value
    verdict = rule_verdict(claim, value, settings)
    colour, mark = LOOKS[verdict]
    change = None if value.mean is None or claim.value is None else value.mean - claim.value
    return head(pair) | {
        "sd": value.sd, "minimum": value.minimum, "maximum": value.maximum, "change": change,
        "relative_change": None if change is None or not claim.value else change / abs(claim.value),
        "verdict": verdict, "colour": colour, "mark": mark,
        "reason": _reason(verdict, change, claim, value, settings), "flags": flags,
    }  # fmt: skip


def _reason(verdict: str, change: float | None, claim: Claim, value: Value, settings: Settings) -> str:
    if change is None or claim.value is None:
        return not_judged(claim) or unfinished(value) or unmeasured(value)
    limit = settings.threshold_text(claim.measure)
    relative = f" ({change / abs(claim.value):+.1%})" if claim.value else ""
    phrase = "equal to the claim" if abs(change) <= TINY else f"{claim.measure.difference_text(change)}{relative}"
    lower = "lower" if claim.measure.higher_is_better else "higher"
    tail = {"below": f": {lower} by more than {limit}", "within": f": within {limit}", "better": ""}[verdict]
    machine = OTHER_MACHINE if claim.measure.is_time else ""
    return "; ".join(part for part in (phrase + tail, machine, unfinished(value)) if part)


def not_judged(claim: Claim) -> str:
    """Why a claim has no verdict; empty where it has one."""
    return "the claimed run diverged: there is no value to compare with" if claim.value is None else ""


def unmeasured(value: Value) -> str:
    """Why a value is missing although its runs are not."""
    if value.reported_as == "attempts" and value.n_expected:
        return f"the runs of this cell record no {value.measure.label}"
    return "no value"


def unfinished(value: Value) -> str:
    """What of the expected runs has no value, in words."""
    parts = [f"{count} {word}" for word in ("diverged", "failed", "missing") if (count := getattr(value, word))]
    return f"{', '.join(parts)} of {value.n_expected} run{'s' * (value.n_expected != 1)}" if parts else ""
