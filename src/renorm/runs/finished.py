"""Whether a cell is finished: one answer for the trainer, the tables, `status`, `why`, `plan` and the Snakefile.

A record counts wherever it came from and whatever its time stamp is, if its cell, hyper-parameters, protocol, code and
data are those of the study. One that does not is named with what differs, and set aside when the cell is trained.
"""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from renorm.core import code_digest
from renorm.core.errors import RenormError
from renorm.core.locks import locked
from renorm.core.validation import flatten
from renorm.runs import layer_views, recordings, run_record
from renorm.runs.recordings import Offered
from renorm.runs.run_record import HISTORY, RECORD, Record
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import Study
from renorm.study.data_manifest import data_checksum
from renorm.study.parts import plugin_code

# Parameters and buffers at the end of a run that keeps them; run.json holds their checksum.
WEIGHTS = "weights.pt"
SUPERSEDED = "run.superseded-*.json"
CODE_OF = {
    "arch": "architecture", "norm": "normaliser", "dataset": "data set", "optimizer": "optimizer",
    "schedule": "schedule", "augment": "augmentation", "loss": "loss", "metric": "metrics",
    "pretrained": "pretrained weights",
}  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """What the record of a cell must hold to count.

    `code`: axis → digest of dropped-in code (renorm's own has the protocol number); `data_sha256`: None where the data
    set is not prepared; `weights`: whether the trained weights are needed beside the record.
    """

    cell: Cell
    hyperparameters: dict
    code: dict[str, str]
    data_sha256: str | None
    weights: bool = False

    def differences(self, record: Record) -> list[str]:
        """What of the record is not as it must be, in words; empty when it counts."""
        if record.cell != self.cell:
            return [f"it is of cell {record.cell}"]
        found = _changes(record.hyperparameters, self.hyperparameters)
        found += [
            f"the code of the {name} was {record.code.get(axis, 'unknown')}, is {self.code.get(axis, 'that of renorm')}"
            for axis, name in CODE_OF.items()
            if record.code.get(axis) != self.code.get(axis)
        ]
        if self.data_sha256 not in (None, record.data_sha256):
            found.append(f"the data were {record.data_sha256 or 'not recorded'}, are {self.data_sha256}")
        return found


@dataclass(frozen=True)
class Look:
    """A record that counts with the bytes of its history, or why the one that is there does not.

    `offered`: set when the record is not in the results yet and `adopt:` of the configuration brings it.
    """

    record: Record | None
    problem: str = ""
    history: bytes = b""
    offered: Offered | None = None


def _changes(was: dict, wanted: dict) -> list[str]:
    """The hyper-parameters that differ, in words."""
    if was == wanted:
        return []
    was, wanted = flatten(was), flatten(wanted)
    return [
        f"{key} was {was.get(key)}, is {wanted.get(key)}"
        for key in sorted(was.keys() | wanted.keys())
        if was.get(key) != wanted.get(key) and key != code_digest.PRETRAINED  # whose content counts, not its path
    ]


def identity(study: Study, cell: Cell) -> Identity:
    """What the record of `cell` must hold to count for `study`; `RenormError` for code that cannot be read."""
    hyper = grid.hyperparameters(study, cell)
    if grid.program(study, cell):  # its code is part of the hyper-parameters, and its data are its own
        return Identity(cell, hyper, {}, None)
    code = code_digest.dropped_in(**plugin_code(hyper, dataset=cell.dataset, arch=cell.arch, norm=cell.norm))
    return Identity(cell, hyper, code, data_checksum(study, cell.dataset))


def look(folder: Path, wanted: Identity) -> Look:
    """Look for the record of `wanted` in a run's folder."""
    path = folder / RECORD
    if not path.exists():
        return Look(None)
    try:
        record = run_record.read(path)
        history = run_record.check_history(folder, record)
    except RenormError as error:
        return Look(None, str(error))
    differences = wanted.differences(record)
    if wanted.weights and not (folder / WEIGHTS).exists():
        differences.append(f"{WEIGHTS} is not there and a layer view needs it")
    if differences:
        return Look(None, f"{path}: does not count: {'; '.join(differences)}")
    return Look(record, "", history)


def run_folder(study: Study, cell: Cell) -> Path:
    """The folder of the run of `cell`."""
    return Path(study.results_dir) / "runs" / cell.path


def of(study: Study, cell: Cell, wanted: Identity | None = None) -> Look:
    """Look for the record of `cell` in the results of `study`, and where there is none in what it adopts.

    `wanted`: the identity of the cell, where it is known.
    """
    wanted, folder = wanted or identity(study, cell), run_folder(study, cell)
    seen = look(folder, wanted)
    if seen.record:
        lacking = _lacking_weights(study, cell, seen.record, folder)
        return Look(None, f"{folder / RECORD}: does not count: {lacking}") if lacking else seen
    offered = recordings.by_cell(tuple(study.adopt)).get(cell, ()) if study.adopt else ()
    for one in offered:
        if not wanted.differences(one.record) and not _lacking_weights(study, cell, one.record, None):
            return Look(one.record, "", one.history, one)
    return seen


def _lacking_weights(study: Study, cell: Cell, record: Record, folder: Path | None) -> str:
    """Which layer view is still to be made from the weights of `cell`, which are not there; empty when none is."""
    if folder and (folder / WEIGHTS).exists():
        return ""
    for name, view in study.layer_views.items():
        if view.trained and view.of == cell and not layer_views.is_current(study, name, record):
            return f"layer view '{name}' needs {WEIGHTS}, which is not there"
    return ""


def set_aside(folder: Path) -> Path | None:
    """Rename the record in `folder` that does not count to run.superseded-<date>.json, its history likewise.

    Only for the holder of the folder's lock. Returns the new path; None when there was no record.
    """
    path, history = folder / RECORD, folder / HISTORY
    if not path.exists():
        return None
    for kept in folder.glob(SUPERSEDED):
        if kept.read_bytes() == path.read_bytes():  # Snakemake put it back after a job that failed
            path.unlink()
            return kept
    stamp = _free_stamp(folder)
    if history.exists():  # first, and as a second name of the file: the record never stands without it
        os.link(history, folder / f"history.superseded-{stamp}.csv")
    aside = folder / f"run.superseded-{stamp}.json"
    os.replace(path, aside)
    history.unlink(missing_ok=True)
    return aside


def set_aside_unlocked(study: Study, cell: Cell) -> Path | None:
    """`set_aside` the record of `cell` if it does not count, unless a job of the cell is running."""
    folder = run_folder(study, cell)
    try:
        with locked(folder / ".lock", f"cell {cell}"):
            return set_aside(folder) if of(study, cell).problem else None
    except RenormError:
        return None


def superseded(study: Study, cell: Cell) -> list[Path]:
    """The records of `cell` that were set aside."""
    return sorted(run_folder(study, cell).glob(SUPERSEDED))


def _free_stamp(folder: Path) -> str:
    today, number = date.today().isoformat(), 1
    stamp = today
    while (folder / f"run.superseded-{stamp}.json").exists() or (folder / f"history.superseded-{stamp}.csv").exists():
        number += 1
        stamp = f"{today}-{number}"
    return stamp
