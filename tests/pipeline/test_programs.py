"""Cells that a program trains, through the real Snakemake: judged, planned and rerun like any other."""

import copy
import csv
import json
import shutil
import subprocess
import sys

import pytest

from renorm.runs import run_record

from .conftest import ROOT

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("pipeline")]

STUDY = {
    "study": "foreign", "device": "cpu",
    "claims": {"original": "claims/ye2020"},
    "programs": {"theirs": {
        "directory": "theirs",
        "command": "python train.py --arch {arch} --dataset {dataset} {norm} --epochs {epochs} --seed {seed} "
                   "--lr {optimizer.lr} --tensorboard False",
        "words": {"norm": {"batch_norm": "--deconv False", "deconv": "--deconv True --block-fc {norm.block_fc}"}},
        "code": ["train.py"],
        "results": {"history": {
            "file": "checkpoints/**/test.log", "format": "tsv", "unit": "percent",
            "columns": {"epoch": "epoch", "test.loss": "loss", "test.top1": "top1", "test.seconds": "time"},
        }},
        "exit_codes": [0, 1],
    }},
    "recipes": {"paper": {"program": "theirs"}},
    "experiments": {"one": {"dataset": ["cifar10"], "arch": ["vgg16"], "norm": ["batch_norm", "deconv"],
                            "recipe": ["paper"], "epochs": [1], "seeds": [1, 2]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def checkout(make_checkout, tmp_path_factory):
    made = make_checkout(tmp_path_factory.mktemp("programs"))
    shutil.copytree(ROOT / "tests" / "programs", made.folder / "theirs")
    made.write(STUDY)
    return made


def renorm(checkout, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "renorm", *arguments], cwd=checkout.folder, env=checkout.environment(),
                          capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout


def test_a_program_is_planned_trained_judged_and_rerun_like_the_built_in_trainer(checkout):
    assert "4" in renorm(checkout, "plan", "--config", "study.yaml")
    checkout.snakemake()
    folder = checkout.folder / "results" / "foreign"
    with open(folder / "cells.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["completed"] * 4
    with open(folder / "threshold_rule.csv", newline="") as file:
        judged = [row for row in csv.DictReader(file) if row["source"] == "foreign"]
    assert {(row["norm"], row["epochs"]) for row in judged} == {("batch_norm", "1"), ("deconv", "1")}
    assert "VGG-16" in (folder / "report.html").read_text() or "vgg16" in (folder / "report.html").read_text()
    path = "cifar10/vgg16/deconv/paper/e1/s1"
    record = run_record.read(checkout.folder / "results/runs" / path / "run.json")
    assert record.runner.kind == "program" and record.metrics.final.value("test", "top1") > 0.6
    assert not (checkout.folder / "results/data").exists()

    assert checkout.planned() == {}
    status = json.loads(renorm(checkout, "status", "--json", "--config", "study.yaml"))
    assert status["all"] == {"completed": 4} and status["eta_seconds"] == 0
    assert "would not be trained" in renorm(checkout, "why", path, "--config", "study.yaml")

    more = copy.deepcopy(STUDY)
    more["experiments"]["one"]["seeds"] = [1, 2, 3]
    checkout.write(more)
    assert checkout.planned()["train"] == 2
    # 0.25 s of testing an epoch and the start of an interpreter, by its siblings.
    assert "2 are predicted from similar finished ones" in " ".join(
        renorm(checkout, "plan", "--config", "study.yaml").split()
    )
    checkout.write(STUDY)
    code = checkout.folder / "theirs" / "train.py"
    code.write_text(code.read_text() + "# a comment\n")
    assert checkout.planned() == {}
    code.write_text(code.read_text().replace("50 + 5", "40 + 5"))
    assert checkout.planned()["train"] == 4
    assert "program.code.train.py was" in renorm(checkout, "why", path, "--config", "study.yaml")


def test_a_program_that_fails_is_one_line_and_the_others_are_reported(checkout):
    study = copy.deepcopy(STUDY)
    study["study"] = "failing"
    words = study["programs"]["theirs"]["words"]["norm"]
    words["deconv"] += " --misbehave short"
    checkout.write(study, "failing.yaml")
    output = checkout.snakemake(config="failing.yaml", expect=1)
    assert "0 of 1 epochs" in output and "Traceback (most recent call last)" not in output
    status = json.loads(renorm(checkout, "status", "--json", "--config", "failing.yaml"))
    assert status["all"] == {"completed": 2, "failed": 2}
    assert all("test.log: epoch: 0 of 1 epochs" in item["error"] for item in status["failed"])


def test_a_mistake_in_a_program_ends_before_anything_starts(checkout):
    study = copy.deepcopy(STUDY)
    study["programs"]["theirs"]["command"] += " --wd {optimizer.decay}"
    checkout.write(study, "wrong.yaml")
    output = checkout.snakemake("--dry-run", config="wrong.yaml", expect=2)
    assert "renorm: config: programs.theirs.command: unknown placeholder {optimizer.decay}: did you mean" in output
