"""Files that appear whole or not at all. No other module of the package opens a file for writing."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

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
        with suppress(OSError):  # a read-only file system refuses this too
            beside.unlink(missing_ok=True)
        raise RenormError(f"{path}: cannot be written: {error.strerror} ({len(data):,} bytes)") from None


def copy(source: str | Path, target: str | Path) -> None:
    """Copy a file, with the folders above `target`; whole or not at all, as `write_atomic`."""
    write_atomic(target, Path(source).read_bytes())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """`RenormError` in place of the system's error about writing `path`."""
    try:
        yield
    except OSError as error:
        raise RenormError(f"{path}: cannot be written: {error.strerror}") from None


def open_append(path: Path) -> BinaryIO:
    """Open `path` to read and append, unbuffered: what a full disk refused is not written again on closing.

    For logs and lock files. Raises `RenormError` when it cannot be opened.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "a+b", buffering=0)


def remove(*paths: Path) -> None:
    """Remove files that may be missing; raises `RenormError` when the system refuses."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RenormError(f"{path}: cannot be removed: {error.strerror}") from None


def remove_parts(folder: Path) -> None:
    """Remove what a killed `write_atomic` left beside its target; only for the holder of the folder's lock."""
    remove(*folder.glob(".*.part"))


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the file system allows it on folders; some network file systems do not."""
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
        raise RenormError(f"{path}: cannot be read as JSON; {hint}") from None


def checksum(document: dict) -> str:
    """SHA-256 of a JSON document without its own `checksum`, so that a changed digit is found."""
    rest = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def write_sealed(path: str | Path, document: dict) -> None:
    """`document` as JSON with its own `checksum`, atomically."""
    write_json(path, sealed(document))


def sealed(document: dict) -> dict:
    """`document` with its own `checksum`."""
    return {**document, "checksum": checksum(document)}


def read_sealed(path: str | Path, hint: str) -> dict:
    """A document of `write_sealed`; raises `RenormError` with `hint` when a character of it was changed."""
    return check_seal(read_json(path, hint), str(path), hint)


def check_seal(document: dict, where: str, hint: str) -> dict:
    """`document`, whose checksum was found right; `RenormError` that names `where` when it is not."""
    try:
        whole = document["checksum"] == checksum(document)
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise RenormError(f"{where}: checksum mismatch: the file was modified or is corrupt; {hint}")
    return document


def sha256(path: str | Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
