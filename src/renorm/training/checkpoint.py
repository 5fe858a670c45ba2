"""Checkpoints that are whole or known not to be.

A checkpoint is a short header (magic, SHA-256 of the rest) and a `torch.save` body, loaded with `weights_only`. Two
generations are kept: when the newer is damaged, the older one is used.
"""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.core.files import write_atomic
from renorm.runs.finished import WEIGHTS

MAGIC = b"renorm-checkpoint-3\n"
NAMES = ("checkpoint.pt", "checkpoint.previous.pt")


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before it is kept.

    Args:
        folder: Folder of the run.
        state: Tensors and plain values in dicts and lists; its key `fingerprint` names the run.

    Raises:
        RenormError: The disk does not take it; what was there before stays whole.
    """
    body = io.BytesIO()
    torch.save(state, body)
    data = body.getvalue()
    newest, previous = (folder / name for name in NAMES)
    # A damaged newest must not push a whole previous one out.
    if newest.exists() and _read(newest) is not None:
        os.replace(newest, previous)
    write_atomic(newest, MAGIC + hashlib.sha256(data).digest() + data)


def load(folder: Path, fingerprint: str, warn: Callable[[str], None]) -> dict[str, Any] | None:
    """The newest whole checkpoint of a run.

    Args:
        folder: Folder of the run.
        fingerprint: Of the run that goes on; checkpoints of any other are ignored.
        warn: Called with one line for each checkpoint that was ignored.

    Returns:
        What `save` was given, its tensors on the CPU; None where there is none to continue from.

    Raises:
        RenormError: A checkpoint is there and cannot be read.
    """
    for name in NAMES:
        path = folder / name
        if not path.exists():
            continue
        state = _load_body(path)
        if state is None:
            warn(f"{path} is damaged or of another version: ignored")
        elif state.get("fingerprint") != fingerprint:
            warn(f"{path} belongs to other hyper-parameters, data or code protocol: ignored")
        else:
            return state
    return None


def save_weights(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Write a network's parameters and buffers, on the CPU, as the folder's weights.pt."""
    body = io.BytesIO()
    torch.save({name: tensor.cpu() for name, tensor in state.items()}, body)
    write_atomic(folder / WEIGHTS, body.getvalue())


def remove(folder: Path) -> None:
    """Remove the checkpoints of a run that is finished."""
    files.remove(*(folder / name for name in NAMES))


def _read(path: Path) -> bytes | None:
    """The body of the checkpoint, or None on a checksum mismatch."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    head, body = data[: len(MAGIC) + 32], data[len(MAGIC) + 32 :]
    return body if head == MAGIC + hashlib.sha256(body).digest() else None


def _load_body(path: Path) -> dict[str, Any] | None:
    body = _read(path)
    return None if body is None else torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
