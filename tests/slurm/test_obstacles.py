"""Jobs that can never start and nodes on which every job dies, on a real cluster."""

import json

import pytest

from .conftest import study
from .survival import survives
from .test_survival import TRAINING, finish

pytestmark = pytest.mark.slurm


@pytest.fixture
def checkout(make_checkout, cluster, tmp_path):
    return make_checkout(tmp_path / "checkout", cluster, data=True)


def change(checkout, **values: str) -> None:
    """Set values of the profile."""
    profile = checkout.folder / "slurm/config.yaml"
    text = profile.read_text()
    for key, value in values.items():
        line = next(one for one in text.splitlines() if one.strip().removeprefix("# ").startswith(f"{key}:"))
        text = text.replace(line, f"  {key}: {value}")
    profile.write_text(text)


@survives(
    "a job that can never start",
    "named with Slurm's reason by `status`, `why` and Snakemake; given up after `give_up_hours`",
    "one try of three, exit code 1",
)
def test_a_job_that_can_never_start_is_named_and_given_up(checkout):
    change(checkout, slurm_partition="down", give_up_hours="\"'0.008'\"")
    checkout.write(study())
    process = checkout.start(*TRAINING)
    checkout.wait(lambda: checkout.jobs())
    said = checkout.renorm("status", "--config", "study.yaml").stdout
    assert "1 queued jobs cannot start: PartitionDown: the partition takes no jobs at present (job " in said
    found = json.loads(checkout.renorm("status", "--config", "study.yaml", "--json").stdout)
    cell = "digits/tiny_vgg/batch_norm/base/e1/s1"
    assert found["all"] == {"queued": 1} and list(found["cannot_start"]) == [cell]
    why = checkout.renorm("why", cell, "--config", "study.yaml").stdout
    assert "waits in the queue: it cannot start: PartitionDown" in why
    output = finish(checkout, process, expect=1)
    assert output.count("1 jobs cannot start: PartitionDown: ") == 1 and "given up after 0.008 h" in output
    assert f"{cell}: not submitted again: PartitionDown" in output and "Traceback" not in output
    assert [job["state"] for job in checkout.jobs()] == ["CANCELLED"]  # one try of three


DIES_ON_NODE1 = """
import os, sys
if os.environ.get("SLURMD_NODENAME") == "node1":
    sys.exit("no GPU was found")
"""


@survives(
    "a node on which every job fails at once",
    "retries avoid it; after three cells it is excluded",
    "4 of 4 cells, no cell failed twice there",
)
def test_a_bad_node_does_not_eat_the_study(checkout):
    """Retries of a cell avoid the node where it died; after three different cells the node is used no more. `short`
    allows 3000 MB, and a second try would ask for half as much again as the first, 2805 MB."""
    change(checkout, slurm_partition="short")
    snakefile = checkout.folder / "Snakefile"
    snakefile.write_text(DIES_ON_NODE1 + snakefile.read_text())
    checkout.write(study(seeds=[1, 2, 3, 4]))
    output = finish(checkout, checkout.start(*TRAINING))
    assert [checkout.record(seed)["status"] for seed in range(1, 5)] == ["completed"] * 4
    jobs = checkout.jobs()
    died = [job for job in jobs if job["state"] == "FAILED"]
    assert {job["node"] for job in died} == {"node1"} and len(jobs) == 4 + len(died)
    # Two at once, so that a fourth may have started when the third died.
    assert 2 <= len(died) <= 4 and len({job["comment"] for job in died}) == len(died)
    assert output.count("died on node1 after ") == len(died)
    assert ("node1: 3 cells died there within 60 s" in output) == (len(died) >= 3)
    assert {job["memory"] for job in jobs if job not in died} <= {"2805M", "3000M"}
    assert "3000M" in {job["memory"] for job in jobs}
