"""A copy of the workflow and a small study in it, run by the real Snakemake."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

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


class Written(yaml.SafeDumper):
    """YAML as a person writes it: no aliases, which renorm does not read."""

    def ignore_aliases(self, data):
        return True


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
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def snakemake(self, *arguments: str, config: str = "study.yaml", expect: int = 0) -> str:
        """Run Snakemake, check its exit code, return all it printed."""
        process = self.start(*arguments, config=config)
        try:
            output, _ = process.communicate(timeout=300)
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


@pytest.fixture(scope="session")
def make_checkout():
    def make(folder: Path) -> Checkout:
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
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
