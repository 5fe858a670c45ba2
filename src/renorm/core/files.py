"""Files that appear whole or not at all, and the lock that keeps two writers apart."""

import errno
import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write `data` beside `path`, flush it to the disk, and rename it into place.

    A reader, a crash or a power cut sees the old file or the new one, never a part. Raises `RenormError` when the disk
    does not take it (full, quota, read-only); nothing half-written is left.
    """
    path = Path(path)
    if isinstance(data, str):
        data = data.encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _sync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RenormError(f"{path}: cannot be written: {error.strerror} ({len(data):,} bytes)") from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make one line of what the system has against writing `path`."""
    try:
        yield
    except OSError as error:
        raise RenormError(f"{path}: cannot be written: {error.strerror}") from None


def remove_parts(folder: Path) -> None:
    """Remove what a killed `write_atomic` left beside its target; only for the holder of the folder's lock."""
    for part in folder.glob(".*.part"):
        part.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; some network file systems do not allow it on folders, and then it is theirs to keep."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EACCES, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write_json(path: str | Path, value: Any) -> None:
    """`value` as indented JSON, atomically; NaN and infinity are refused since JSON has none."""
    write_atomic(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path, hint: str) -> Any:
    """The JSON document at `path`; `hint` says what to do when it is missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}; {hint}") from None
    except (ValueError, RecursionError):
        raise RenormError(f"{path}: is not readable as JSON; {hint}") from None


def checksum(document: dict) -> str:
    """SHA-256 of a JSON document without its own `checksum`, so that a changed digit is found."""
    rest = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def write_sealed(path: str | Path, document: dict) -> None:
    """`document` as JSON with its own `checksum`, atomically."""
    write_json(path, {**document, "checksum": checksum(document)})


def read_sealed(path: str | Path, hint: str) -> dict:
    """A document of `write_sealed`; raises `RenormError` with `hint` when a character of it was changed."""
    document = read_json(path, hint)
    try:
        whole = document["checksum"] == checksum(document)
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise RenormError(f"{path}: has not its own checksum: it was edited or damaged; {hint}")
    return document


def sha256(path: str | Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: str | Path, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    The kernel frees the lock when its holder dies, however it dies, so there is never a stale one to remove. Raises
    `RenormError` naming the holder when somebody else has it still after `wait_seconds`.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed below
    with file:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(file):
            if time.monotonic() >= deadline:
                file.seek(0)
                holder = file.read().decode().strip() or "another process"
                raise RenormError(f"{what} is being written by {holder}: wait for it or end it ({path})")
            time.sleep(0.2)
        with writing(path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            file.truncate(0)


def _try_lock(file) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise RenormError(
            f"{file.name}: this file system has no locks ({error.strerror}), and without them two jobs could write one "
            "result: set results_dir to another, or have it mounted with flock"
        ) from None
    return True
