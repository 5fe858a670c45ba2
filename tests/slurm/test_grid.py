"""`snakemake --profile slurm` on a real cluster: the grid, what runs again, a failing cell, no GPU, two studies."""

import re
import shutil
import threading

import pytest

from .cluster import GPUS, environ, trainers
from .conftest import study
from .survival import survives

pytestmark = pytest.mark.slurm
CELLS = 5  # one more than GPUs, so that one waits


class Watch(threading.Thread):
    """Looks at queue and processes until told to stop: jobs per node, and the GPUs that each trainer was given."""

    def __init__(self, checkout):
        super().__init__(daemon=True)
        self.checkout, self.done = checkout, threading.Event()
        self.most: dict[str, int] = {}
        self.given: dict[str, tuple[str, str]] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self.done.wait(0.4):
            nodes = [job["node"] for job in self.checkout.jobs() if job["state"] == "RUNNING"]
            for node in nodes:
                self.most[node] = max(self.most.get(node, 0), nodes.count(node))
            using = self._using()
            if len(set(using.values())) != len(using):
                self.wrong.append(f"two jobs on one GPU: {using}")
            for job, seen in using.items():
                if job not in self.given:
                    self._compare(job, seen)

    def _using(self) -> dict[str, tuple[str, str]]:
        """Slurm job → (node, GPU) of the trainers that were there at one and the same moment."""
        found = {pid: environ(pid) for pid in trainers(self.checkout.folder)}
        alive = trainers(self.checkout.folder)
        return {
            env["SLURM_JOB_ID"]: (env["SLURMD_NODENAME"], env.get("CUDA_VISIBLE_DEVICES", ""))
            for pid, env in found.items() if pid in alive and "SLURM_JOB_ID" in env
        }  # fmt: skip

    def _compare(self, job: str, seen: tuple[str, str]) -> None:
        """What a trainer sees against what the controller says it granted."""
        text = self.checkout.cluster.run("scontrol", "show", "job", "-d", job, check=False)
        granted = re.search(r"Nodes=(\S+) .*GRES=gpu:1\(IDX:(\d+)\)", text)
        if granted:
            self.given[job] = seen
            if granted.groups() != seen:
                self.wrong.append(f"job {job} was granted {granted.groups()} and sees {seen}")


@pytest.fixture(scope="module")
def finished(make_checkout, running_cluster, tmp_path_factory):
    """Cells, trained on the cluster with one GPU each, and what was seen while they were."""
    running_cluster.settle()
    checkout = make_checkout(tmp_path_factory.mktemp("grid") / "checkout", running_cluster)
    checkout.write(study(seeds=list(range(1, CELLS + 1))))
    watch = Watch(checkout)
    watch.start()
    try:
        checkout.snakemake()
    finally:
        watch.done.set()
        watch.join()
    return checkout, watch


@survives(
    "5 cells, 2 nodes × 2 GPUs",
    "never more jobs on a node than GPUs; every trainer sees only the device that the controller assigned to it",
    "5 cells, 5 jobs, at most 2 at once on each node",
)
def test_a_grid_over_two_nodes_with_two_gpus_each(finished):
    checkout, watch = finished
    assert [checkout.record(seed)["status"] for seed in range(1, CELLS + 1)] == ["completed"] * CELLS
    assert (checkout.folder / "results/small/report.html").stat().st_size > 0
    assert len(checkout.jobs()) == CELLS
    assert watch.wrong == []
    assert watch.most == {"node1": GPUS, "node2": GPUS}
    assert len(watch.given) > CELLS / 2
    assert {gpu for _, gpu in watch.given.values()} == {"0", "1"}


@survives("a start with nothing missing", "nothing is submitted", "0 jobs")
def test_nothing_to_do_submits_nothing(finished):
    checkout, _ = finished
    before = len(checkout.jobs())
    checkout.snakemake()
    assert len(checkout.jobs()) == before


@survives(
    "a result deleted, and a seed added",
    "exactly the missing cells are submitted",
    "2 of 6 cells; with a retry, 3 jobs",
)
@survives(
    "a cell that cannot be trained",
    "the others finish; the error names the cell, its log and the Slurm log; the report counts it as failed",
    "5 of 6 cells in the partial report, exit code 1",
)
def test_only_what_is_missing_is_submitted_and_a_failing_cell_stops_nothing(finished):
    checkout, _ = finished
    (checkout.cell(3) / "run.json").unlink()
    checkout.write(study(seeds=list(range(1, CELLS + 2))))
    assert checkout.pending()["train"] == 2
    # The new cell cannot write its results: what stands in its place is no folder.
    checkout.cell(CELLS + 1).mkdir(parents=True)
    (checkout.cell(CELLS + 1) / ".history.csv").touch()
    (checkout.cell(CELLS + 1) / "checkpoint.pt").mkdir()
    before = len(checkout.jobs())
    output = checkout.snakemake("--retries", "1", expect=1)
    jobs = checkout.jobs()[before:]
    assert sorted(int(job["comment"].rsplit("_", 1)[1]) for job in jobs) == [3, CELLS + 1, CELLS + 1]
    assert checkout.record(3)["status"] == "completed"
    log = checkout.cell(CELLS + 1).relative_to(checkout.folder) / "log.txt"
    assert f"Cell digits/tiny_vgg/batch_norm/base/e1/s{CELLS + 1}" in output and str(log) in output
    assert "slurm_logs" in output
    status = checkout.renorm("status", "--config", "study.yaml")
    assert str(log) in status.stdout and "failed" in status.stdout
    page = (checkout.folder / "results/small.partial/report.html").read_text()
    assert f"{CELLS} of {CELLS + 1}" in page


@survives(
    "two studies from one folder at once",
    "each in its `results_dir`, also while jobs of one wait and the other ends",
    "1 + 1 cells on one GPU, 2 jobs",
)
def test_two_studies_from_one_checkout_at_once(checkout):
    """There is one GPU for both, so that the job of one waits while the other one ends and cleans up."""
    from .test_survival import one_at_a_time

    one_at_a_time(checkout)
    checkout.write(study(study="one", results_dir="one", seeds=[1]), "one.yaml")
    checkout.write(study(study="two", results_dir="two", seeds=[1]), "two.yaml")
    running = [checkout.start(config=name) for name in ("one.yaml", "two.yaml")]
    outputs = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert [job["state"] for job in checkout.jobs()] == ["COMPLETED"] * 2
    assert {job["node"] for job in checkout.jobs()} == {"node4"}
    for name in ("one", "two"):
        assert (checkout.folder / name / name / "report.html").exists()
        assert len(list((checkout.folder / name / "runs").rglob("run.json"))) == 1
    assert not (checkout.folder / "results").exists()


def stub(checkout, name: str, text: str) -> None:
    """A program that stands in front of the cluster's own for this checkout."""
    path = checkout.folder / "stubs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    checkout.extra["PATH"] = f"{path.parent}:{checkout.cluster.env['PATH']}"


def complaint(checkout) -> str:
    """The one line that Snakemake ended with before it submitted anything."""
    output = checkout.snakemake(expect=2)
    lines = [line for line in output.splitlines() if line.startswith("renorm: ")]
    assert len(lines) == 1 and "Traceback" not in output, output
    assert checkout.jobs() == [] and not (checkout.folder / "results").exists()
    return lines[0]


@survives(
    "wrong constraint, a job longer than the partition allows",
    "one line, exit code 2, nothing submitted or written",
    "2 of 2",
)
def test_wrong_site_values_are_one_clear_line_before_anything_is_submitted(checkout):
    """More of them, without starting Snakemake each time, are in test_preflight.py."""
    checkout.write(study())
    profile = checkout.folder / "slurm/config.yaml"
    right = profile.read_text()
    profile.write_text(right.replace("# constraint:", "constraint:"))
    assert "the cluster would never run partition 'gpu', constraint a100&amd: 1 GPU" in complaint(checkout)
    profile.write_text(right)
    checkout.write(study(epochs=[100_000], recipe={"train_images": 1437}))
    assert "partition 'gpu' allows 2880 minutes and the longest job asks for" in complaint(checkout)


@survives("no `sbatch` on the PATH", "one line, exit code 2; a dry run works", "0 jobs")
def test_without_slurm_on_the_path_it_says_so_and_a_dry_run_still_works(checkout):
    checkout.write(study())
    # All programs of the PATH but Slurm's.
    folder = checkout.folder / "no-slurm"
    folder.mkdir()
    for program in ("bash", "sh", "env", "which", "python3", "dirname", "cat", "tail", "git", "uname", "getconf"):
        if shutil.which(program):
            (folder / program).symlink_to(shutil.which(program))
    checkout.extra["PATH"] = str(folder)
    assert "there is no 'sbatch' on the PATH" in complaint(checkout)
    assert checkout.planned()["train"] == 1
