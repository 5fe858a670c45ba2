"""Every command that docs/cluster.md prints, run as it is printed, on a real cluster."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..pipeline.conftest import ROOT
from .conftest import study

pytestmark = pytest.mark.slurm
# What cannot run in a test, and why.
NOT_RUN = {
    "git clone": "the repository is this one, and `make install` asks a package index",
    "export RENORM_DATA": "opens an editor",
    "pip install": "asks a package index; test_other_schedulers.py needs the plugin",
    "snakemake --profile workflow/profiles/pbs": "needs PBS; test_other_schedulers.py runs it with such programs",
    "apptainer build": "Debian has no Apptainer; test_container.py runs the profile's lines with a stand-in",
}


def printed() -> list[str]:
    """The commands in the console blocks of the page, continued lines joined, comments left out."""
    text = (ROOT / "docs/cluster.md").read_text()
    lines = "\n".join(re.findall(r"```console\n(.*?)```", text, re.S)).replace("\\\n", " ")
    return [re.sub(r"\s{2,}#.*", "", line[2:]) for line in lines.splitlines() if line.startswith("$ ")]


@pytest.fixture
def shell(make_checkout, cluster, tmp_path):
    """Run a command line as a user of the cluster would, with .venv active and a small study as config.yaml."""
    checkout = make_checkout(tmp_path / "checkout", cluster, data=True)
    values = study(claims={"original": "claims/ye2020"})
    checkout.write(values, "config.yaml")
    environment = checkout.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    def run(command: str) -> str:
        done = subprocess.run(["bash", "-c", command], cwd=checkout.folder, env=environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=400)  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return checkout, run


def test_each_command_does_what_the_page_says(shell):
    checkout, run = shell
    commands = printed()
    assert len(commands) >= 8
    outputs = {}
    # The allocation for short cells comes first: it leaves nothing for the cluster's own jobs.
    for command in sorted(commands, key=lambda one: not one.startswith("sbatch")):
        if command in outputs or any(command.startswith(one) for one in NOT_RUN):
            continue
        outputs[command] = run(command)
        if command.startswith("sbatch"):
            jobs = checkout.jobs()
            assert checkout.record(1)["status"] == "completed"
            # The cell again, for the lines that follow.
            shutil.rmtree(checkout.cell(1))
    assert len(jobs) == 1 and len(checkout.jobs()) == 2
    assert checkout.jobs()[-1]["comment"] == "rule_train_wildcards_digits_tiny_vgg_batch_norm_base_1_1"
    assert (checkout.folder / "results/small/report.html").exists()
    for command in inline():
        outputs[command] = run(command)
    assert "completed" in outputs["renorm status"]


def inline() -> list[str]:
    """The commands of the table of Monitoring that end by themselves."""
    text = (ROOT / "docs/cluster.md").read_text()
    found = re.findall(r"^\| `(renorm [^`]+)` \|", text, re.M)
    assert {"renorm plan", "renorm status", "renorm why CELL"} <= set(found)
    cell = "digits/tiny_vgg/batch_norm/base/e1/s1"
    return [one.replace("CELL", cell) for one in found]


def test_the_measuring_command_runs_on_a_node(shell):
    checkout, run = shell
    (command,) = re.findall(r"`(srun [^`]*renorm calibrate)`", (ROOT / "docs/cluster.md").read_text())
    run(f"{command} --minutes 0.1")
    assert list((checkout.folder / "results/calibration").glob("*.json"))
