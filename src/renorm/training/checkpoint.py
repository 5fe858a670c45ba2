"""Checkpoints that are whole or known not to be.

A checkpoint is a short head (magic, SHA-256 of the rest) and a `torch.save` body, loaded with `weights_only`. Two
generations are kept: when the newer is damaged, the older one serves.
"""

import hashlib
import io
import os
from pathlib import Path

import torch

from renorm.core.errors import RenormError
from renorm.core.files import write_atomic

MAGIC = b"renorm-checkpoint-2\n"
NAMES = ("checkpoint.pt", "checkpoint.previous.pt")


def save(folder: Path, state: dict) -> None:
    """Write `state` as the newest checkpoint of `folder`; the one before it is kept."""
    body = io.BytesIO()
    torch.save(state, body)
    data = body.getvalue()
    newest, previous = (folder / name for name in NAMES)
    # A damaged newest must not push a whole previous one out.
    if newest.exists() and _read(newest) is not None:
        os.replace(newest, previous)
    write_atomic(newest, MAGIC + hashlib.sha256(data).digest() + data)


def load(folder: Path, fingerprint: str, say) -> dict | None:
    """The newest whole checkpoint of the run `fingerprint`, or None; `say(line)` is told what was passed over."""
    for name in NAMES:
        path = folder / name
        if not path.exists():
            continue
        state = _load_body(path)
        if state is None:
            say(f"{path} is damaged, or of another version: passed over")
        elif state.get("fingerprint") != fingerprint:
            say(f"{path} belongs to other hyper-parameters, data or code protocol: passed over")
        else:
            return state
    return None


def remove(folder: Path) -> None:
    """Remove the checkpoints of a run that is finished."""
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    """The body of the checkpoint, or None when a byte of it is not as it was written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    head, body = data[: len(MAGIC) + 32], data[len(MAGIC) + 32 :]
    return body if head == MAGIC + hashlib.sha256(body).digest() else None


def _load_body(path: Path) -> dict | None:
    body = _read(path)
    return None if body is None else torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
