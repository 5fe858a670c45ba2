"""One cluster for all tests here, and checkouts whose `snakemake --profile slurm` submits to it."""

import compileall
import copy
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ..pipeline.conftest import PARTS, RECIPE, ROOT, WRITTEN_NOW, Checkout
from .cluster import Cluster

STUDY = {
    "study": "small", "gpu": 1, "device": "cpu",
    "recipes": {"base": RECIPE},
    "experiments": {
        "grid": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm"], "recipe": ["base"],
                 "epochs": [1], "seeds": [1]},
    },
}  # fmt: skip
# Of these an epoch takes about a quarter of a second, and a checkpoint stands after each.
LONG = {"train_images": 480, "test_images": 60}
EPOCHS = 16


def study(**changes) -> dict:
    """STUDY with keys changed: `seeds`, `epochs`, `recipe` of the grid, everything else at the top."""
    out = copy.deepcopy(STUDY)
    grid = out["experiments"]["grid"]
    for key in ("seeds", "epochs"):
        if key in changes:
            grid[key] = changes.pop(key)
    out["recipes"]["base"].update(changes.pop("recipe", {}))
    return out | changes


@dataclass
class SlurmCheckout(Checkout):
    """A checkout on the cluster's login node."""

    cluster: Cluster
    extra: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str, config: str = "study.yaml") -> list[str]:
        # What users type, and a first look at the jobs after 2 seconds instead of 20.
        return [
            sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", config,
            "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5", *arguments,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return self.cluster.env | {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"} | self.extra

    def jobs(self) -> list[dict[str, str]]:
        """Every job that was ever submitted from here."""
        return [job for job in self.cluster.jobs() if Path(job["folder"]) == self.folder]

    def cell(self, seed: int, epochs: int = 1) -> Path:
        return self.folder / f"results/runs/digits/tiny_vgg/batch_norm/base/e{epochs}/s{seed}"

    def record(self, seed: int, epochs: int = 1) -> dict:
        return json.loads((self.cell(seed, epochs) / "run.json").read_text())

    def renorm(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "renorm", *arguments], cwd=self.folder, env=self.environment(),
                              text=True, capture_output=True, timeout=200)  # fmt: skip

    def wait(self, condition, seconds: float = 120, every: float = 0.2):
        """What `condition` returns as soon as it is true."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s: {self.cluster.run('squeue', '--states=all', check=False)}")
            time.sleep(every)
        return value

    def job_of(self, seed: int) -> dict[str, str]:
        """The newest job of the cell."""
        return [job for job in self.jobs() if job["comment"].endswith(f"_{seed}")][-1]


def one_writer(log: str) -> bool:
    """Whether the epochs in a run's log are those of one trainer after the other: two at once would interleave."""
    expected = 1
    for line in log.splitlines():
        if " images on " in line:
            expected = 1
        elif match := re.search(r"resumed at epoch (\d+)", line):
            expected = int(match[1])
        elif match := re.search(r" epoch (\d+)/\d+ train", line):
            if int(match[1]) != expected:
                return False
            expected += 1
    return True


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield cluster


@pytest.fixture
def cluster(running_cluster):
    running_cluster.settle()
    return running_cluster


@pytest.fixture(scope="session")
def make_checkout(prepared_digits):
    def make(folder: Path, cluster: Cluster, data: bool = False) -> SlurmCheckout:
        for part in (*PARTS, "slurm"):
            source, target = ROOT / part, folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=WRITTEN_NOW)
            else:
                shutil.copy(source, target)
        if data:
            shutil.copytree(prepared_digits, folder / "results/data")
        # Nobody here waits for a minute between two looks at the queue.
        for name, constant in (("submit", "PAUSE"), ("plugin_patches", "POLL_SECONDS"), ("watch", "ASK_SECONDS")):
            code = folder / f"src/renorm/execution/slurm/{name}.py"
            text, changes = re.subn(rf"^{constant} = \d+", f"{constant} = 3", code.read_text(), flags=re.M)
            assert changes == 1
            code.write_text(text)
        compileall.compile_dir(folder / "src", quiet=2)  # every job starts Python twice
        return SlurmCheckout(folder.resolve(), cluster)

    return make


@pytest.fixture
def checkout(make_checkout, cluster, tmp_path):
    return make_checkout(tmp_path / "checkout", cluster)


@pytest.fixture(scope="session")
def undisturbed(prepared_digits, tmp_path_factory):
    """epochs → seed → the record of a cell that nothing happened to, trained without Slurm."""
    folder, records = tmp_path_factory.mktemp("undisturbed"), {}

    def record(seed: int, epochs: int = EPOCHS) -> dict:
        if (seed, epochs) not in records:
            from renorm.study import config, grid
            from renorm.study.cell import Cell
            from renorm.training.job import Job, train

            cell = Cell("digits", "tiny_vgg", "batch_norm", "base", epochs, seed)
            hyper = grid.hyperparameters(config.validate(study(recipe=LONG)), cell)
            job = Job(cell, hyper, folder / f"e{epochs}s{seed}", Path("none"), prepared_digits, device="cpu",
                      download=False, quiet=True)  # fmt: skip
            train(job)
            records[seed, epochs] = json.loads((job.out / "run.json").read_text())
        return records[seed, epochs]

    return record
