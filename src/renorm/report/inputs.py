"""Read a study's folder: the CSVs of docs/tables.md, their columns checked, nothing computed."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from renorm.core.errors import RenormError
from renorm.core.metrics import TOP1, Metric, Metrics
from renorm.core.table_specs import SPECS
from renorm.core.tables import TableSpec
from renorm.report.links import run_links
from renorm.study.cell import AXES
from renorm.study.claims import load_source
from renorm.study.metrics import of_document


@dataclass(frozen=True)
class Inputs:
    """Everything that a study's folder says."""

    folder: Path
    study: dict
    frames: dict[str, pd.DataFrame] = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.study["study"])

    @cached_property
    def comparisons(self) -> dict[str, dict]:
        """name → comparison of the configuration, the leading one first: that of the first answers."""
        given = {one["name"]: one for one in self.study.get("comparisons") or ()}
        named = self["answers"]["comparison"] if "answers" in self.frames else ()
        leading = next((name for name in named if name in given), "")
        return {name: given[name] for name in sorted(given, key=lambda name: name != leading)}

    @property
    def leading(self) -> dict:
        """The comparison that the page's answers are about; empty where nothing is compared."""
        return next(iter(self.comparisons.values()), {})

    @property
    def normalisers(self) -> dict:
        """The first comparison of two normalisers, for colours and the order of rows; empty where there is none."""
        return next((one for one in self.comparisons.values() if one["axis"] == "norm"), {})

    @property
    def baseline(self) -> str:
        return str(self.normalisers.get("baseline", ""))

    @property
    def method(self) -> str:
        return str(self.normalisers.get("method", ""))

    @cached_property
    def seconds(self) -> pd.DataFrame:
        """runtime.csv with one row a cell and source; the ratios are those to the baseline among the normalisers."""
        frame = self["runtime"]
        own = frame["comparison"].isin([self.normalisers.get("name", ""), ""])
        ratios = [column for column in ("ratio", "ratio_low", "ratio_high") if column in frame]
        others = frame[~own].assign(**dict.fromkeys(ratios, float("nan")))
        return pd.concat([frame[own], others]).drop_duplicates(["source", *AXES[:5]])

    def of(self, table: str, comparison: dict) -> pd.DataFrame:
        """The rows of `table` about one comparison."""
        frame = self[table]
        return frame[frame["comparison"] == comparison.get("name")]

    @cached_property
    def metrics(self) -> Metrics:
        """The built-in metrics and those of the study."""
        return of_document(self.study, str(self.folder / "study.json"))

    @property
    def primary(self) -> Metric:
        """The metric that the study's pairs are decided by."""
        return self.metrics[str((self.study.get("judge") or {}).get("metric", TOP1))]

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
    given = [spec for spec in SPECS if spec.required or (folder / spec.file).exists()]
    return Inputs(folder, study, {spec.name: read_table(folder / spec.file, spec) for spec in given})


def read_table(path: Path, spec: TableSpec) -> pd.DataFrame:
    """Text stays text (a norm called `none` is a name, not an absence); number columns are floats, empty is NaN."""
    rows = spec.read(path)
    frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else list(spec.names), dtype=str)
    for column in frame.columns.intersection(sorted(spec.numeric)):
        frame[column] = _numbers(frame[column], path, spec.writer)
    return frame


def _numbers(column: pd.Series, path: Path, writer: str) -> pd.Series:
    numbers = pd.to_numeric(column.where(column.str.strip() != ""), errors="coerce")
    bad = numbers.isna() & (column.str.strip() != "") & ~column.str.strip().str.lower().isin(["nan", "inf", "-inf"])
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise RenormError(
            f"{path}:{row + 2}: {column.name}: {column.iloc[row]!r} is not a number; run `{writer}` again"
        )
    return numbers.astype(float)


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
