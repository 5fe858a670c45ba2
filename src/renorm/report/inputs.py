"""Read a study's folder: the CSVs of docs/tables.md, their columns checked, nothing computed."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from renorm.core.errors import RenormError
from renorm.report.links import run_links
from renorm.study.cell import AXES
from renorm.study.claims import load_source

# The columns that the pages use; more may stand in a file. The number behind a name is read as a float, empty as NaN.
REQUIRED = {
    "cells": (*AXES, "status"),
    "runs": ("source", *AXES[:5], "attempt", "metric", "split", "selection", "value", "unit", "status"),
    "histories": (*AXES, "epoch", "test_top1"),
    "provenance": (*AXES, "device", "torch", "commit"),
    "threshold_rule": (
        *("claim_source", "table", "page", *AXES[:5], "metric", "split", "selection", "claimed", "source"),
        *("reproduced_split", "n", "n_expected", "value", "sd", "minimum", "maximum", "change", "relative_change"),
        *("verdict", "mark", "reason"),
    ),
    "comparison": (
        *("source", "dataset", "arch", "recipe", "epochs", "metric", "split", "baseline", "method", "baseline_value"),
        *("method_value", "improvement", "n_baseline", "n_method", "n_expected", "holds"),
    ),
    "repeat_consistency": (
        *(
            "claim_source",
            "source",
            *AXES[:5],
            "metric",
            "split",
            "selection",
            "claimed",
            "n",
            "reported_as",
            "deviation",
        ),
        "consistent",
    ),
    "runtime": (
        *("source", "dataset", "arch", "recipe", "epochs", "norm", "n", "train_seconds", "test_seconds"),
        *("baseline_train_seconds", "ratio"),
    ),
    "summary": ("section", "source", "dataset", "name", "value", "of", "text"),
}
# Written by steps that a study may leave out; a page without them is complete.
DRAWN = ("layer_views", "layer_view_images", "layer_view_histograms")
OPTIONAL = (
    "steps",
    *DRAWN,
    "study_means",
    "equivalence",
    "method_vs_baseline",
    "normalisers",
    "convergence",
    "statements",
    "audit",
)
COLLECTED = ("cells", "runs", "histories", "steps", "provenance", "study", *DRAWN)
MAKER = {name: "renorm collect" for name in COLLECTED}

NUMBERS = frozenset(
    """
    epochs seed epoch step attempt value claimed n n_expected n_images sd pooled_sd pooled_df minimum maximum change
    relative_change error_change baseline_value method_value improvement n_baseline n_method n_pairs deviation of
    train_seconds test_seconds baseline_train_seconds ratio ratio_low ratio_high lr train_loss train_top1 train_top5
    test_loss test_top1 test_top5 epochs_completed parameters mean_low mean_high prediction_low prediction_high margin
    equivalence_low equivalence_high equivalence_p seeds_needed difference low high statistic df p p_holm level target
    delta_vs_baseline delta_vs_method epoch_seconds n_reached epochs_needed seconds_needed baseline_seconds_needed
    counted before after layer images features channel row column share
    """.split()  # noqa: SIM905 - a list of eighty strings is nothing to read
)


@dataclass(frozen=True)
class Inputs:
    """Everything that a study's folder says."""

    folder: Path
    study: dict
    frames: dict[str, pd.DataFrame] = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.study["study"])

    @property
    def baseline(self) -> str:
        return str((self.study.get("compare") or {}).get("baseline", ""))

    @property
    def method(self) -> str:
        return str((self.study.get("compare") or {}).get("method", ""))

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.frames[name]

    @cached_property
    def published(self) -> dict[str, dict]:
        """source → its source.yaml, in reading order; of one that cannot be read nothing is known but its name."""
        claims = self.study.get("claims") or {}
        originals = claims.get("original") or []
        paths = [originals] if isinstance(originals, str) else list(originals)
        folders = [Path(path) for path in [*paths, *(claims.get("reproductions") or [])]]
        return {folder.name: _source(folder / "source.yaml") for folder in folders}

    @cached_property
    def _links(self) -> dict[tuple, list[tuple[str, str]]]:
        return run_links(self.folder, self["cells"])

    def links(self, row: dict) -> list[tuple[str, str]]:
        """The records behind a row about this study's own runs; none behind anybody else's."""
        if row.get("source", self.name) != self.name:
            return []
        return self._links.get(tuple(row[key] for key in AXES[:5]), [])

    def has(self, name: str) -> bool:
        return name in self.frames and not self.frames[name].empty


def _source(path: Path) -> dict:
    try:
        return vars(load_source(path))
    except RenormError:
        return {}


def load(folder: Path) -> Inputs:
    """All tables of `folder`; one clear line when one is absent or broken."""
    folder = Path(folder)
    study = _study(folder / "study.json")
    frames = {name: _required(folder, name, columns) for name, columns in REQUIRED.items()}
    for name in OPTIONAL:
        if (folder / f"{name}.csv").exists():
            frames[name] = read_csv(folder / f"{name}.csv", MAKER.get(name, "renorm judge"))
    return Inputs(folder, study, frames)


def read_csv(path: Path, maker: str) -> pd.DataFrame:
    """Text stays text (a norm called `none` is a name, not an absence); number columns are floats, empty is NaN."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise RenormError(f"{path}: not there; run `{maker}` first") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0].strip()
        raise RenormError(f"{path}: not a readable CSV ({reason}); run `{maker}` again") from None
    for column in frame.columns.intersection(sorted(NUMBERS)):
        frame[column] = _numbers(frame[column], path, maker)
    return frame


def _numbers(column: pd.Series, path: Path, maker: str) -> pd.Series:
    numbers = pd.to_numeric(column.where(column.str.strip() != ""), errors="coerce")
    bad = numbers.isna() & (column.str.strip() != "") & ~column.str.strip().str.lower().isin(["nan", "inf", "-inf"])
    if bad.any():
        row = int(bad.to_numpy().argmax())
        where = f"row {row + 2}, column {column.name}"
        raise RenormError(f"{path}: {where}: {column.iloc[row]!r} is not a number; run `{maker}` again")
    return numbers.astype(float)


def _required(folder: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    path, maker = folder / f"{name}.csv", MAKER.get(name, "renorm judge")
    frame = read_csv(path, maker)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise RenormError(f"{path}: column {', '.join(missing)} is missing; run `{maker}` again")
    return frame


def _study(path: Path) -> dict:
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RenormError(f"{path}: not there; run `renorm collect` first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RenormError(f"{path}: not readable JSON ({error}); run `renorm collect` again") from None
    if not isinstance(study, dict) or "study" not in study:
        raise RenormError(f"{path}: key `study` is missing; run `renorm collect` again")
    return study
