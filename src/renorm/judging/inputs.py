"""A study's folder and its claims, read once: what all tables of the judgement are made from."""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from renorm.core.errors import RenormError
from renorm.core.metrics import Metrics
from renorm.core.table_specs import CELL, GROUP, TABLES
from renorm.judging.comparisons import Comparison
from renorm.judging.settings import Settings, from_study
from renorm.study import claims as claims_tables
from renorm.study import description
from renorm.study.claims import Claims, load_claims
from renorm.study.labels import Labels

MACHINE = ("device", "host_cpus", "threads")  # columns of provenance.csv that seconds depend on
STATUS = ("completed", "diverged", "failed", "missing")
COLLECT = description.FIRST


@dataclass(frozen=True)
class Inputs:
    """One study: its grid (`cells`), its measurements (`runs`), its curves, and the claims it is compared with."""

    study: str
    label: str
    settings: Settings
    cells: list[dict[str, Any]]
    runs: pd.DataFrame
    histories: pd.DataFrame
    originals: tuple[Claims, ...] = ()
    reproductions: tuple[Claims, ...] = ()
    grid: dict[tuple, Counter] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    provenance: list[dict[str, str]] = field(default_factory=list)  # a row per run, as text; empty without the table
    costs: list[dict[str, str]] = field(default_factory=list)  # a row per experiment, as text; empty without the table
    own_cells: bool = False  # published values of other cells than the study's are left out
    claims_folders: tuple[str, ...] = ()
    published_as: dict[str, dict[str, str]] = field(default_factory=dict)  # experiment → axis → what was printed

    def narrowed(self) -> "Inputs":
        """Where `own_cells` asks for it, without other cells' values and without sources that have no more left."""
        if not self.own_cells:
            return self
        originals, reproductions = (self._of_own_cells(part) for part in (self.originals, self.reproductions))
        return replace(self, originals=originals, reproductions=reproductions)

    @cached_property
    def set_ups(self) -> dict[tuple[tuple, int], tuple[str, ...]]:
        """(cell without its seed, seed) → where it was timed: machine, and recording, which had a load of its own."""
        return {
            ((*(row[axis] for axis in GROUP[:-1]), int(row["epochs"])), int(row["seed"])): (
                *(row.get(column, "") for column in MACHINE), row.get("adopted_from", "").partition(":")[0],
            )
            for row in self.provenance
        }  # fmt: skip

    @property
    def answering(self) -> str:
        """The source whose values answer the study's questions: its own runs; without cells, the first reproduction."""
        if self.cells or not self.reproductions:
            return self.study
        return self.reproductions[0].source.name

    @property
    def repeated(self) -> frozenset[str]:
        """Sources whose numbers are claims to this study although they are a reproduction's."""
        return frozenset(c.source.name for c in self.originals if c.source.kind == "reproduction")

    def _of_own_cells(self, sources: tuple[Claims, ...]) -> tuple[Claims, ...]:
        kept = []
        for claims in sources:
            groups = claims.frame[[*GROUP]].itertuples(index=False, name=None)
            own = [group in self.grid for group in groups]
            if any(own):
                kept.append(replace(claims, frame=claims.frame[own].reset_index(drop=True)))
        return tuple(kept)

    @property
    def published(self) -> tuple[Claims, ...]:
        """Each source once: a report may reproduce one paper and be checked itself."""
        return tuple({c.source.name: c for c in (*self.originals, *self.reproductions)}.values())

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """What is compared: the first that this study has both sides of leads, the others are in the study's order."""
        given = self.settings.comparisons
        leading = next((one for one in given if self._both_sides(one)), None)
        return tuple(sorted(given, key=lambda one: one is not leading))

    def _both_sides(self, comparison: Comparison) -> bool:
        return any(
            comparison.value(group) == comparison.method and comparison.counterpart(group) in self.grid
            for group in self.grid
        )

    def baseline(self, comparison: Comparison) -> str:
        """What the study calls the baseline of `comparison`."""
        return self.labels.value(comparison.axis, comparison.baseline)

    def method(self, comparison: Comparison) -> str:
        """What the study calls the method of `comparison`."""
        return self.labels.value(comparison.axis, comparison.method)

    def source_label(self, source: str) -> str:
        return next((c.source.label for c in self.published if c.source.name == source), self.label)


def load(folder: Path, with_claims: bool = True) -> Inputs:
    """The study in `folder`; without its claims where a question is about the runs alone."""
    folder = Path(folder)
    study = description.read(folder)
    settings = from_study(study)
    paths: tuple[list[Path], list[Path]] = study.claims_folders(folder) if with_claims else ([], [])
    originals, reproductions = _claims(study.study, folder / description.FILE, paths, settings.metrics)
    cells = read_cells(folder / "cells.csv")
    inputs = Inputs(
        study.study, "this study", settings, cells, _runs(folder / "runs.csv", study.study, settings.metrics),
        _histories(folder / "histories.csv", f"test_{settings.metric}"), originals, reproductions,
        _grid(cells), study.labels, _provenance(folder / "provenance.csv"), _costs(folder / "costs.csv"),
        study.claims is not None and study.claims.own_cells, tuple(str(path) for part in paths for path in part),
        {block.name: block.published_as for block in study.experiments if block.published_as},
    )  # fmt: skip
    _refuse_strangers(inputs, folder)
    return inputs


def _claims(
    study: str, where: Path, paths: tuple[list[Path], list[Path]], metrics: Metrics
) -> tuple[tuple[Claims, ...], tuple[Claims, ...]]:
    originals, reproductions = (tuple(load_claims(path, metrics) for path in part) for part in paths)
    for listed in (originals, reproductions):
        names = [study, *(c.source.name for c in listed)]
        for name in {name for name in names if names.count(name) > 1}:
            raise RenormError(f"{where}: the source '{name}' is a duplicate: study and claims folders need own names")
    return originals, reproductions


def read_cells(path: Path) -> list[dict[str, Any]]:
    """The expected cells with their status."""
    rows: list[dict[str, Any]] = [*TABLES["cells"].read(path, (*CELL, "status"))]
    for line, row in enumerate(rows, 2):
        if row["status"] not in STATUS:
            raise RenormError(f"{path}:{line}: status: unknown '{row['status']}'; {COLLECT}")
        for column in ("epochs", "seed"):
            row[column] = _whole(path, line, column, row[column])
    return rows


def _whole(path: Path, line: int, column: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RenormError(f"{path}:{line}: {column}: '{text}' is not a whole number; {COLLECT}") from None


def _runs(path: Path, study: str, metrics: Metrics) -> pd.DataFrame:
    rows = claims_tables.read_rows(path, study, metrics)
    claims_tables.refuse_twice(rows)
    return claims_tables.to_frame(rows)


def _histories(path: Path, measured: str) -> pd.DataFrame:
    """The training curves with the test values of the study's metric, the column `measured`, as `test_value`.

    A study without histories.csv has none, and neither has one whose runs do not record the metric epoch by epoch.
    """
    columns = (*CELL, "epoch", "train_seconds")
    if not path.exists():
        return pd.DataFrame(columns=[*columns, "test_value"])
    rows = TABLES["histories"].read(path, columns)
    frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else [*columns, measured])
    frame["test_value"] = frame.get(measured, "")
    for column in ("epochs", "seed", "epoch", "test_value", "train_seconds"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce")
    return frame[[*columns, "test_value"]]


def _provenance(path: Path) -> list[dict[str, str]]:
    return TABLES["provenance"].read(path, CELL) if path.exists() else []


def _costs(path: Path) -> list[dict[str, str]]:
    return TABLES["costs"].read(path) if path.exists() else []


def _grid(cells: list[dict[str, Any]]) -> dict[tuple, Counter]:
    """Cell without seed → how many of its seeds have which status."""
    grid: dict[tuple, Counter] = {}
    for row in cells:
        grid.setdefault(tuple(row[key] for key in GROUP), Counter())[row["status"]] += 1
    return grid


def _refuse_strangers(inputs: Inputs, folder: Path) -> None:
    known = {tuple(row[key] for key in CELL) for row in inputs.cells}
    for row in inputs.runs[[*GROUP, "attempt", "line"]].itertuples(index=False):
        if tuple(row[:6]) not in known:
            cell = "/".join(map(str, row[:6]))
            raise RenormError(
                f"{folder / 'runs.csv'}:{row.line}: {cell} is not in cells.csv; run `renorm collect` again"
            )
