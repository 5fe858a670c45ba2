"""Files of results → grids: tables, JSON, workbooks, logs, and the folders of TensorBoard and MLflow."""

import ast
import csv
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError
from renorm.core.validation import flatten
from renorm.study.importing.grid import SEPARATOR, Grid, from_records, text_of
from renorm.study.importing.mapping import FORMATS, Format, Read

ENDINGS: dict[str, Format] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".xlsx": "xlsx", ".xlsm": "xlsx", ".json": "json",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".log": "log",
}  # fmt: skip
EVENTS = "events.out.tfevents"
# Formats that hold every epoch of a run, of which a claim is the last.
HISTORIES = ("tensorboard", "mlflow", "log")
LARGEST_FILE = 500_000_000


def read_grids(path: str | Path, read: Read) -> list[Grid]:
    """The tables in a file, or in the files of a folder.

    Args:
        path: The file or folder.
        read: How it is read.

    Raises:
        RenormError: It is missing, of an unknown or another format, or a library that reads it is; one line.
    """
    path = Path(path)
    if not path.exists():
        raise RenormError(f"{path}: not there: name a file or a folder of results")
    kind = format_of(path, read)
    if kind == "tensorboard":
        from renorm.study.importing.tensorboard import read_events

        return [_with_path(read_events(path), read)]
    if kind == "mlflow":
        from renorm.study.importing.mlflow import read_runs

        return [read_runs(path)]
    if path.is_dir():
        return _folder(path, kind, read)
    if kind == "xlsx":
        from renorm.study.importing.workbook import read_sheets

        return read_sheets(path, read)
    return [_file(path, path.name, kind, read)]


def format_of(path: Path, read: Read) -> Format:
    """The format that the map names, or that the path shows."""
    if read.format or read.pattern:
        return read.format or "log"
    if EVENTS in path.name or (path.is_dir() and any(path.rglob(f"*{EVENTS}*"))):
        return "tensorboard"
    if path.is_dir():
        if any(path.glob("*/*/metrics")) or any(path.glob("*/metrics")):
            return "mlflow"
        raise RenormError(f"{path}: read.format: is missing for a folder: add one of {', '.join(FORMATS)}")
    if path.suffix.lower() not in ENDINGS:
        raise RenormError(f"{path}: read.format: cannot be seen from the name: add one of {', '.join(FORMATS)}")
    return ENDINGS[path.suffix.lower()]


def is_history(path: Path, read: Read) -> bool:
    """Whether a file of this format holds every epoch of a run."""
    return format_of(Path(path), read) in HISTORIES


def _folder(path: Path, kind: Format, read: Read) -> list[Grid]:
    """One grid of all files, which have the same columns, or some of them."""
    if kind == "xlsx":
        raise RenormError(f"{path}: read.format: workbooks are read one by one: name a file")
    pattern = read.files or f"**/*{next(ending for ending, name in ENDINGS.items() if name == kind)}"
    files = sorted(file for file in path.glob(pattern) if file.is_file())
    if not files:
        raise RenormError(f"{path / pattern}: no such file: correct read.files")
    records: list[tuple[str, dict[str, Any]]] = []
    for file in files:
        inside = file.relative_to(path).as_posix()
        more = _groups(inside, read, file)
        grid = _file(file, inside, kind, read)
        _refuse_equal(grid)
        records += [(place, dict(zip(grid.columns, row, strict=True)) | more)
                    for place, row in zip(grid.places, grid.rows, strict=True)]  # fmt: skip
    return [from_records(path.resolve().name, path.name, records, ("path",))]


def _groups(inside: str, read: Read, file: Path) -> dict[str, str]:
    if read.path is None:
        return {"path": inside}
    found = re.search(read.path, inside)
    if found is None:
        raise RenormError(f"{file}: read.path: does not match '{inside}': correct it, or narrow read.files")
    return {"path": inside, **found.groupdict(default="")}


def _with_path(grid: Grid, read: Read) -> Grid:
    """`grid` with the groups of `read.path` in its column `run` as further columns."""
    if read.path is None:
        return grid
    run = grid.column("run")
    records = [(place, dict(zip(grid.columns, row, strict=True)) | _groups(row[run], read, Path(row[run])))
               for place, row in zip(grid.places, grid.rows, strict=True)]  # fmt: skip
    found = from_records(grid.name, grid.page, records, (*grid.made, "path"))
    return replace(found, damaged=grid.damaged)


def _refuse_equal(grid: Grid) -> None:
    for label in grid.columns:
        if grid.columns.count(label) > 1:
            raise RenormError(f"{grid.page}: column '{label}' is there twice: import this file alone")


def _file(path: Path, page: str, kind: Format, read: Read) -> Grid:
    text = _text(path)
    if kind == "log":
        return _log(path, page, text, read)
    if kind in ("csv", "tsv"):
        return _delimited(path, page, text, "\t" if kind == "tsv" else ",", read)
    lines = _json_lines(path, page, text) if kind == "jsonl" else _json_document(path, page, text)
    return from_records(path.stem, page, [(place, flatten(_opened(row))) for place, row in lines])


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise RenormError(f"{path}: {path.stat().st_size:,} bytes: too large for a table of results")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RenormError(f"{path}: is not UTF-8 text: save it as that, or name its format in read.format") from None


def _delimited(path: Path, page: str, text: str, delimiter: str, read: Read) -> Grid:
    # csv counts lines by their ends; a quoted cell may have some.
    reader = csv.reader(text.replace("\0", "").splitlines(keepends=True), delimiter=delimiter)
    lines: dict[int, list[str]] = {}
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines[reader.line_num] = [cell.strip() for cell in cells]
    except csv.Error as error:
        raise RenormError(f"{path}:{reader.line_num}: not readable as {delimiter!r}-separated text: {error}") from None
    first, last = read.header
    header = [lines.get(number, []) for number in range(first, last + 1)]
    if not any(header):
        raise RenormError(f"{path}:{first}: no header: the file is empty there; read.header names its lines")
    width = max(map(len, header))
    columns = labels([row + [""] * (width - len(row)) for row in header], fill=True)
    start, end = read.rows or (last + 1, max(lines))
    numbers = [number for number in lines if start <= number <= end]
    for number in numbers:
        if len(lines[number]) != width:
            hint = "; is it separated by semicolons?" if width == 1 else ""
            raise RenormError(f"{path}:{number}: {len(lines[number])} cells where the header has {width}{hint}")
    grid = Grid(path.stem, page, columns, [lines[n] for n in numbers], [f"{page}:{n}" for n in numbers])
    return _expanded(grid) if len(header) == 1 else grid


def labels(header: list[list[str]], fill: bool) -> list[str]:
    """The label of each column.

    Args:
        header: Its cells, line by line.
        fill: An empty cell above the last line belongs to the group at its left, as in a file without merged cells.
    """
    rows = [list(row) for row in header]
    for row in rows[:-1] if fill else ():
        for column in range(1, len(row)):
            row[column] = row[column] or row[column - 1]
    found = []
    for cells in zip(*rows, strict=True):
        parts: list[str] = []
        for cell in cells:
            text = " ".join(cell.split())
            if text and text not in parts[-1:]:
                parts.append(text)
        found.append(SEPARATOR.join(parts))
    return found


def _opened(row: dict[str, Any]) -> dict[str, Any]:
    """Objects that are written as text are opened: an export of Weights & Biases has columns `summary` and `config`."""
    return {key: _object(value) for key, value in row.items()}


def _object(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("{") or not value.endswith("}") or len(value) > 1_000_000:
        return value
    # Either JSON or what Python prints of a dict.
    with suppress(ValueError, RecursionError):
        return json.loads(value)
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        found = ast.literal_eval(value)
        return found if isinstance(found, dict) else value
    return value


def _expanded(grid: Grid) -> Grid:
    if not any(isinstance(_object(cell), dict) for row in grid.rows for cell in row):
        return grid
    _refuse_equal(grid)
    records = [(place, flatten(_opened(dict(zip(grid.columns, row, strict=True)))))
               for place, row in zip(grid.places, grid.rows, strict=True)]  # fmt: skip
    return from_records(grid.name, grid.page, records)


def _json_lines(path: Path, page: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            row = _json(f"{path}:{number}", line)
            if not isinstance(row, dict):
                raise RenormError(f"{path}:{number}: expected an object with keys")
            yield f"{page}:{number}", row


def _json_document(path: Path, page: str, text: str) -> list[tuple[str, dict[str, Any]]]:
    """A list of objects; an object with one such list; an object of lists of equal length; one object."""
    document = _json(str(path), text)
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list)]
        objects = [value for value in lists if value and all(isinstance(item, dict) for item in value)]
        if len(objects) == 1:
            document = objects[0]
        elif lists and len(lists) == len(document) and len({len(value) for value in lists}) == 1:
            document = [dict(zip(document, values, strict=True)) for values in zip(*lists, strict=True)]
        else:
            document = [document]
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise RenormError(f"{path}: expected an object with keys, or a list of them")
    return [(f"{page}: row {number}", row) for number, row in enumerate(document, 1)]


def _json(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RenormError(f"{where}: not readable as JSON: it is incomplete, or it holds something else") from None


def _log(path: Path, page: str, text: str, read: Read) -> Grid:
    if read.pattern is None:
        raise RenormError(f"{path}: read.pattern: is missing: a log needs a regular expression with named groups")
    found = list(re.finditer(read.pattern, text, re.MULTILINE))
    if not found:
        raise RenormError(f"{path}: read.pattern: no line matches it")
    records, line, seen = [], 1, 0
    for match in found:
        line, seen = line + text.count("\n", seen, match.start()), match.start()
        records.append((f"{page}:{line}", {key: text_of(value) for key, value in match.groupdict().items()}))
    return from_records(path.stem, page, records)
