"""On a real cluster with accounting: limits of accounts, the queue's length, and what jobs have cost."""

import json
import shutil

import pytest

from renorm.runs import job_log

from .cluster import PROGRAMS, Cluster
from .conftest import study
from .survival import survives
from .test_grid import complaint
from .test_survival import (
    EPOCHS,
    TRAINING,
    check_numbers,
    finish,
    kill,
    long_study,
    signal,
    trainers,
)

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason="needs Debian's slurmdbd and mariadb-server"),
]  # fmt: skip


@pytest.fixture(scope="module")
def accounting_cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("accounting") / "cluster", accounting=True) as cluster:
        yield cluster


@pytest.fixture
def limit(accounting_cluster):
    """Set limits of the QOS that every job has; they are lifted afterwards."""
    changed = []

    def modify(*settings: str) -> None:
        accounting_cluster.run("sacctmgr", "-i", "modify", "qos", "normal", "set", *settings)
        changed.extend(one.partition("=")[0] for one in settings)

    yield modify
    if changed:
        modify(*(f"{name}=-1" for name in changed))


@pytest.fixture
def checkout(make_checkout, accounting_cluster, tmp_path):
    accounting_cluster.settle()
    return make_checkout(tmp_path / "checkout", accounting_cluster, data=True)


@survives(
    "a policy of the account that the largest job violates",
    "one line with Slurm's code, nothing submitted",
    "exit code 2, 0 jobs",
)
def test_a_policy_that_the_largest_job_violates_is_one_line(make_checkout, accounting_cluster, tmp_path, limit):
    checkout = make_checkout(tmp_path / "checkout", accounting_cluster)
    limit("MaxWall=5", "Flags=DenyOnLimit")
    checkout.write(study())
    assert "QOSMaxWallDurationPerJobLimit; Job violates accounting/QOS policy" in complaint(checkout)


@survives(
    "MaxJobs = 1 and MaxSubmitJobs = 2 of the account, Snakemake and a trainer killed meanwhile",
    "one cell after the other; `jobs.csv` has the hours of all jobs as `sacct` has them",
    "3 cells, 4 jobs, 1 resume, equal",
)
def test_a_busy_cluster_a_killed_driver_and_a_failed_try(checkout, limit, undisturbed):
    """One job at a time runs, two are in the queue (MaxJobs, MaxSubmitJobs). No cell is trained twice, and the hours of
    all jobs, the failed one among them, are those that sacct knows."""
    limit("MaxJobsPerUser=1", "MaxSubmitJobsPerUser=2")
    checkout.write(long_study([1, 2, 3]))
    first = checkout.start(*TRAINING)
    cells = [checkout.cell(seed, EPOCHS) for seed in (1, 2, 3)]
    checkout.wait(lambda: any((cell / "checkpoint.pt").exists() for cell in cells), every=0.05)
    checkout.wait(lambda: len(checkout.jobs()) == 2)
    first.kill()
    said, _ = first.communicate()
    assert said.count("the queue takes no more jobs (QOSMaxSubmitJobPerUserLimit)") == 1
    second = checkout.start(*TRAINING)
    checkout.wait(lambda: sum((cell / "run.json").exists() for cell in cells) == 1)
    checkout.wait(lambda: any((cell / "checkpoint.pt").exists() for cell in cells), every=0.05)
    for pid in trainers(checkout.folder):
        kill(pid, signal.SIGKILL)
    finish(checkout, second)
    assert sorted(job["state"] for job in checkout.jobs()) == ["COMPLETED"] * 3 + ["FAILED"]
    records = [check_numbers(checkout, undisturbed, seed) for seed in (1, 2, 3)]
    assert sorted(record["resumes"] for record in records) == [0, 0, 1]
    last = {job["comment"].rsplit("_", 1)[1]: job["id"] for job in checkout.jobs() if job["state"] == "COMPLETED"}
    assert [record["usage"]["job"] for record in records] == [last[seed] for seed in "123"]
    assert all(record["usage"]["host"] and record["usage"]["peak_memory_mb"] > 100 for record in records)
    costs(checkout, 4, 1)


def costs(checkout, jobs: int, lost: int) -> None:
    found = job_log.read(checkout.folder / "results")
    numbers = ",".join(one.job for one in found)
    sacct = checkout.cluster.run("sacct", "-X", "-nP", f"--jobs={numbers}", "--format=JobIDRaw,State,ElapsedRaw")
    known = {number: (state, float(seconds)) for number, state, seconds in (x.split("|") for x in sacct.splitlines())}
    assert len(found) == len(known) == jobs
    assert {one.job: (one.state, one.seconds) for one in found} == known
    assert sum(one.state != "COMPLETED" for one in found) == lost
    document = json.loads(checkout.renorm("status", "--config", "study.yaml", "--json").stdout)
    assert document["spent"]["all"]["hours"] == pytest.approx(sum(seconds for _, seconds in known.values()) / 3600)
    assert f"GPU-hours in {jobs} jobs" in checkout.renorm("status", "--config", "study.yaml").stdout
