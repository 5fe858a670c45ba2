"""What one Snakemake learns of its jobs while it runs: those that can never start, and nodes where cells die."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from renorm.execution.slurm.commands import ask, rows, user
from renorm.execution.slurm.queue import obstacle
from renorm.runs.job_log import JobEntry

ENDED = (
    "COMPLETED",
    "FAILED",
    "NODE_FAIL",
    "BOOT_FAIL",
    "CANCELLED",
    "TIMEOUT",
    "OUT_OF_MEMORY",
    "DEADLINE",
    "PREEMPTED",
)
DIED = ("FAILED", "NODE_FAIL", "BOOT_FAIL")  # for which the node may be the reason
QUICK_SECONDS = 60  # a cell that fails earlier has hardly begun to train
SICK_CELLS = 3  # different cells that died so quickly on a node, one after the other, before it is excluded
ASK_SECONDS = 60  # between two questions for the reasons of pending jobs, at least


@dataclass
class Watch:
    """State of one run.

    Attributes:
        say: Prints a line.
        give_up_seconds: How long a job that can never start is kept.
        accounting: Whether `sacct` knows the jobs that have ended.
        note: Keeps what is known of jobs.
        names: Job names of earlier runs whose jobs were taken over.
        gave_up: Cell → why its job was given up; it is not submitted again.
        sick: Nodes that no further job of this run is to use.
    """

    say: Callable[[str], None]
    give_up_seconds: float
    accounting: bool
    note: Callable[[list[JobEntry]], None] = lambda entries: None
    names: set[str] = field(default_factory=set)
    gave_up: dict[str, str] = field(default_factory=dict)
    sick: set[str] = field(default_factory=set)
    _died_on: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _quick: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _ended: set[str] = field(default_factory=set)
    _stuck_since: dict[str, float] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)
    _asked: float = float("-inf")

    def avoid(self, cell: str) -> set[str]:
        """Nodes where the next job of `cell` is not to run."""
        return self.sick | self._died_on[cell]

    def after_poll(self, jobs: Mapping[str, JobEntry], states: dict[str, str]) -> None:
        """Learn from the `states` of `jobs` (by number); those given up become CANCELLED in it."""
        ended = {job for job in jobs if states.get(job) in ENDED} - self._ended
        if ended:
            self._ended |= ended
            self._learn({job: jobs[job] for job in ended}, states)
        waiting = {job: jobs[job].cell for job in jobs if states.get(job) == "PENDING"}
        if waiting and time.monotonic() - self._asked >= ASK_SECONDS:
            self._asked = time.monotonic()
            for job in self._stuck(waiting):
                states[job] = "CANCELLED"

    def _learn(self, ended: Mapping[str, JobEntry], states: Mapping[str, str]) -> None:
        known = {job: (node, seconds) for job, node, seconds in places(ended, self.accounting)}
        self.note([
            replace(entry, state=states[job], node=node, seconds=seconds)
            for job, entry in ended.items()
            for node, seconds in [known.get(job, ("", 0.0))]
        ])  # fmt: skip
        for job, (node, seconds) in known.items():
            cell = ended[job].cell
            if states[job] == "COMPLETED":
                self._quick.pop(node, None)
            if states[job] not in DIED or not node:
                continue
            self.say(f"{cell}: job {job} died on {node} after {seconds:.0f} s; its next try avoids that node")
            self._died_on[cell].add(node)
            if seconds <= QUICK_SECONDS and cell not in self._quick[node]:
                self._quick[node].append(cell)
            if len(self._quick[node]) >= SICK_CELLS and node not in self.sick:
                self.sick.add(node)
                cells = ", ".join(self._quick[node])
                self.say(
                    f"{node}: {len(self._quick[node])} cells died there within {QUICK_SECONDS} s of their start, one "
                    f"after the other: no further job of this run uses it ({cells})"
                )

    def _stuck(self, waiting: Mapping[str, str]) -> list[str]:
        """Say which jobs can never start; cancel those that were so for too long, and return them."""
        answer = ask("squeue", "--noheader", "--states=PENDING", f"--user={user()}", "--format=%i|%r")
        if answer.returncode:
            return []
        found = {job: obstacle(reason) for job, reason in rows(answer.stdout, 2) if job in waiting}
        found = {job: why for job, why in found.items() if why}
        now = time.monotonic()
        self._stuck_since = {job: self._stuck_since.get(job, now) for job in found}
        for why in sorted(set(found.values()) - self._said):
            self._said.add(why)
            jobs = sorted(job for job in found if found[job] == why)
            self.say(
                f"{len(jobs)} jobs cannot start: {why}; given up after {self.give_up_seconds / 3600:g} h "
                f"(give_up_hours of the profile): job {jobs[0]}, {waiting[jobs[0]]}{' …' * (len(jobs) > 1)}"
            )
        over = [job for job, since in self._stuck_since.items() if now - since >= self.give_up_seconds]
        if over:
            ask("scancel", *over)
        for job in over:
            self.gave_up[waiting[job]] = found[job]
            self.say(f"{waiting[job]}: job {job} given up: {found[job]}")
        return over


def places(jobs: Collection[str], accounting: bool) -> Iterable[tuple[str, str, float]]:
    """(job, node, seconds that it ran) of jobs that have ended; the node is empty if there was none or several."""
    numbers = ",".join(sorted(jobs))
    if accounting:
        answer = ask("sacct", "-X", "--noheader", "--parsable2", f"--jobs={numbers}",
                     "--format=JobIDRaw,NodeList,ElapsedRaw")  # fmt: skip
    else:
        answer = ask("squeue", "--noheader", "--states=all", f"--jobs={numbers}", "--format=%i|%N|%M")
    for job, node, elapsed in rows(answer.stdout, 3):
        if job in jobs:
            yield job, node if re.fullmatch(r"[\w.-]+", node) else "", seconds(elapsed)


def seconds(elapsed: str) -> float:
    """Slurm's `days-hours:minutes:seconds`, or less of it, or seconds; 0 for what is none of them."""
    days, _, clock = elapsed.strip().rpartition("-")
    try:
        parts = [float(part) for part in clock.split(":")]
        return float(days or 0) * 86400 + sum(part * 60**k for k, part in enumerate(reversed(parts)))
    except ValueError:
        return 0.0
