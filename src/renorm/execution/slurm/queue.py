"""The user's jobs in the Slurm queue that train the cells of one results folder, whoever submitted them."""

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from renorm.core.errors import RenormError
from renorm.execution.slurm.commands import ask, rows, user, words

LOCK = ".driver.lock"  # in results_dir, held by the Snakemake that submits the study's jobs
PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
# Reasons of squeue with which a job never starts unless a person changes something, and what that is.
NEVER_STARTS = {
    r"PartitionTimeLimit": "it asks for more time than the partition allows",
    r"PartitionNodeLimit": "it asks for more nodes than the partition allows",
    r"PartitionDown|PartitionInactive": "the partition takes no jobs at present",
    r"MaxMemPerLimit": "it asks for more memory than the partition allows",
    r"[Jj]ob's (account|QOS) not permitted|AccountNotAllowed|QOSNotAllowed|InvalidAccount|InvalidQOS":
        "the partition does not take this account or QOS",
    r"(QOS|Assoc)Grp\w*(Minutes|RunMinutes)": "the account's allocation is used up",
    r"(QOS|Assoc)Max\w*PerJob\w*|(QOS|Assoc)MaxWall\w*|QOSMin\w*": "it asks for another amount than its account may",
    r"JobHeldAdmin": "an administrator holds it",
    r"JobHeldUser": "it is held: `scontrol release JOB`",
    r"[Jj]obs?HeldRequeue|launch failed requeued held": "its start failed and Slurm holds it: `scontrol release JOB`",
    r"DependencyNeverSatisfied": "it waits for a job that failed",
    r"^E?hqw$|^H$": "it is held",
    r"^Eqw$": "Grid Engine put it into an error state: `qstat -j JOB` says why",
    r"BadConstraints": "no node has what it asks for",
    r"Reservation(Deleted)?$": "its reservation is not active",
}  # fmt: skip


@dataclass(frozen=True)
class QueueJob:
    """A job in the queue.

    `cell`: the values of the wildcards, joined by `_`; `inputs`: `marker`'s digest of what the training depends on;
    `reason`: why it waits, in Slurm's words.
    """

    id: str
    state: str
    reason: str
    name: str
    cell: str
    inputs: str

    @property
    def pending(self) -> bool:
        return self.state in PENDING

    @property
    def obstacle(self) -> str:
        """Why the job will never start, in Slurm's words and ours; empty when it may."""
        return obstacle(self.reason) if self.pending else ""


def obstacle(reason: str) -> str:
    """Slurm's reason with what it means if a job with it never starts, else empty."""
    for pattern, meaning in NEVER_STARTS.items():
        if re.search(pattern, reason):
            return f"{reason}: {meaning}"
    return ""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def marker(results_dir: Path, inputs: str) -> str:
    """What a job's comment ends with: whose job it is, across clones of the repository and working directories."""
    return f"results={digest(str(results_dir.resolve()))} inputs={digest(inputs)}"


def jobs(results_dir: Path) -> list[QueueJob]:
    """The jobs in the queue that train cells of `results_dir`; none where there is no Slurm.

    Raises:
        RenormError: Slurm does not answer, which does not mean that the queue is empty.
    """
    if not shutil.which("squeue"):
        return []
    answer = ask("squeue", "--noheader", f"--user={user()}", "--format=%i|%T|%r|%j|%k")
    if answer.returncode:
        raise RenormError(f"squeue: Slurm does not answer ({words(answer.stderr)}): try again when it does")
    mine = f" results={digest(str(results_dir.resolve()))} "
    found = []
    for number, state, reason, name, comment in rows(answer.stdout, 5):
        if mine in comment:
            rule, _, inputs = comment.partition(mine)
            cell = re.sub(r"^rule_train_wildcards_", "", rule)
            found.append(QueueJob(number, state, reason, name, cell, inputs.removeprefix("inputs=").strip()))
    return found
