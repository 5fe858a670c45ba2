"""After Snakemake was killed: cancel or await its jobs, and start it again."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from renorm.execution import job_queue


def drain_queue(results_dir: Path, cancel: bool, say: Callable[[str], None], pause: float = 5) -> None:
    """Return when no job of `results_dir` is left in the queue.

    Args:
        results_dir: Of the study.
        cancel: Cancel running jobs too, which then save a checkpoint; else wait for them. Pending ones are cancelled.
        say: Gets a line whenever the number of running jobs has changed.
        pause: Seconds between two queries of the queue.

    Raises:
        RenormError: The scheduler does not answer.
    """
    reported, queue = None, job_queue.of(results_dir)
    while left := queue.jobs() if queue else []:
        ending = [job for job in left if cancel or job.pending]
        if ending and queue:
            queue.cancel(ending)
        running = len([job for job in left if not job.pending])
        if running != reported:
            say(f"{len(ending)} jobs cancelled, {running} running: {'they save and end' if cancel else 'waiting'}")
            reported = running
        time.sleep(pause if running and not cancel else 1)


def resume(folder: Path, results_dir: Path, cancel: bool, arguments: list[str]) -> int:
    """Drain the queue of a previous run's jobs, then run Snakemake with `arguments`; returns its exit code."""
    drain_queue(results_dir, cancel, lambda line: print(f"renorm: {line}", file=sys.stderr))
    command = [sys.executable, "-m", "snakemake"]
    if any((folder / ".snakemake/locks").glob("*")):
        # The lock of the killed Snakemake, where the profile has locks at all.
        subprocess.run([*command, *arguments, "--unlock"], check=False)
    return subprocess.run([*command, *arguments]).returncode
