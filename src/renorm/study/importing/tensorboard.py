"""Event files of TensorBoard → a grid with a row per run and step, by TensorBoard's own reader."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from renorm.core.errors import RenormError
from renorm.study.importing.grid import Grid, from_records


def read_events(path: Path) -> Grid:
    """The scalars of one event file, or of all below a folder; the columns are `run`, `step` and the tags."""
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError:
        raise RenormError(f"{path}: event files are read by tensorboard: pip install 'renorm[import]'") from None
    files = [path] if path.is_file() else sorted(path.rglob("*events.out.tfevents*"))
    if not files:
        raise RenormError(f"{path}: no event file (*events.out.tfevents*) below it")
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for file in files:
        run = file.parent.relative_to(path).as_posix() if path.is_dir() else file.parent.name
        try:
            events = EventAccumulator(str(file), size_guidance={"scalars": 0, "tensors": 0}).Reload()
        except Exception as error:
            raise RenormError(f"{file}: not readable as an event file: {str(error)[:200]}") from None
        tags = events.Tags()
        for tag in tags["scalars"]:
            for event in events.Scalars(tag):
                rows.setdefault((run, event.step), {})[tag] = _short(np.float32(event.value))
        for tag in tags["tensors"]:
            for event in events.Tensors(tag):
                value = make_ndarray(event.tensor_proto)
                if value.size == 1 and value.dtype.kind in "fiu":
                    rows.setdefault((run, event.step), {})[tag] = _short(value.reshape(-1)[0])
    if not rows:
        raise RenormError(f"{path}: its event files have no scalar")
    records = [(f"{run}: step {step}", {"run": run, "step": step, **values})
               for (run, step), values in sorted(rows.items())]  # fmt: skip
    name = path.stem if path.is_file() else path.resolve().name
    damaged = tuple(line for file in files if (line := _cut_off(file)))
    return replace(from_records(name, path.name, records, ("run", "step")), damaged=damaged)


def _cut_off(path: Path) -> str:
    """What is wrong with a file whose last record is not whole: TensorBoard's reader just ends there.

    A record is its length (8 bytes), a checksum (4), the data, and another checksum (4).
    """
    size, end = path.stat().st_size, 0
    with open(path, "rb") as file:
        while end < size:
            file.seek(end)
            start, end = end, end + 16 + int.from_bytes(file.read(8), "little")
            if end > size:
                return f"{path}: is cut off, or damaged, from byte {start:,} of {size:,} on: later values are missing"
    return ""


def _short(value: np.number) -> float:
    """The shortest decimal number that is `value` in its own precision: 0.9341, not 0.9340999722480774."""
    return float(str(value))
