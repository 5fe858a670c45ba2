"""Read a study's folder: the CSVs of docs/tables.md, their columns checked, nothing computed."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from renorm.core.errors import RenormError
from renorm.core.metrics import Metric, Metrics
from renorm.core.table_specs import GROUP, SPECS
from renorm.core.tables import TableSpec
from renorm.report.links import run_links
from renorm.study import description
from renorm.study.claims import load_source
from renorm.study.description import Description


@dataclass(frozen=True)
class Inputs:
    """Everything that a study's folder says."""

    folder: Path
    study: Description
    frames: dict[str, pd.DataFrame] = field(repr=False)

    @property
    def name(self) -> str:
        return self.study.study

    @cached_property
    def comparisons(self) -> dict[str, dict]:
        """name → comparison of the configuration, the leading one first: that of the first answers."""
        given = {one.name: one.model_dump() for one in self.study.comparisons}
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
        return pd.concat([frame[own], others]).drop_duplicates(["source", *GROUP])

    def of(self, table: str, comparison: dict) -> pd.DataFrame:
        """The rows of `table` about one comparison."""
        frame = self[table]
        return frame[frame["comparison"] == comparison.get("name")]

    @cached_property
    def metrics(self) -> Metrics:
        """The built-in metrics and those of the study."""
        return self.study.registry

    @property
    def primary(self) -> Metric:
        """The metric that the study's pairs are decided by."""
        return self.metrics[self.study.judge.metric]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.frames[name]

    @cached_property
    def published(self) -> dict[str, dict]:
        """source → its source.yaml, in reading order; of one that cannot be read the reason is its note."""
        originals, reproductions = self.study.claims_folders(self.folder)
        return {path.name: _source(path / "source.yaml") for path in (*originals, *reproductions)}

    @cached_property
    def _links(self) -> dict[tuple, list[tuple[str, str]]]:
        return run_links(self.folder, self["cells"])

    def links(self, row: dict) -> list[tuple[str, str]]:
        """The records behind a row about this study's own runs; none behind anybody else's."""
        if row.get("source", self.name) != self.name:
            return []
        return self._links.get(tuple(row[key] for key in GROUP), [])

    def has(self, name: str) -> bool:
        return name in self.frames and not self.frames[name].empty


def _source(path: Path) -> dict:
    try:
        return vars(load_source(path))
    except RenormError as error:  # the page renders all the same, and says it in the table of sources
        return {"note": str(error)}


def load(folder: Path) -> Inputs:
    """All tables of `folder`; one clear line when one is absent or broken."""
    folder = Path(folder)
    study = description.read(folder)
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
