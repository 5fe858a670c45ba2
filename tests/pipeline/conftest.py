"""A copy of the workflow and a small study in it, run by the real Snakemake."""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from renorm.execution.pending import Pending
from renorm.study import config as study_config

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "src", "report", "claims", "envs")
RECIPE = {"optimizer": {"lr": 0.02}, "batch_size": 32, "train_images": 96, "test_images": 60, "augment": "crop"}
STUDY = {
    "study": "small",
    "claims": {"original": "claims/ye2020", "reproductions": ["claims/obadage2024"]},
    "recipes": {"base": RECIPE, "other": {"extends": "base", "optimizer": {"lr": 0.01}}},
    "experiments": {
        "baseline": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm"], "recipe": ["base"],
                     "epochs": [1], "seeds": [1, 2]},
        "method": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["deconv"], "recipe": ["other"],
                   "epochs": [1], "seeds": [1]},
    },
}  # fmt: skip
# Compiled modules come along, so that no checkout compiles anew; not those that a process is just writing.
WRITTEN_NOW = shutil.ignore_patterns("*.pyc.*")


class Written(yaml.SafeDumper):
    """YAML as a person writes it: no aliases, which renorm does not read."""

    def ignore_aliases(self, data):
        return True


def heed_signals() -> None:
    """Ctrl-C and SIGHUP work in a terminal; whoever runs the tests under nohup or in the background ignores them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@dataclass
class Checkout:
    """A folder with the workflow in it, as a user would have it."""

    folder: Path

    def write(self, study: dict, name: str = "study.yaml") -> Path:
        path = self.folder / name
        path.write_text(yaml.dump(study, Dumper=Written, sort_keys=False))
        return path

    def command(self, *arguments: str, config: str = "study.yaml") -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", "--configfile", config, "--cores", "2", "--scheduler", "greedy"),
            *arguments,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        # The copy's code runs, not the installed one.
        return os.environ | {"PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def start(self, *arguments: str, config: str = "study.yaml") -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*arguments, config=config), cwd=self.folder, env=self.environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=heed_signals,
        )  # fmt: skip

    def snakemake(self, *arguments: str, config: str = "study.yaml", expect: int = 0) -> str:
        """Run Snakemake, check its exit code, return all it printed."""
        process = self.start(*arguments, config=config)
        try:
            output, _ = process.communicate(timeout=550)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert process.returncode == expect, output
        return output

    def planned(self, *arguments: str, config: str = "study.yaml") -> dict[str, int]:
        """rule → jobs that a dry run would start; the target rule aside."""
        output = self.snakemake("--dry-run", *arguments, config=config)
        table = re.search(r"Job stats:\njob\s+count\n[-\s]+\n(.*?)\ntotal", output, re.S)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        return {name: int(count) for name, count in rows if name != "all"}

    def pending(self, report: str = "", config: str = "study.yaml") -> dict[str, int]:
        """As `planned`, from what the Snakefile asks, in this process: a dry run takes seconds.

        That both agree is tested in test_arrivals.py. The code is this repository's, not the checkout's.
        """
        with chdir(self.folder):
            asked = Pending(study_config.load(config))
            report = report or asked.study.study
            cells, steps = asked.to_train(report), asked.steps(report)
            missing = {cell.dataset for cell in cells if not Path("results/data", cell.dataset, "train.npz").exists()}
            counts = {"dataset": len(missing), "train": len(cells), "inspect": len(asked.to_inspect(report))}
        counts |= {"study": int("collect" in steps)} | dict.fromkeys(steps, 1)
        return {rule: count for rule, count in counts.items() if count}


@pytest.fixture(scope="session")
def make_checkout():
    def make(folder: Path) -> Checkout:
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=WRITTEN_NOW)
            else:
                shutil.copy(source, folder / part)
        checkout = Checkout(folder)
        checkout.write(STUDY)
        return checkout

    return make


@pytest.fixture(scope="session")
def finished(make_checkout, tmp_path_factory) -> Checkout:
    """A checkout whose small study ran to the end. Tests must leave its results as they are."""
    checkout = make_checkout(tmp_path_factory.mktemp("finished"))
    checkout.snakemake()
    return checkout


@pytest.fixture
def copy(finished, tmp_path) -> Checkout:
    """A copy of the finished checkout, times kept, to be changed."""
    return Checkout(Path(shutil.copytree(finished.folder, tmp_path / "copy", copy_function=shutil.copy2)))
