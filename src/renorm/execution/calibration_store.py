"""What `renorm calibrate` measured on a device, and which of it counts for a study.

A calibration is neither an input of a rule nor part of a cell: it changes what is asked of a cluster and what
`renorm plan` prints, and never whether a cell is trained again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from renorm.core import machine
from renorm.core.errors import RenormError
from renorm.core.files import read_sealed, write_sealed
from renorm.core.validation import validate_model
from renorm.execution import workload
from renorm.study.config import Study

AGAIN = "remove it and run `renorm calibrate` again"

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MoreThanNone = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Measured(_Part):
    """One kind of step: `seconds` of one, of an evaluated image, of a checkpoint, of building and the first step."""

    arch: str
    norm: str
    shape: tuple[int, int, int]
    batch: Annotated[int, Field(ge=1)]
    seconds: MoreThanNone
    image_seconds: Seconds
    save_seconds: Seconds
    warm_seconds: Seconds
    repetitions: Annotated[int, Field(ge=1)]


class DataTimes(_Part):
    """Seconds of opening a prepared data set, and of decoding one of its image files in one process."""

    open_seconds: Seconds
    decode_seconds: Seconds = 0.0


class Calibration(_Part):
    """One device with one torch and one number of threads; `steps` by `workload.Step.key`."""

    format: Literal[1] = 1
    kind: Literal["cpu", "cuda"]
    device: str
    torch: str
    threads: Annotated[int, Field(ge=1)]
    made: str
    start_seconds: Seconds
    data: Mapping[str, DataTimes] = {}
    steps: Mapping[str, Measured]

    @property
    def name(self) -> str:
        return f"{self.device}, torch {self.torch}, {_counted(self.threads, 'thread')}"

    @property
    def file_name(self) -> str:
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()) + ".json"


@dataclass(frozen=True)
class Choice:
    """The calibrations that count for a study, and for each of the others in one line why it does not."""

    taken: tuple[Calibration, ...]
    ignored: tuple[str, ...]


def folder(results_dir: str | Path) -> Path:
    return Path(results_dir).absolute() / "calibration"


def write(results_dir: str | Path, found: Calibration) -> Path:
    """Write `found` in the place of an older one of the same device; returns its path."""
    path = folder(results_dir) / found.file_name
    write_sealed(path, found.model_dump())
    return path


def read(path: Path) -> Calibration:
    """The calibration at `path`; raises `RenormError` when it is damaged."""
    return validate_model(Calibration, read_sealed(path, AGAIN), f"{path}: {AGAIN}")


def choose(study: Study) -> Choice:
    """The calibrations below the study's results that are of its kind of device, torch and number of threads.

    A CPU must be this machine's. A GPU must be one of this machine's if it has any: a login node has none, and
    where several kinds were calibrated then, all count.
    """
    here = folder(study.results_dir)
    try:
        changed = here.stat().st_mtime_ns
    except OSError:
        return Choice((), ())
    return _choose(here, changed, workload.kind(study), study.threads)


@lru_cache(maxsize=16)
def _choose(here: Path, _changed: int, kind: str, threads: int) -> Choice:
    taken, ignored = [], []
    for path in sorted(here.glob("*.json")):
        try:
            found = read(path)
        except RenormError as error:
            ignored.append(str(error))
            continue
        reason = _foreign(found, kind, threads)
        if reason:
            ignored.append(f"{found.name}: {reason}")
        else:
            taken.append(found)
    return Choice(tuple(taken), tuple(ignored))


def _foreign(found: Calibration, kind: str, threads: int) -> str:
    """Why `found` is of another device than the study's, or an empty string."""
    if found.kind != kind:
        return f"the study trains on {'GPUs' if kind == 'cuda' else 'the CPU'}"
    if found.torch != machine.torch_version():
        return f"installed is torch {machine.torch_version()}"
    if found.threads != threads:
        return f"the study has {_counted(threads, 'thread')}"
    names = {machine.cpu_name()} if kind == "cpu" else machine.gpu_names()
    # A part of a GPU is named after the whole.
    if names and not any(found.device.startswith(name) for name in names):
        return f"here is {', '.join(sorted(names))}"
    return ""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
