"""Rows of claims → a claims folder, checked as the judgement will read it before anything is written."""

import re
import tempfile
from pathlib import Path

import yaml

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS, Metrics
from renorm.core.tables import to_csv
from renorm.study import claims
from renorm.study.cell import NAME
from renorm.study.importing.convert import Imported, Row
from renorm.study.importing.mapping import Head


def write(
    found: Imported, head: Head | None, folder: Path, replace: bool = False, metrics: Metrics = METRICS
) -> list[Path]:
    """Write `source.yaml`, a CSV per table, and the checksums.

    Args:
        found: The rows.
        head: Who says so; None for a folder that says it.
        folder: The claims folder; its name is that of the source.
        replace: Whether tables of the same name, and another head, may be replaced.
        metrics: Those that claims may be of.

    Returns:
        The tables.

    Raises:
        RenormError: A row is not one of a claims folder, named by its place in the imported file; a table is there.
    """
    if not NAME.fullmatch(folder.name):
        raise RenormError(f"{folder}: '{folder.name}' is not a name: use lower-case letters, digits and _ . - only")
    if folder.is_dir():
        claims.check_sums(folder)
    tables: dict[str, list[Row]] = {}
    for name, rows in found.tables.items():
        if rows:
            tables.setdefault(f"{_slug(name)}.csv", []).extend(rows)
    texts = {name: _csv(rows, folder.name) for name, rows in tables.items()}
    for name, text in texts.items():
        path = folder / name
        if path.exists() and not replace and path.read_text(encoding="utf-8") != text:
            raise RenormError(f"{path}: is there, with other values: give --replace, or another name with --as")
    texts |= _source(head, folder, replace)
    _check(folder, texts, tables, metrics)
    for name, text in texts.items():
        files.write_atomic(folder / name, text)
    listed = sorted(path for pattern in ("*.csv", "*.yaml") for path in folder.glob(pattern))
    sums = "".join(f"{files.sha256(path)}  {path.name}\n" for path in listed)
    files.write_atomic(folder / claims.SUMS, sums)
    return [folder / name for name in tables]


def _source(head: Head | None, folder: Path, replace: bool) -> dict[str, str]:
    """The text of `source.yaml` by its name, where it is to be written."""
    path = folder / "source.yaml"
    if head is None:
        if not path.exists():
            raise RenormError(f"{path}: is not there: add source, with label and title, to the map")
        return {}
    given = {"name": folder.name, **head.model_dump(exclude_defaults=True), "kind": head.kind}
    if path.exists():
        there = claims.load_source(path).model_dump()
        other = [key for key, value in given.items() if there[key] != value]
        if other and not replace:
            key = other[0]
            raise RenormError(f"{path}: {key}: '{there[key]}' is '{given[key]}' in the map: make them equal, take "
                              "source out of the map, or give --replace")  # fmt: skip
        if not other:
            return {}
    return {path.name: yaml.safe_dump(given, sort_keys=False, allow_unicode=True)}


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._") or "table"


def _csv(rows: list[Row], source: str) -> str:
    given = {key for row in rows for key, text in row.fields.items() if text}
    columns = [name for name in claims.COLUMNS if name in given or name not in claims.OPTIONAL]
    return to_csv(tuple(columns), (_filled(row, source) for row in rows))


def _filled(row: Row, source: str) -> dict[str, str]:
    return {**row.fields, "source": source, "selection": row.fields["selection"] or "unstated"}


def _check(folder: Path, texts: dict[str, str], tables: dict[str, list[Row]], metrics: Metrics) -> None:
    """The folder as it will be, read by the claims' own reader; lines of a table are named by their origin."""
    with tempfile.TemporaryDirectory() as temporary:
        there = Path(temporary, folder.name)
        for pattern in ("*.csv", "*.yaml"):
            for path in folder.glob(pattern):
                files.copy(path, there / path.name)
        for name, text in texts.items():
            files.write_atomic(there / name, text)
        try:
            claims.load_claims(there, metrics)
        except RenormError as error:
            raise RenormError(*_with_origins(str(error), there, folder, tables).splitlines()) from None


def _with_origins(text: str, there: Path, folder: Path, tables: dict[str, list[Row]]) -> str:
    for name, rows in tables.items():

        def origin(match: re.Match[str], rows: list[Row] = rows, name: str = name) -> str:
            number = int(match[1]) - 2  # below the header
            return rows[number].place if 0 <= number < len(rows) else f"{folder / name}:{match[1]}"

        text = re.sub(rf"{re.escape(str(there / name))}:(\d+)", origin, text)
    return text.replace(str(there), str(folder))
