"""Jobs in the Slurm queue that a killed Snakemake left behind, and the recovery from them."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from renorm.execution.slurm.commands import ask, user


@dataclass(frozen=True)
class QueueJob:
    """A job in the Slurm queue that trains a cell."""

    id: str
    state: str
    comment: str

    @property
    def pending(self) -> bool:
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")


def orphaned_jobs(folder: Path, prefix: str) -> list[QueueJob]:
    """Training jobs in the queue that a Snakemake in `folder` submitted; empty where Slurm is absent or silent.

    Args:
        folder: The working directory of that Snakemake.
        prefix: What the jobs' names begin with (`slurm-jobname-prefix` of the profile); empty: any.
    """
    if not shutil.which("squeue"):
        return []
    try:
        answer = subprocess.run(
            ["squeue", "--noheader", f"--user={user()}", "--format=%i|%T|%Z|%j|%k"],
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return []
    found = []
    for line in answer.stdout.splitlines():
        number, state, where, name, comment = line.split("|", 4)
        if name.startswith(prefix) and "rule_train" in comment and Path(where) == folder:
            found.append(QueueJob(number, state, comment))
    return found


def drain_queue(folder: Path, prefix: str, cancel: bool, say: Callable[[str], None], pause: float = 5) -> None:
    """Return when no orphaned job is left.

    Args:
        folder, prefix: As of `orphaned_jobs`.
        cancel: Cancel running jobs too, which then save a checkpoint; else wait for them. Pending ones are cancelled.
        say: Gets a line whenever the number of running jobs has changed.
        pause: Seconds between two queries of the queue.
    """
    reported = None
    while left := orphaned_jobs(folder, prefix):
        ending = [job.id for job in left if cancel or job.pending]
        if ending:
            ask("scancel", *ending)
        running = len([job for job in left if not job.pending])
        if running != reported:
            say(f"{len(ending)} jobs cancelled, {running} running: {'they save and end' if cancel else 'waiting'}")
            reported = running
        time.sleep(pause if running and not cancel else 1)


def resume(folder: Path, prefix: str, cancel: bool, arguments: list[str]) -> int:
    """Drain the queue of a previous run's jobs, then run Snakemake with `arguments`; returns its exit code."""
    drain_queue(folder, prefix, cancel, lambda line: print(f"renorm: {line}", file=sys.stderr))
    command = [sys.executable, "-m", "snakemake"]
    if any((folder / ".snakemake/locks").glob("*")):
        # The lock of the killed Snakemake, where the profile has locks at all.
        subprocess.run([*command, *arguments, "--unlock"], check=False)
    return subprocess.run([*command, *arguments]).returncode
