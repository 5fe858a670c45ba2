"""What each source says about each cell: attempts or averages become one typed value.

The identity of a value holds dataset, split, selection and epochs completed. Values that differ in any of them are
never averaged: a table that mixes training with test accuracy has been published before.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from scipy import stats

from renorm.core.errors import RenormError
from renorm.core.metrics import SECONDS, Metric, Metrics
from renorm.core.table_specs import GROUP
from renorm.judging.inputs import Inputs
from renorm.study.claims import CI_LEVEL

TYPED = ("split", "selection", "unit", "epochs_completed")


@dataclass(frozen=True)
class Value:
    """A source's value of one metric of one cell (seed aside)."""

    source: str
    dataset: str
    arch: str
    norm: str
    recipe: str
    epochs: int
    metric: str
    split: str
    selection: str
    measure: Metric = field(repr=False, compare=False)
    mean: float | None
    n: int | None
    n_expected: int | None
    reported_as: str  # "attempts", or "average" when only the average was published
    attempts: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    n_images: int | None = None
    diverged: int = 0
    failed: int = 0
    missing: int = 0
    seeded: bool = False  # the attempts' numbers are seeds
    printed_sd: float | None = None  # of an average that was published with its spread
    places: tuple[tuple | None, ...] = ()  # of seconds: the set-up on which each attempt was timed, where that is known

    @property
    def group(self) -> tuple:
        return tuple(getattr(self, key) for key in GROUP)

    @property
    def known(self) -> float:
        """The mean of a value that has one; ValueError for one that has none."""
        if self.mean is None:
            raise ValueError(f"{self.source}: {self.group}: no value of {self.metric}")
        return self.mean

    @property
    def sd(self) -> float | None:
        """Standard deviation of the attempts (n - 1), or the one printed with an average; none of one run."""
        if len(self.attempts) < 2:
            return self.printed_sd
        mean = sum(self.attempts) / len(self.attempts)
        return math.sqrt(sum((x - mean) ** 2 for x in self.attempts) / (len(self.attempts) - 1))

    @property
    def runs(self) -> dict[int, float] | tuple[float, ...]:
        """The values by seed where the attempts' numbers are seeds, else the values alone."""
        return dict(zip(self.seeds, self.attempts, strict=True)) if self.seeded else self.attempts

    @property
    def all_diverged(self) -> bool:
        """Every run was made and none has a value: that is an answer, and a missing value is none."""
        return self.diverged > 0 and self.diverged == self.n_expected

    @property
    def share_diverged(self) -> float:
        """Of the runs that ended, the share that diverged."""
        ended = self.diverged + (self.n or 0)
        return self.diverged / ended if ended else 0.0

    @property
    def minimum(self) -> float | None:
        return min(self.attempts, default=None)

    @property
    def maximum(self) -> float | None:
        return max(self.attempts, default=None)


def ratio_of(value: Value, baseline: Value) -> tuple[float | None, tuple[list[float], list[float]]]:
    """The ratio of mean seconds, and the runs behind it: those of set-ups that timed both sides, where these are known.

    None where no set-up did, or one side has no value. Of printed averages nobody knows the runs.
    """
    runs = [*value.attempts], [*baseline.attempts]
    if not all(runs):
        return (value.mean / baseline.mean if baseline.mean and value.mean is not None else None), runs
    if value.places and baseline.places:
        common = set(value.places) & set(baseline.places)
        first, second = (
            [seconds for seconds, place in zip(side.attempts, side.places, strict=True) if place in common]
            for side in (value, baseline)
        )
        runs = first, second
    if not all(runs) or not sum(runs[1]):
        return None, runs
    return sum(runs[0]) / len(runs[0]) / (sum(runs[1]) / len(runs[1])), runs


def ahead(a: Value, b: Value) -> int | None:
    """1 where a is better than b, -1 where it is worse, 0 where they are equal; None where a value is missing.

    A diverged run has the worst value there is. A side whose runs all diverged is behind any other, and none is ahead
    by the mean of its finished runs if a larger share of its runs diverged than of the other's (0). What a diverged run
    took, or how large its network is, is not known.
    """
    quality = a.measure.is_quality
    if a.mean is not None and b.mean is not None:
        order = a.measure.order(a.mean, b.mean)
        lost = a.share_diverged - b.share_diverged
        return 0 if quality and order * lost > 0 else order
    if quality and a.all_diverged and b.mean is not None:
        return -1
    if quality and b.all_diverged and a.mean is not None:
        return 1
    return None


class Values:
    """All values of all sources, looked up by source, cell, metric and split."""

    def __init__(self, values: Iterable[Value]):
        self._by_key: dict[tuple, list[Value]] = {}
        for value in values:
            self._by_key.setdefault((value.source, value.group, value.metric), []).append(value)

    def __iter__(self):
        return (value for found in self._by_key.values() for value in found)

    def find(self, source: str, group: tuple, metric: str, split: str, selection: str = "final") -> Value | None:
        """The value that may be compared with one of `split`: its own split first, else one that names none.

        A value that is known to be of another split never answers. What names no split is taken for a test value, as
        its readers take it, and so no training value answers it.
        """
        found = self._by_key.get((source, group, metric), [])
        allowed = {split, "unstated", "test"} if split == "unstated" else {split, "unstated"}
        answers = [v for v in found if v.split in allowed]
        rank = {selection: 0, "unstated": 1}
        return min(answers, key=lambda v: (v.split != split, rank.get(v.selection, 2)), default=None)

    def of(self, source: str) -> list[Value]:
        return [value for value in self if value.source == source]


def gather(inputs: Inputs) -> Values:
    """The values of every published source and of the study itself."""
    published = [
        value
        for claims in inputs.published
        for value in published_values(claims.frame, inputs.settings.metrics, claims.source.attempts == "seeds")
    ]
    return Values([*published, *study_values(inputs)])


def published_values(frame: pd.DataFrame, metrics: Metrics, seeded: bool = False) -> list[Value]:
    """One value per cell, metric, split and selection of a claims table; attempts win over a printed average."""
    keys = ["source", *GROUP, "metric", "split", "selection"]
    groups = frame.groupby(keys, sort=False)
    return [_published(dict(zip(keys, key, strict=True)), rows, metrics, seeded) for key, rows in groups]


def _published(key: dict, rows: pd.DataFrame, metrics: Metrics, seeded: bool) -> Value:
    attempts = rows[rows.attempt.notna()]
    key["measure"] = metrics[key["metric"]]
    key["epochs"] = int(key["epochs"])
    if attempts.empty:
        row = rows.iloc[0]
        n = None if pd.isna(row.n) else int(row.n)
        if row.status == "diverged":
            return Value(**key, mean=None, n=0, n_expected=n or 1, reported_as="average", diverged=n or 1)
        return Value(
            **key, mean=float(row.value), n=n, n_expected=n, reported_as="average", printed_sd=printed_sd(row),
            n_images=_only(rows.n_images),
        )  # fmt: skip
    done = attempts[attempts.status != "diverged"]
    check_one_kind(done)
    values = tuple(done.value.astype(float))
    return Value(
        **key, mean=_mean(values), n=len(values), n_expected=len(attempts), reported_as="attempts", attempts=values,
        seeds=tuple(done.attempt.astype(int)), n_images=_only(done.n_images), diverged=len(attempts) - len(done),
        seeded=seeded,
    )  # fmt: skip


def printed_sd(row: Any) -> float | None:
    """The SD over runs of a row of claims: as printed, or from the half-width of its interval, h sqrt(n) / t(n - 1)."""
    if pd.notna(row.sd):
        return float(row.sd)
    if pd.isna(row.ci_low):
        return None
    half, n = (row.ci_high - row.ci_low) / 2, int(row.n)
    return float(half) * math.sqrt(n) / float(stats.t.ppf((1 + CI_LEVEL) / 2, n - 1))


def study_values(inputs: Inputs) -> list[Value]:
    """Every cell of the grid: the study's metric and its own others, seconds, and all that somebody published of it.

    Missing ones too. What nobody published and the study does not ask for, such as top-5 accuracy, is left out.
    """
    keys = [*GROUP, "metric", "split", "selection"]
    done = inputs.runs[(inputs.runs.status == "completed") & inputs.runs.value.notna()]
    found = {(tuple(key[:5]), *key[5:]): rows for key, rows in done.groupby(keys, sort=False)}
    published = _published_of(inputs)
    return [
        _own(inputs, group, metric, split, found)
        for group in sorted(inputs.grid)
        for metric, split in _wanted(inputs, published.get(group, {}))
    ]


def _published_of(inputs: Inputs) -> dict[tuple, dict[tuple[str, str], None]]:
    """Cell without seed → (metric, split) that any source has a value of."""
    found: dict[tuple, dict[tuple[str, str], None]] = {}
    for claims in inputs.published:
        columns = claims.frame[[*GROUP, "metric", "split"]].drop_duplicates()
        for *group, metric, split in columns.itertuples(index=False, name=None):
            found.setdefault(tuple(group), {})[metric, split] = None
    return found


def _wanted(inputs: Inputs, published: Iterable[tuple[str, str]]) -> list[tuple[Metric, str]]:
    """(metric, split) of a cell; a quality is of test and training, time of both, and size of neither."""
    metrics = inputs.settings.metrics
    wanted: dict[tuple[Metric, str], None] = {}
    for name in (inputs.settings.metric, *inputs.settings.added, *(metric for metric, _ in published), SECONDS):
        metric = metrics[name]
        splits = ("train", "test") if metric.is_time else (metric.split,) if metric.is_size else ("test", "train")
        wanted |= dict.fromkeys((metric, split) for split in splits)
    known = ((metrics[name], split) for name, split in published if split == "validation")
    return list(wanted | dict.fromkeys(known))


def _own(inputs: Inputs, group: tuple, metric: Metric, split: str, found: dict) -> Value:
    count = inputs.grid[group]
    selection = inputs.settings.selection if metric.is_quality else "final"
    frame = dict(zip(GROUP, group, strict=True)) | {
        "source": inputs.study, "metric": metric.name, "split": split, "selection": selection, "measure": metric,
        "reported_as": "attempts", "n_expected": sum(count.values()), "diverged": count["diverged"],
        "failed": count["failed"], "missing": count["missing"], "seeded": True,
    }  # fmt: skip
    runs, images = _measured(group, metric, split, selection, found)
    if metric.is_size:
        runs = _counted(inputs, group)
    if not runs:
        return Value(**frame, mean=None, n=0)
    values = tuple(runs.values())
    places = tuple(inputs.set_ups.get((group, seed)) for seed in runs) if metric.is_time else ()
    return Value(
        **frame, mean=_mean(values), n=len(values), attempts=values, seeds=tuple(runs), n_images=images, places=places
    )


def _measured(
    group: tuple, metric: Metric, split: str, selection: str, found: dict
) -> tuple[dict[int, float], int | None]:
    """Seed → value, and of how many images; of a metric that is what another leaves to 1, also from that one."""
    rows = found.get((group, metric.name, split, selection))
    rest = found.get((group, metric.complement, split, selection)) if rows is None else None
    known = rows if rows is not None else rest
    if known is None:
        return {}, None
    known = known.sort_values("attempt")
    check_one_kind(known)
    values = known.value.astype(float)
    runs = dict(zip(known.attempt.astype(int), values if rest is None else 1 - values, strict=True))
    return runs, _only(known.n_images)


def _counted(inputs: Inputs, group: tuple) -> dict[int, float]:
    """Seed → number of parameters of its network, from cells.csv."""
    cells = [cell for cell in inputs.cells if tuple(cell[key] for key in GROUP) == group and cell.get("parameters")]
    return {cell["seed"]: float(cell["parameters"]) for cell in sorted(cells, key=lambda cell: cell["seed"])}


def check_one_kind(rows: pd.DataFrame) -> None:
    """Refuse to average what differs in split, selection, unit or epochs completed."""
    for column in TYPED:
        if column in rows and rows[column].nunique(dropna=False) > 1:
            first = rows.iloc[0]
            differs = rows[rows[column].astype(str) != str(first[column])].iloc[0]
            raise RenormError(
                f"{differs.file}:{differs.line}: {column} '{differs[column]}' cannot be averaged with "
                f"'{first[column]}' of line {first.line}: give them cells of their own or remove one"
            )


def _mean(values: tuple[float, ...]) -> float | None:
    return sum(values) / len(values) if values else None


def _only(column: pd.Series) -> int | None:
    values = column.dropna().unique()
    return int(values[0]) if len(values) == 1 else None
