"""`renorm claims check`: every mistake of a claims folder at once, and what looks like one."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import METRICS, Metrics
from renorm.core.table_specs import GROUP
from renorm.core.tables import read_cells
from renorm.study import claims, grid
from renorm.study.config import Study

# A table has a usual number of decimals when this share of its values has it, and there are this many at least.
USUAL, LEAST = 0.8, 5


@dataclass(frozen=True)
class Finding:
    """A line to print; `mistake`: it is one for certain or very likely, and not only worth a look."""

    line: str
    mistake: bool = True


def check(folder: Path, study: Study | None, validate: Callable[[str, dict, str], None]) -> Iterator[Finding]:
    """Everything that is wrong with a claims folder.

    Args:
        folder: The folder.
        study: Whose grid the rows should name; None: no grid.
        validate: Check of a statement, its parameters, where it is → RenormError for what cannot be.
    """
    if not folder.is_dir():
        yield Finding(f"{folder}: no such claims folder: create it with a source.yaml and one CSV a table")
        return
    yield from _caught(lambda: claims.check_sums(folder))
    source: list[claims.Source] = []
    yield from _caught(lambda: source.append(claims.load_source(folder / "source.yaml")))
    name = source[0].name if source else folder.resolve().name
    if name != folder.resolve().name:
        yield Finding(f"{folder}/source.yaml: name: '{name}' is not the folder's name: make them equal")
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.csv")):
        yield from _rows(path, name, rows, study.registry if study else METRICS)
    yield from _duplicates(rows)
    yield from _decimals(rows)
    if study is not None:
        yield from _unmatched(rows, study)
    yield from _statements(folder, name, validate)


def _caught(action: Callable[[], object]) -> Iterator[Finding]:
    try:
        action()
    except RenormError as error:
        yield from map(Finding, str(error).splitlines())


def _rows(path: Path, source: str, found: list[dict[str, Any]], metrics: Metrics) -> Iterator[Finding]:
    """The mistakes of a table's rows; the rows without one are added to `found`, with `printed`, the value's text."""
    header: list[str] = []
    lines: list[tuple[int, list[str]]] = []

    def read() -> None:
        header.extend(claims.checked_header(path))
        lines.extend(read_cells(path)[1])

    yield from _caught(read)
    for line, cells in lines:
        try:
            row = claims.read_row(path, line, header, cells, source, metrics)
        except RenormError as error:
            yield Finding(str(error))
            continue
        written = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        found.append(row | {"printed": written["value"], "printed_unit": written["unit"]})


def _duplicates(rows: list[dict[str, Any]]) -> Iterator[Finding]:
    seen: dict[tuple, dict] = {}
    for row in rows:
        first = seen.setdefault(tuple(row[column] for column in claims.IDENTITY), row)
        if first is not row:
            yield from _caught(lambda first=first, row=row: claims.refuse_twice([first, row]))  # type: ignore[misc]


def _decimals(rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """Values with fewer or more decimals than nearly all others of their table."""
    columns: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["printed"]:
            columns.setdefault((row["file"], row["table"], row["metric"], row["printed_unit"]), []).append(row)
    for group in columns.values():
        counts = Counter(_places(row["printed"]) for row in group)
        usual, times = counts.most_common(1)[0]
        if len(group) < LEAST or times < USUAL * len(group):
            continue
        others = [row for row in group if _places(row["printed"]) != usual]
        if others:
            places = ", ".join(f"{row['line']} ({row['printed']})" for row in others[:5])
            yield Finding(
                f"{others[0]['file']}: {others[0]['metric']}: {len(others)} of {len(group)} values do not have {usual} "
                f"decimals: compare them with the print: lines {places}{', …' if len(others) > 5 else ''}", False,
            )  # fmt: skip


def _places(text: str) -> int:
    return len(text.lower().partition("e")[0].partition(".")[2])


def _unmatched(rows: list[dict[str, Any]], study: Study) -> Iterator[Finding]:
    """Names that the grid does not have, each once; then cells of known names that it does not have."""
    cells = planned(study)
    known = {axis: {cell[place] for cell in cells} for place, axis in enumerate(GROUP)}
    strange: dict[tuple[str, Any], list[dict]] = {}
    outside = []
    for row in rows:
        names = [(axis, row[axis]) for axis in GROUP if row[axis] not in known[axis]]
        for name in names:
            strange.setdefault(name, []).append(row)
        if not names and tuple(row[axis] for axis in GROUP) not in cells:
            outside.append(row)
    for (axis, value), found in strange.items():
        hint = suggest(value, map(str, known[axis])) if axis != "epochs" else ""
        where = f"{found[0]['file']}:{found[0]['line']}: {axis}: '{value}' is not in the study's grid"
        count = f" ({len(found)} rows)" if len(found) > 1 else ""
        typo = hint.startswith("did you mean")
        yield Finding(f"{where}{count}: {hint if typo else 'it is compared with no run'}", typo)
    if outside:
        first = outside[0]
        setting = "/".join(str(first[axis]) for axis in GROUP)
        count = f" ({len(outside)} such rows)" if len(outside) > 1 else ""
        line = (
            f"{first['file']}:{first['line']}: {setting} is not in the study's grid{count}: it is compared with no run"
        )
        yield Finding(line, False)


def planned(study: Study) -> set[tuple]:
    """The cells of all experiments without their seeds, as `GROUP`."""
    return {
        tuple(getattr(cell, axis) for axis in GROUP) for cell in grid.cells(study.model_copy(update={"only": None}))
    }


def _statements(folder: Path, source: str, validate: Callable[[str, dict, str], None]) -> Iterator[Finding]:
    path = folder / "statements.yaml"
    loaded: list[claims.Statement] = []
    yield from _caught(lambda: loaded.extend(claims.load_statements(path, source)))
    for one in loaded:
        yield from _caught(lambda one=one: validate(one.check, one.parameters, f"{path}: {one.id}"))  # type: ignore[misc]
