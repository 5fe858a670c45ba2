"""What a study has cost on a cluster: every job that was submitted for its results, failed tries included.

`jobs.csv` in results_dir has a line when a job is submitted and one when it has ended. Hours are those for which the
cluster reserved the devices: start-up and waiting for locks count, waiting in the queue does not.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from renorm.core.errors import RenormError
from renorm.core.files import open_append, writing

FILE = "jobs.csv"
SUBMITTED = "SUBMITTED"


@dataclass(frozen=True)
class JobEntry:
    """One job: of which cell, with how many GPUs and CPU cores, on which node, in which state it ended, and after how
    many seconds; of a job whose end is not known `state` is SUBMITTED."""

    job: str
    cell: str
    gpus: int
    cpus: int
    state: str = SUBMITTED
    node: str = ""
    seconds: float = 0.0

    @property
    def gpu_hours(self) -> float:
        return self.gpus * self.seconds / 3600

    @property
    def cpu_hours(self) -> float:
        return self.cpus * self.seconds / 3600


def append(results_dir: Path, entries: Iterable[JobEntry]) -> None:
    """Add lines to jobs.csv; only for the holder of the driver's lock."""
    path, out = results_dir / FILE, io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    with open_append(path) as file, writing(path):
        if not file.tell():
            writer.writerow(field.name for field in fields(JobEntry))
        writer.writerows(astuple(entry) for entry in entries)
        file.write(out.getvalue().encode())


def read(results_dir: Path) -> list[JobEntry]:
    """Every job once, with the last that is known of it; empty where none was ever submitted."""
    path = results_dir / FILE
    if not path.exists():
        return []
    last: dict[str, JobEntry] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                entry = JobEntry(row["job"], row["cell"], int(row["gpus"]), int(row["cpus"]), row["state"],
                                 row["node"], float(row["seconds"]))  # fmt: skip
            except (KeyError, TypeError, ValueError):
                raise RenormError(
                    f"{path}:{number}: expected the columns and values of jobs.csv: remove the line"
                ) from None
            last[entry.job] = entry
    return list(last.values())


@dataclass(frozen=True)
class Spent:
    """Hours of jobs; `lost`: hours of those that did not complete, `unknown`: jobs whose end is not known."""

    jobs: int
    gpu_hours: float
    cpu_hours: float
    lost_gpu_hours: float
    lost_cpu_hours: float
    unknown: int


def spent(entries: Iterable[JobEntry]) -> Spent:
    """The sum of some jobs."""
    entries = list(entries)
    lost = [one for one in entries if one.state not in ("COMPLETED", SUBMITTED)]
    return Spent(
        len(entries), sum(one.gpu_hours for one in entries), sum(one.cpu_hours for one in entries),
        sum(one.gpu_hours for one in lost), sum(one.cpu_hours for one in lost),
        sum(one.state == SUBMITTED for one in entries),
    )  # fmt: skip
