"""What a program wrote → rows of a history, in renorm's metrics and units. What it does not say is absent.

Each mistake is one line that names the file and the column.
"""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError
from renorm.core.metrics import TOP1
from renorm.core.validation import flatten
from renorm.runs.run_record import EpochMetrics, measured
from renorm.study.programs import Column, Results, Source

# A row of a file as it was written, and where it is.
Raw = tuple[str, Mapping[str, Any]]
Row = dict[str, float]


@dataclass
class Found:
    """`rows`: of history.csv, by epoch; `files`: those that were read."""

    rows: list[Row] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def read(results: Results, folder: Path, output: Path, epochs: int, resumed: bool = False) -> Found:
    """The results of a program that ended.

    Args:
        results: Where they are.
        folder: Working directory of the program.
        output: What it printed.
        epochs: Epochs that were asked for.
        resumed: The run was resumed, so that several files may have the same epoch: the newest counts.

    Raises:
        RenormError: A file, a column or an epoch is missing, or a value is not one of its metric.
    """
    found = _history(results, folder, output, resumed)
    rows: dict[int, Row] = found.by_epoch()
    if results.history:
        _check_epochs(results.history[0], rows, epochs, found.files)
    last = rows.setdefault(epochs, {"epoch": epochs})
    for source in results.final:
        last |= _final(source, _files(source, folder, output), found.files)
    for source in (*results.history, *results.final):
        for key, part in source.metrics.items():
            if part.name not in last:
                where = found.files[-1]
                raise RenormError(f"{where}: {source.columns[key]}: no value of epoch {epochs}, the last: "
                                  f"{key} is expected there")  # fmt: skip
    return Found([rows[epoch] for epoch in sorted(rows)], list(dict.fromkeys(found.files)))


def progress(results: Results, folder: Path, output: Path) -> Row | None:
    """The newest row of a program that runs; None where there is none that can be read yet."""
    try:
        rows = _history(results, folder, output, True).by_epoch()
    except RenormError:
        return None
    return rows[max(rows)] if rows else None


def leading(results: Results) -> Column:
    """The metric by which the best epoch is chosen: top-1 on test if it is reported, else the first one on test, on
    validation, on train."""
    metrics = [part for part in results.columns if not part.metric.is_time]
    for split in ("test", "validation", "train"):
        there = [part for part in metrics if part.split == split]
        if there:
            return next((part for part in there if part.metric.name == TOP1), there[0])
    raise ValueError("results without a metric")


def best(results: Results, rows: Iterable[Row]) -> EpochMetrics | None:
    """The epoch with the best value of the leading metric; the earliest of equals. None without a history."""
    if not results.history:
        return None
    part = leading(results)
    chosen: Row | None = None
    for row in rows:
        if part.name in row and (chosen is None or part.metric.gain(row[part.name], chosen[part.name]) > 0):
            chosen = row
    return measured(chosen, {})


@dataclass
class _History:
    files: list[Path] = field(default_factory=list)
    values: dict[tuple[int, str], tuple[float, Path]] = field(default_factory=dict)

    def by_epoch(self) -> dict[int, Row]:
        rows: dict[int, Row] = {}
        for (epoch, name), (value, _) in self.values.items():
            rows.setdefault(epoch, {"epoch": epoch})[name] = value
        return rows


def _history(results: Results, folder: Path, output: Path, resumed: bool) -> _History:
    found = _History()
    for source in results.history:
        for path in _files(source, folder, output):
            found.files.append(path)
            for epoch, key, value in _values(source, path):
                name = source.metrics[key].name
                before = found.values.get((epoch, name))
                if before and before[1] != path and before[0] != value and not resumed:
                    raise RenormError(f"{path}: {source.columns[key]}: epoch {epoch} has another value in {before[1]}: "
                                      "let `file` name one of them")  # fmt: skip
                found.values[epoch, name] = value, path
    return found


def _files(source: Source, folder: Path, output: Path) -> list[Path]:
    """The files of `source`, the oldest first."""
    if source.file is None:
        return [output]
    paths = matching(folder, source.file)
    if not paths:
        raise RenormError(f"{folder / source.file}: is missing: the program did not write it, or `file` is wrong")
    return paths


def matching(folder: Path, pattern: str) -> list[Path]:
    """The files in `folder` that the glob finds, the oldest first; none behind a link, which are of no run."""
    inside = folder.resolve()
    found = [path for path in folder.glob(pattern) if path.is_file() and path.resolve().is_relative_to(inside)]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, str(path)))


def _values(source: Source, path: Path) -> Iterator[tuple[int, str, float]]:
    """Epoch from 1, key of `columns`, value; of all rows that have any."""
    for number, (where, row) in enumerate(_rows(source, path), 1):
        values = {key: _number(source, key, part, where, row) for key, part in source.metrics.items()}
        present = {key: value for key, value in values.items() if value is not None}
        if not present:
            continue
        epoch = _epoch(source, where, row) if "epoch" in source.columns else number
        for key, value in present.items():
            yield epoch, key, value


def _final(source: Source, paths: list[Path], read: list[Path]) -> Row:
    """The last value of each column."""
    found: Row = {}
    for path in paths:
        read.append(path)
        for where, row in _rows(source, path):
            for key, part in source.metrics.items():
                value = _number(source, key, part, where, row)
                if value is not None:
                    found[part.name] = value
    return found


def _epoch(source: Source, where: str, row: Mapping[str, Any]) -> int:
    value = row.get(source.columns["epoch"])
    try:
        number = float(value)  # type: ignore[arg-type]
        if isinstance(value, bool) or number != int(number) or number < source.first_epoch:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        hint = ": set first_epoch: 0" if str(value).strip() in ("0", "0.0") else ""
        raise RenormError(f"{where}: {source.columns['epoch']}: expected the number of an epoch from "
                          f"{source.first_epoch} on (found {value!r}){hint}") from None  # fmt: skip
    return int(number) + 1 - source.first_epoch


def _number(source: Source, key: str, part: Column, where: str, row: Mapping[str, Any]) -> float | None:
    """The value in renorm's unit; None where the row has none."""
    name = source.columns[key]
    value = row.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = float(value)
        if isinstance(value, bool) or not math.isfinite(number):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise RenormError(f"{where}: {name}: expected a finite number (found {str(value)[:60]!r})") from None
    try:
        return part.metric.convert(number, source.unit_of(part.metric))
    except RenormError as error:
        raise RenormError(f"{where}: {name}: {error}") from None


def _check_epochs(source: Source, rows: dict[int, Row], epochs: int, files: list[Path]) -> None:
    where = f"{files[-1]}: {source.columns.get('epoch', 'rows')}"
    last = max(rows, default=0)
    if last < epochs:
        raise RenormError(f"{where}: {last} of {epochs} epochs: the program stopped early, or its file is not complete")
    if last > epochs:
        hint = ": epochs of the program begin at 1: leave first_epoch out" if not source.first_epoch else ""
        raise RenormError(f"{where}: epoch {last} where {epochs} were asked for{hint}")


def _rows(source: Source, path: Path) -> Iterator[Raw]:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    if source.kind == "regex":
        return _matches(source, path, text)
    if source.kind in ("csv", "tsv"):
        return _table(source, path, text)
    return _checked_keys(source, path, _lines(path, text) if source.kind == "jsonl" else _document(source, path, text))


def _matches(source: Source, path: Path, text: str) -> Iterator[Raw]:
    found = list(re.finditer(source.pattern or "", text, re.MULTILINE))
    if not found:
        raise RenormError(f"{path}: {', '.join(source.columns.values())}: no line matches the pattern")
    for match in found:
        yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}", match.groupdict()


def _table(source: Source, path: Path, text: str) -> Iterator[Raw]:
    delimiter = "\t" if source.kind == "tsv" else ","
    lines = csv.reader(text.replace("\0", "").splitlines(), delimiter=delimiter)
    header: list[str] = []
    try:
        for row in lines:
            if not any(value.strip() for value in row) or row[0].startswith("#"):
                continue
            if not header:
                header = [name.strip() for name in row]
                _check_columns(source, f"{path}:{lines.line_num}", header)
            elif len(row) != len(header):
                raise RenormError(f"{path}:{lines.line_num}: row: {len(row)} values for {len(header)} columns: the "
                                  "file is not complete")  # fmt: skip
            else:
                yield f"{path}:{lines.line_num}", dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise RenormError(f"{path}:{lines.line_num}: row: not readable as {source.kind}: {error}") from None
    if not header:
        raise RenormError(f"{path}: {', '.join(source.columns.values())}: the file is empty")


def _check_columns(source: Source, where: str, header: Iterable[str]) -> None:
    present = list(header)
    for name in source.columns.values():
        if name not in present:
            some = ", ".join(present[:12])
            raise RenormError(f"{where}: {name}: no such column (found: {some[:200]})")


def _lines(path: Path, text: str) -> Iterator[Raw]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            row = _json(f"{path}:{number}", line)
            if not isinstance(row, dict):
                raise RenormError(f"{path}:{number}: row: expected an object with keys")
            yield f"{path}:{number}", flatten(row)


def _document(source: Source, path: Path, text: str) -> Iterator[Raw]:
    """A list of objects; one object; or an object of lists, as Keras has its history."""
    document = _json(str(path), text)
    if isinstance(document, dict):
        flat = flatten(document)
        lists = {name: flat[name] for name in source.columns.values() if isinstance(flat.get(name), list)}
        length = max(map(len, lists.values()), default=0)
        rows = [{name: values[i] for name, values in lists.items() if i < len(values)} for i in range(length)]
        document = rows if lists else [document]
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise RenormError(f"{path}: rows: expected an object with keys, or a list of them")
    for number, row in enumerate(document, 1):
        yield f"{path}: row {number}", flatten(row)


def _checked_keys(source: Source, path: Path, rows: Iterable[Raw]) -> Iterator[Raw]:
    """The rows; a key that is in none of them is a mistake."""
    seen: dict[str, None] = {}
    for where, row in rows:
        seen |= dict.fromkeys(row)
        yield where, row
    _check_columns(source, str(path), seen)


def _json(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RenormError(f"{where}: not readable as JSON: it is incomplete, or it holds something else") from None


def seconds(rows: Iterable[Row]) -> dict[str, float]:
    """split → seconds over all epochs, where the program reports them."""
    found: dict[str, float] = {}
    for row in rows:
        for split in ("train", "test"):
            if f"{split}_seconds" in row:
                found[split] = found.get(split, 0.0) + row[f"{split}_seconds"]
    return found


def text(row: Row, results: Results) -> str:
    """A row in a few words, for the log: `test top-1 20.41`."""
    part = leading(results)
    value = row.get(part.name)
    return "" if value is None else f"{part.split} {part.metric.label} {part.metric.text(value)}"
