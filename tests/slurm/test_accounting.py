"""On a real cluster with accounting: limits of accounts, the queue's length, and what jobs have cost."""

import json
import shutil

import pytest

from renorm.execution import job_log

from .cluster import PROGRAMS, Cluster
from .conftest import study
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
    wait_for_checkpoint,
)

pytestmark = [
    pytest.mark.slurm, pytest.mark.xdist_group("slurm"),
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


def test_a_policy_that_the_largest_job_violates_is_one_line(make_checkout, accounting_cluster, tmp_path, limit):
    checkout = make_checkout(tmp_path / "checkout", accounting_cluster)
    limit("MaxWall=5", "Flags=DenyOnLimit")
    checkout.write(study())
    assert "QOSMaxWallDurationPerJobLimit; Job violates accounting/QOS policy" in complaint(checkout)


def test_one_job_at_a_time_and_two_in_the_queue_with_a_killed_driver_and_a_failed_try(checkout, limit, undisturbed):
    """MaxJobs and MaxSubmitJobs, as on a busy cluster. The hours of all jobs are those that sacct knows."""
    limit("MaxJobsPerUser=1", "MaxSubmitJobsPerUser=2")
    checkout.write(long_study([1, 2, 3]))
    first = checkout.start(*TRAINING)
    checkout.wait(lambda: len(checkout.jobs()) == 2)
    checkout.wait(
        lambda: any((checkout.cell(seed, EPOCHS) / "checkpoint.pt").exists() for seed in (1, 2, 3)), every=0.05
    )
    first.kill()
    said, _ = first.communicate()
    assert said.count("the queue takes no more jobs (QOSMaxSubmitJobPerUserLimit)") == 1
    finish(checkout, checkout.start(*TRAINING))
    assert [job["state"] for job in checkout.jobs()] == ["COMPLETED"] * 3
    assert [check_numbers(checkout, undisturbed, seed)["resumes"] for seed in (1, 2, 3)] == [0, 0, 0]
    costs(checkout, 3, 0)


def costs(checkout, jobs: int, lost: int) -> None:
    found = job_log.read(checkout.folder / "results")
    numbers = ",".join(one.job for one in found)
    sacct = checkout.cluster.run("sacct", "-X", "-nP", f"--jobs={numbers}", "--format=JobIDRaw,State,ElapsedRaw")
    known = {number: (state, float(seconds)) for number, state, seconds in (x.split("|") for x in sacct.splitlines())}
    assert len(found) == len(known) == jobs
    assert {one.job: (one.state, one.seconds) for one in found} == known
    assert sum(one.state != "COMPLETED" for one in found) == lost
    document = json.loads(checkout.renorm("status", "--config", "study.yaml", "--json").stdout)
    assert document["spent"]["gpu_hours"] == pytest.approx(sum(seconds for _, seconds in known.values()) / 3600)


def test_a_failed_try_is_counted_and_the_record_names_job_node_and_memory(checkout, undisturbed):
    checkout.write(long_study([1]))
    process = checkout.start(*TRAINING)
    wait_for_checkpoint(checkout, 1)
    for pid in trainers(checkout.folder):
        kill(pid, signal.SIGKILL)
    finish(checkout, process)
    record = check_numbers(checkout, undisturbed, 1)
    costs(checkout, 2, 1)
    last = checkout.jobs()[-1]
    assert record["usage"]["job"] == last["id"] and record["usage"]["host"] and record["usage"]["peak_memory_mb"] > 100
    said = checkout.renorm("status", "--config", "study.yaml").stdout
    assert "GPU-hours in 2 jobs" in said


def test_jobs_that_their_account_may_never_start_are_named(checkout):
    """The partition takes another account: sbatch accepts the job, which then waits for ever."""
    profile = checkout.folder / "slurm/config.yaml"
    text = profile.read_text().replace("slurm_partition: gpu ", "slurm_partition: closed ")
    profile.write_text(text.replace("give_up_hours: 24 ", "give_up_hours: \"'0.004'\" "))
    checkout.write(study())
    output = checkout.snakemake(*TRAINING, expect=1)
    assert "1 jobs cannot start: Job's account not permitted to use this partition (closed allows vip not " in output
    assert [job["state"] for job in checkout.jobs()] == ["CANCELLED"]
