"""Records that came from elsewhere: a folder of results, an RO-Crate, or a recording.

A recording is a folder with recording.json (the study that it was made for, sealed) and records.jsonl: a line for each
run with its sealed record and its history. Every record keeps its own checksum, and that of its history.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.runs import convert, run_record
from renorm.runs.run_record import HISTORY, RECORD, Record
from renorm.study import grid
from renorm.study.cell import AXES, Cell
from renorm.study.config import Study, validate
from renorm.study.programs import Program

PACKED, ABOUT = "records.jsonl", "recording.json"
FORMAT = 1
# Key of an experiment → axis of its cells.
AXIS_OF = {axis: axis for axis in AXES if axis != "seed"} | {"seeds": "seed"}


@dataclass(frozen=True)
class Offered:
    """A record from elsewhere with the bytes of its history; `origin`: where it is, for people."""

    record: Record
    document: dict
    history: bytes
    origin: str


def offered(path: str | Path) -> list[Offered]:
    """The records at `path`, every checksum found right.

    Args:
        path: a recording, a crate (.zip or folder), or a folder with `runs/<cell>/run.json` somewhere below it.

    Raises:
        RenormError: nothing is there, or a record is damaged or not of the form of this version.
    """
    return list(_offered(Path(path), _changed(path)))


@lru_cache(maxsize=64)
def _offered(path: Path, _when: int) -> tuple[Offered, ...]:
    found = tuple(_read(path))
    if not found:
        raise RenormError(f"adopt: {path}: holds no {RECORD}: give a recording, a crate or a folder of results")
    return found


def _changed(path: str | Path) -> int:
    packed = Path(path, PACKED)
    try:
        return (packed if packed.exists() else Path(path)).stat().st_mtime_ns
    except OSError:
        raise RenormError(f"adopt: {path}: not there: give a recording, a crate or a folder of results") from None


def _read(path: Path) -> Iterator[Offered]:
    if path.is_dir() and (path / PACKED).exists():
        yield from _packed(path / PACKED)
    elif path.is_dir():
        for file in sorted(path.rglob(RECORD)):
            yield _checked(file.read_bytes(), _bytes(file.with_name(HISTORY)), str(file))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path, "r") as crate:
            names = set(crate.namelist())
            for name in sorted(n for n in names if PurePosixPath(n).name == RECORD):
                history = str(PurePosixPath(name).with_name(HISTORY))
                yield _checked(crate.read(name), crate.read(history) if history in names else b"", f"{path}:{name}")
    else:
        raise RenormError(f"adopt: {path}: is neither a folder nor a zip file")


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _packed(path: Path) -> Iterator[Offered]:
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                item = json.loads(line)
                record, history = json.dumps(item["record"]).encode(), item["history"].encode()
            except (ValueError, KeyError, TypeError, AttributeError):
                raise RenormError(f"{path}:{number}: is not a packed record: restore the file") from None
            yield _checked(record, history, f"{path}:{number}")


def _checked(text: bytes, history: bytes, where: str) -> Offered:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise RenormError(f"{where}: is not readable as JSON: restore the file") from None
    files.check_seal(document, where, "restore the file")
    if document.get("format") == 1:
        document = files.sealed(convert.from_format_1(document, where))
    record = run_record.validated(document, where)
    if hashlib.sha256(history).hexdigest() != record.history_sha256:
        raise RenormError(f"{where}: checksum of {HISTORY} does not match: restore the files")
    return Offered(record, document, history, where)


def by_cell(paths: tuple[str, ...]) -> dict[Cell, list[Offered]]:
    """The records at all `paths`, in their order."""
    return _by_cell(paths, tuple(map(_changed, paths)))


@lru_cache(maxsize=8)
def _by_cell(paths: tuple[str, ...], _when: tuple[int, ...]) -> dict[Cell, list[Offered]]:
    found: dict[Cell, list[Offered]] = {}
    for path in paths:
        for one in offered(path):
            found.setdefault(one.record.cell, []).append(one)
    return found


def finished_in(folder: Path, study: Study) -> list[Offered]:
    """The records below `folder`; where there are only tables of `renorm collect`, records made from these.

    Args:
        folder: of results, or of tables.
        study: in the configuration of the tables' commit; it has their hyper-parameters.
    """
    if not (folder / "cells.csv").exists() or any(folder.rglob(RECORD)):
        return offered(folder)
    made = convert.from_tables(folder, lambda cell: grid.hyperparameters(study, cell))
    return [
        Offered(record, files.sealed(record.model_dump(mode="json")), history.encode(), str(folder))
        for record, history in made
    ]


def pack(study: Study, records: Iterable[Offered], out: Path, note: str = "") -> Path:
    """Write the recording of `records` of `study` to the folder `out`, and return its path.

    The study is narrowed to what was recorded; the same records give the same bytes.

    Raises:
        RenormError: `out` holds a recording, or a record is of no cell of the study.
    """
    if (out / PACKED).exists():
        raise RenormError(f"{out / PACKED}: is there: recordings are not edited, choose another folder")
    found = sorted(records, key=lambda one: one.record.cell)
    known = grid.cells(study.model_copy(update={"only": None}))
    for one in found:
        if one.record.cell not in known:
            raise RenormError(f"{one.origin}: {one.record.cell} is not a cell of study '{study.study}': "
                              "give its configuration with --config")  # fmt: skip
    lines = [json.dumps({"record": one.document, "history": one.history.decode()}, sort_keys=True) for one in found]
    text = "".join(f"{line}\n" for line in lines)
    about = {
        "format": FORMAT, "note": note, "runs": len(found), "records_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "study": _pinned(narrowed(study, {one.record.cell for one in found}), found).written_for(out),
    }  # fmt: skip
    files.write_atomic(out / PACKED, text)
    files.write_sealed(out / ABOUT, about)
    return out


def _pinned(study: Study, found: list[Offered]) -> Study:
    """`study` with the programs that were recorded, whose code is pinned: a recording is read without them."""
    programs: dict[str, Program] = {}
    for one in found:
        name = study.recipes[one.record.cell.recipe].program
        if name is None:
            continue
        code = one.record.hyperparameters["program"]["code"]
        if programs.setdefault(name, study.programs[name].model_copy(update={"code": code})).code != code:
            raise RenormError(f"{one.origin}: program '{name}' had other code than in the records before it: pack them "
                              "apart")  # fmt: skip
    return study.model_copy(update={"programs": programs})


def narrowed(study: Study, cells: set[Cell]) -> Study:
    """`study` with the experiments, axes and recipes that `cells` have, and no layer views."""
    experiments = {}
    for name, experiment in study.experiments.items():
        own = [cell for cell in cells if cell in experiment]
        if own:
            axes = {
                key: [value for value in getattr(experiment, key) if any(getattr(cell, axis) == value for cell in own)]
                for key, axis in AXIS_OF.items()
            }
            experiments[name] = experiment.model_copy(update=axes)
    change: dict[str, Any] = {"experiments": experiments, "only": None, "layer_views": {}, "adopt": []}
    return study.model_copy(update=change | study.of_recipes({cell.recipe for cell in cells}))


def study_of(path: Path) -> Study:
    """The study of the recording at `path`, which adopts it; its results are below results/recorded."""
    about = path / ABOUT
    if not about.exists():
        raise RenormError(f"{path}: is not a recording: {ABOUT} is missing; `renorm pack` makes one of results")
    document = files.read_sealed(about, "restore the recording")
    text = (path / PACKED).read_bytes() if (path / PACKED).exists() else b""
    if hashlib.sha256(text).hexdigest() != document.get("records_sha256"):
        raise RenormError(f"{path / PACKED}: checksum does not match {ABOUT}: restore the recording")
    study = validate(convert.with_comparisons(document["study"]), str(about)).read_from(path)
    name = path.resolve().name
    return study.model_copy(update={"adopt": [os.path.normpath(path)], "results_dir": f"results/recorded/{name}"})
