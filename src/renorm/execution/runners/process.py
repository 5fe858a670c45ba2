"""A process group, watched to its end: its output copied to the log, ended on a signal or after a time limit."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from renorm.core.errors import RenormError
from renorm.core.files import open_append
from renorm.training.run_log import RunLogger

POLL_SECONDS = 0.1
PROGRESS_SECONDS = 5.0
# For processes that the first one started and did not wait for.
LAST_SECONDS = 1.0
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# Bytes of a line that are kept while its end has not come.
LONGEST_LINE = 65_536


@dataclass(frozen=True)
class End:
    """How the first process ended: its exit code (-n for signal n), or what it was stopped for; `left`: processes of
    its group that outlived it; `last_line` of its output."""

    exit_code: int
    stopped: Literal["", "signal", "timeout"]
    left: int
    last_line: str


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path, log: RunLogger,
    stopping: Callable[[], bool], grace_seconds: float, timeout_seconds: float | None, progress: Callable[[], None],
    started: Callable[[int], None],
) -> End:  # fmt: skip
    """Run `command` in a process group of its own.

    Args:
        command: Program and arguments.
        cwd: Working directory.
        env: All environment variables.
        output: File to which standard output and standard error are appended; `log` gets the same lines.
        log: The cell's log.
        stopping: Whether the group is to be stopped: SIGTERM, and SIGKILL after `grace_seconds`.
        grace_seconds: See `stopping`.
        timeout_seconds: When it is to be stopped anyway; None for never.
        progress: Called every few seconds, and after the end.
        started: Called once with the number of the group.

    Returns:
        How it ended; nothing of the group runs any more.

    Raises:
        RenormError: The command cannot be started.
    """
    with open_append(output) as written, open(output, "rb") as read:
        read.seek(0, os.SEEK_END)
        copy = _Copy(read, log)
        _adopt_orphans(True)
        before = _children()
        try:
            process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise RenormError(f"{command[0]}: cannot be started: {getattr(error, 'strerror', None) or error}") from None
        started(process.pid)
        left: set[int] = set()
        try:
            stopped = _watch(process, stopping, timeout_seconds, copy, progress)
            if stopped:
                _signal(process.pid, signal.SIGTERM)
            _wait_for_group(process, grace_seconds if stopped else LAST_SECONDS, copy)
            left = _members(process.pid)
        finally:
            kill(process.pid)
            process.wait()
            left |= _end_orphans(before)
            _adopt_orphans(False)
        copy.rest()
        progress()
        return End(process.returncode, stopped, 0 if stopped else len(left), copy.last)


def _watch(
    process: subprocess.Popen, stopping: Callable[[], bool], timeout_seconds: float | None, copy: "_Copy",
    progress: Callable[[], None],
) -> Literal["", "signal", "timeout"]:  # fmt: skip
    begun = looked = time.monotonic()
    while process.poll() is None:
        copy.new()
        now = time.monotonic()
        if stopping():
            return "signal"
        if timeout_seconds is not None and now - begun > timeout_seconds:
            return "timeout"
        if now - looked > PROGRESS_SECONDS:
            progress()
            looked = now
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
    return ""


def _wait_for_group(process: subprocess.Popen, seconds: float, copy: "_Copy") -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (process.poll() is None or _members(process.pid)):
        copy.new()
        time.sleep(POLL_SECONDS)


def _members(group: int) -> set[int]:
    """The processes of a group that have not ended."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            state, _, process_group, *_ = path.read_text(errors="replace").rpartition(") ")[2].split()
            if int(process_group) == group and state not in ("Z", "X"):
                found.add(int(path.parent.name))
    return found


def _children() -> set[int]:
    """The processes whose parent is this one, ended ones among them."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            _, parent, *_ = path.read_text(errors="replace").rpartition(") ")[2].split()
            if int(parent) == os.getpid():
                found.add(int(path.parent.name))
    return found


def _end_orphans(before: set[int]) -> set[int]:
    """End what left the process group by a session of its own: without its parent it is a child of this process.

    Args:
        before: Children that this process had when the program was started.

    Returns:
        Those that were still running.
    """
    ended: set[int] = set()
    while orphans := _children() - before:
        for number in orphans:
            with suppress(ProcessLookupError, ChildProcessError):
                if os.waitpid(number, os.WNOHANG)[0] == 0:
                    ended.add(number)
                    os.kill(number, signal.SIGKILL)
                    os.waitpid(number, 0)
    return ended


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def kill(*groups: int) -> None:
    """End all processes of the groups at once."""
    for group in groups:
        _signal(group, signal.SIGKILL)


_libc = ctypes.CDLL(None, use_errno=True)


def _adopt_orphans(wanted: bool) -> None:
    """Whether processes that lose their parent become children of this one, in place of the system's first process."""
    with suppress(AttributeError):
        _libc.prctl(PR_SET_CHILD_SUBREAPER, int(wanted))


def _die_with_parent() -> None:
    """In the child before the program: when this process is killed, so is the program, whose cell is then retried."""
    with suppress(AttributeError):
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class _Copy:
    """Copies whole lines of a growing file to the log; of a line that is drawn again and again, its last state."""

    def __init__(self, source: BinaryIO, log: RunLogger):
        self.source, self.log, self.pending, self.last = source, log, b"", ""

    def new(self) -> None:
        """What has come since the last call."""
        while data := self.source.read(LONGEST_LINE):
            *lines, self.pending = (self.pending + data).split(b"\n")
            # Of a line that is drawn again and again only the newest state is kept.
            self.pending = self.pending.rstrip(b"\r").rpartition(b"\r")[2][-LONGEST_LINE:]
            for line in lines:
                self._write(line)

    def rest(self) -> None:
        """All that is left, the last line without its end among it."""
        self.new()
        if self.pending:
            self._write(self.pending)
        self.pending = b""

    def _write(self, line: bytes) -> None:
        text = line.rstrip(b"\r\n").rpartition(b"\r")[2].decode(errors="replace").rstrip()
        self.log.output(text)
        if text.strip():
            self.last = text.strip()
