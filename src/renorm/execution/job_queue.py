"""The jobs of a study in the cluster's queue, whatever the scheduler: list them, cancel them."""

import re
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from renorm.core.errors import RenormError
from renorm.core.locks import locked
from renorm.execution.slurm import queue as slurm
from renorm.execution.slurm.commands import ask, words
from renorm.execution.slurm.queue import QueueJob

LOCK = slurm.LOCK
_HELD = ExitStack()


class JobQueue(Protocol):
    """What `status`, `why` and `resume-study` need of a scheduler."""

    def jobs(self) -> list[QueueJob]:
        """The jobs that train cells of the study. Raises `RenormError` when the scheduler does not answer."""

    def cancel(self, jobs: Iterable[QueueJob]) -> None:
        """Cancel some of them; one that has ended meanwhile is accepted."""


@dataclass(frozen=True)
class SlurmQueue:
    """Jobs by the mark in their comments."""

    results_dir: Path

    def jobs(self) -> list[QueueJob]:
        return slurm.jobs(self.results_dir)

    def cancel(self, jobs: Iterable[QueueJob]) -> None:
        ask("scancel", *(job.id for job in jobs))


@dataclass(frozen=True)
class ScriptQueue:
    """Jobs of workflow/profiles/queue/submit.sh, of which `.queue` in results_dir has the cells; `qstat` and `qdel`."""

    results_dir: Path

    def jobs(self) -> list[QueueJob]:
        cells = {path.stem: path for path in (self.results_dir / ".queue").glob("*.cell")}
        if not cells:
            return []
        answer = ask("qstat") if shutil.which("qstat") else None
        if answer is None or answer.returncode:
            reason = words(answer.stderr) if answer else "there is no 'qstat' on the PATH"
            raise RenormError(f"qstat: the scheduler does not answer ({reason}): try again when it does")
        states = {}
        for line in answer.stdout.splitlines():
            # PBS: number.server name user time S queue; Grid Engine: number priority name user state date …
            if found := re.match(r"\s*(\d+)[.\w-]*\s+(.*)", line):
                letters = re.findall(r"(?<!\S)(E?h?qw|[QHWRETSBhrtsd])(?!\S)", found[2])
                states[found[1]] = letters[0] if letters else "R"
        return [
            QueueJob(number, "PENDING" if re.fullmatch(r"[QHW]|E?h?qw", state) else "RUNNING", state, "renorm",
                     path.read_text().strip(), "")
            for number, path in cells.items()
            if (state := states.get(number.partition(".")[0]))
        ]  # fmt: skip

    def cancel(self, jobs: Iterable[QueueJob]) -> None:
        ask("qdel", *(job.id for job in jobs))


def hold(results_dir: Path) -> None:
    """Hold the lock of those who submit jobs of `results_dir` until this process ends: two would submit every cell
    twice. Raises `RenormError` that names who holds it."""
    _HELD.enter_context(locked(results_dir / LOCK, f"results_dir '{results_dir}'"))


def prepare_scripts(results_dir: str) -> None:
    """For Snakemake's `onstart` under the executor cluster-generic; raises `RenormError` for jobs of a killed run."""
    hold(Path(results_dir))
    left = ScriptQueue(Path(results_dir)).jobs()
    if left:
        raise RenormError(f"{len(left)} jobs of a previous run are in the queue (job {left[0].id}): wait for them, or "
                          "start with `renorm resume-study -- ARGUMENTS`")  # fmt: skip


def of(results_dir: Path) -> JobQueue | None:
    """The queue in which jobs of `results_dir` were ever submitted, if any: commands may be there without a cluster."""
    if (results_dir / ".queue").is_dir():
        return ScriptQueue(results_dir)
    return SlurmQueue(results_dir) if (results_dir / LOCK).exists() else None
