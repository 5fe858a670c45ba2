"""Two judged studies side by side: the same cells under other versions, machines or settings."""

import math
from pathlib import Path
from typing import Any

from renorm.core.metrics import SECONDS
from renorm.core.table_specs import GROUP, TABLES
from renorm.judging import intervals, statistics
from renorm.judging.inputs import Inputs, load
from renorm.judging.observations import Value, study_values
from renorm.judging.runtime import geometric_mean

Row = dict[str, Any]


def cells(a: Path, b: Path) -> list[Row]:
    """Every cell of either study: values of A's metric and B - A, training times and B / A, with intervals."""
    one, other = (load(Path(folder), with_claims=False) for folder in (a, b))
    first, second = ({_key(value): value for value in study_values(inputs)} for inputs in (one, other))
    wanted = (one.settings.metric, one.settings.primary.split)
    keys = dict.fromkeys(key for key in (*first, *second) if key[5:] == wanted)
    rows = [_row(key, first, second, one, other) for key in keys]
    known = [row for row in rows if row["p"] is not None]
    for row, adjusted in zip(known, statistics.holm([row["p"] for row in known]), strict=True):
        row["p_holm"] = adjusted
    return rows


def _key(value: Value) -> tuple:
    return (*value.group, value.metric, value.split)


def _row(key: tuple, first: dict, second: dict, a: Inputs, b: Inputs) -> Row:
    row: Row = dict(zip((*GROUP, "metric", "split"), key, strict=True)) | {"p": None, "p_holm": None}
    sides: dict[str, Value | None] = {"a": first.get(key), "b": second.get(key)}
    row["in"] = "".join(side for side, value in sides.items() if value is not None)
    for side, value in sides.items():
        if value is not None:
            row |= {f"n_{side}": value.n, f"n_expected_{side}": value.n_expected}
            row |= {f"value_{side}": value.mean, f"sd_{side}": value.sd}
    level = a.settings.level
    one, other = sides["a"], sides["b"]
    if one is not None and other is not None and None not in (one.mean, other.mean):
        row |= _difference(one, other, level, _runners(a, key) == _runners(b, key))
    seconds = (*key[:5], SECONDS, "train")
    return row | _times(first.get(seconds), second.get(seconds), level)


def _runners(study: Inputs, key: tuple) -> set[str]:
    """What trained the runs of a cell: the built-in trainer, or a program; empty where that is not known."""
    group = tuple(str(part) for part in key[:5])
    found = {row.get("runner", "") for row in study.provenance if tuple(row[name] for name in GROUP) == group}
    return found - {""}


def _difference(a: Value, b: Value, level: float, same_runner: bool) -> Row:
    """Paired by seed where the seeds are common (`intervals.compare`) and one and the same program trained both.

    A seed is another order of data and other weights in another program.
    """
    sides = [side.runs if same_runner else list(side.attempts) for side in (b, a)]
    tested = intervals.compare(sides[0], sides[1], level)
    found = tested.difference
    row: Row = {"test": tested.test, "n_pairs": tested.n_pairs, "difference": b.known - a.known}
    if found is not None:
        p = None if math.isnan(found.p) else found.p
        row |= {"difference": found.value, "low": found.low, "high": found.high, "p": p}
    return row


def _times(a: Value | None, b: Value | None, level: float) -> Row:
    row: Row = {"seconds_a": a.mean if a else None, "seconds_b": b.mean if b else None}
    if a is not None and b is not None and a.mean and b.mean:
        low, high = statistics.ratio_interval(b.attempts, a.attempts, level)
        row |= {"ratio": b.mean / a.mean, "ratio_low": low, "ratio_high": high}
    return row


def counts(rows: list[Row], alpha: float) -> dict[str, float | None]:
    """Every number that the page says in words."""
    gains = [row["difference"] for row in rows if row.get("difference") is not None]
    ratios = [row["ratio"] for row in rows if row.get("ratio")]
    tested = [row["p_holm"] for row in rows if row["p_holm"] is not None]
    return {
        "both": sum(row["in"] == "ab" for row in rows), "only_a": sum(row["in"] == "a" for row in rows),
        "only_b": sum(row["in"] == "b" for row in rows), "known": len(gains), "tested": len(tested),
        "differ": sum(p < alpha for p in tested), "equal": sum(abs(gain) <= 1e-9 for gain in gains),
        "mean_difference": sum(gains) / len(gains) if gains else None,
        "largest_difference": max(map(abs, gains), default=None),
        "timed": len(ratios), "ratio": geometric_mean(ratios),
    }  # fmt: skip


def changed_verdicts(a: Path, b: Path, names: tuple[str, str]) -> list[Row]:
    """Claims that the two studies' own values are judged by differently, by the published and the rigorous rule."""
    found = []
    for table, rule in (("threshold_rule", "published"), ("equivalence", "rigorous")):
        first, second = (_verdicts(Path(f), table, name) for f, name in zip((a, b), names, strict=True))
        for key in [key for key in first if key in second and first[key] != second[key]]:
            row = dict(zip((*GROUP, "metric", "claim_source"), key[:7], strict=True))
            found.append(row | {"rule": rule, "verdict_a": first[key], "verdict_b": second[key]})
    return found


def _verdicts(folder: Path, table: str, study: str) -> dict[tuple, str]:
    """claim → verdict on the study's own value."""
    spec = TABLES[table]
    keys = (*GROUP, "metric", "claim_source", "table", "split", "selection")
    found = spec.read(folder / spec.file, (*keys, "source", "verdict"))
    rows = [row for row in found if row["source"] == study]
    return {tuple(row[key] for key in keys): row["verdict"] for row in rows}
