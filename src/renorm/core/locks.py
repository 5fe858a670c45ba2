"""Locks that keep two processes apart. The kernel frees a lock when its holder dies, so there is never a stale one."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from renorm.core.errors import RenormError
from renorm.core.files import open_append, writing


@contextmanager
def locked(path: str | Path, what: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Args:
        path: The lock file; its folder is made when it is missing.
        what: What the lock protects, for the error.
        wait_seconds: How long to wait for another holder.

    Raises:
        RenormError: Another process, which is named, still holds it; or the file system has no locks.
    """
    path = Path(path)
    with open_append(path) as file:
        deadline = time.monotonic() + wait_seconds
        while not _flock(file, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                file.seek(0)
                holding = file.read().decode(errors="replace").strip() or "another process"
                raise RenormError(f"{what} is being written by {holding}: wait for it or end it ({path})")
            time.sleep(0.2)
        with writing(path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            file.truncate(0)


def try_lock(path: Path) -> BinaryIO | None:
    """The lock file `path`, locked until it is closed; None while another process holds it.

    Raises `RenormError` when the file cannot be opened (another owner, a read-only file system) or locked.
    """
    file = open_append(path)
    try:
        if _flock(file, fcntl.LOCK_EX):
            return file
    except RenormError:
        file.close()
        raise
    file.close()
    return None


def holder(path: Path) -> str:
    """Who holds the lock file `path` of `locked` at this moment; empty when nobody does, or when it cannot be seen.

    A lock file is empty unless it is held or its holder was killed, so that most are not even tried.
    """
    try:
        with open(path, "rb") as file:
            text = file.read().decode(errors="replace").strip()
            # A shared lock for an instant: it fails exactly while another process has the exclusive one.
            return text if text and not _flock(file, fcntl.LOCK_SH) else ""
    except (OSError, RenormError):
        return ""


def _flock(file: BinaryIO, kind: int) -> bool:
    """Take the lock without waiting; False when another process has it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise RenormError(
            f"{file.name}: this file system has no locks ({error.strerror}), and without them two jobs could write one "
            "result: set results_dir to another, or have it mounted with flock"
        ) from None
    return True
