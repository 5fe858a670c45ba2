"""Submission that is tried again while the queue is full.

`python -m renorm.execution.slurm.submit PID sbatch …` takes the place of `sbatch …`.

Imports nothing but the standard library, since every submission starts it.
"""

import os
import subprocess
import sys
import time

PAUSE = 10  # seconds between two tries at a busy or absent controller
# What sbatch says when it would take the same job later. Everything else is an error at once.
LATER = (
    "Unable to contact slurm controller", "Socket timed out", "Connection refused", "temporarily unable",
    "Resource temporarily unavailable", "MaxSubmitJob", "job submit limit", "QOSMaxSubmit", "AssocMaxSubmit",
)  # fmt: skip


def submit(snakemake: int, command: list[str]) -> int:
    """Run sbatch until the queue takes the job.

    Args:
        snakemake: The process that submits; without it, sbatch is not tried again.
        command: The sbatch command line.

    Returns:
        The exit code of sbatch, whose output is passed on.
    """
    while True:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if not done.returncode or not any(words in done.stderr for words in LATER) or not _alive(snakemake):
            sys.stdout.write(done.stdout)
            sys.stderr.write(done.stderr)
            return done.returncode
        time.sleep(PAUSE)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


if __name__ == "__main__":
    sys.exit(submit(int(sys.argv[1]), sys.argv[2:]))
