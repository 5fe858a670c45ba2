"""Cells that a program trains, through the real Snakemake: judged, planned and rerun like any other."""

import copy
import csv
import json
import shutil

import pytest

from renorm.core.errors import RenormError
from renorm.execution import plan, status
from renorm.execution.pending import Pending
from renorm.runs import run_record
from renorm.study import config

from .conftest import ROOT

pytestmark = pytest.mark.pipeline

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


@pytest.fixture
def study(checkout, monkeypatch):
    """Reads a configuration as the commands do, in the study's folder but in this process: a start costs seconds."""
    monkeypatch.chdir(checkout.folder)

    def load(values: dict, name: str = "study.yaml") -> config.Study:
        return config.load(checkout.write(values, name))

    return load


def with_seeds(*seeds: int) -> dict:
    changed = copy.deepcopy(STUDY)
    changed["experiments"]["one"]["seeds"] = list(seeds)
    return changed


def to_train(study: config.Study) -> int:
    """Cells that the Snakefile, which asks the same object, would train."""
    return len(Pending(study).to_train(study.study))


def printed_plan(study: config.Study, capsys) -> str:
    plan.plan(study)
    return " ".join(capsys.readouterr().out.split())


def printed_status(study: config.Study, capsys) -> dict:
    status.status(study, as_json=True)
    return json.loads(capsys.readouterr().out)


def test_a_program_is_planned_trained_judged_and_rerun_like_the_built_in_trainer(checkout, study, capsys):
    read = study(STUDY)
    assert to_train(read) == 4 and "4 are predicted" not in printed_plan(read, capsys)
    checkout.snakemake()
    folder = checkout.folder / "results" / "foreign"
    with open(folder / "cells.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["completed"] * 4
    with open(folder / "provenance.csv", newline="") as file:
        assert {row["runner"].partition(" at")[0] for row in csv.DictReader(file)} == {"program train.py"}
    with open(folder / "threshold_rule.csv", newline="") as file:
        judged = [row for row in csv.DictReader(file) if row["source"] == "foreign"]
    assert {(row["norm"], row["epochs"]) for row in judged} == {("batch_norm", "1"), ("deconv", "1")}
    assert "vgg16" in (folder / "report.html").read_text()
    path = "cifar10/vgg16/deconv/paper/e1/s1"
    record = run_record.read(checkout.folder / "results/runs" / path / "run.json")
    assert record.runner.kind == "program" and record.metrics.final.value("test", "top1") > 0.6
    assert not (checkout.folder / "results/data").exists()

    read = study(STUDY)
    pending = Pending(read)
    assert to_train(read) == 0 and not pending.steps("foreign") and not pending.claims_unread
    seen = printed_status(read, capsys)
    assert seen["all"] == {"completed": 4} and seen["eta_seconds"] == 0
    assert "would not be trained" in status.why(read, path)

    more = study(with_seeds(1, 2, 3), "more.yaml")
    assert to_train(more) == 2
    # 0.25 s of testing an epoch and the start of an interpreter, by its siblings.
    assert "2 are predicted from similar finished ones" in printed_plan(more, capsys)

    code = checkout.folder / "theirs" / "train.py"
    before = code.read_text()
    code.write_text(before + "# a comment\n")
    assert to_train(study(STUDY)) == 0
    code.write_text(before.replace("50 + 5", "40 + 5"))
    assert to_train(study(STUDY)) == 4
    assert "program.code.train.py was" in status.why(study(STUDY), path)
    code.write_text(before)


def test_a_program_that_fails_is_one_line_and_the_others_are_reported(checkout, study, capsys):
    """The cells of another seed beside finished ones: one word of the command line goes wrong."""
    values = with_seeds(1, 2, 3)
    values["programs"]["theirs"]["words"]["seed"] = {"1": "1", "2": "2", "3": "3 --misbehave short"}
    failing = study(values, "failing.yaml")
    finished = 4 if (checkout.folder / "results/runs").exists() else 0
    assert to_train(failing) == 6 - finished
    output = checkout.snakemake(config="failing.yaml", expect=1)
    assert "0 of 1 epochs" in output and "Traceback (most recent call last)" not in output
    seen = printed_status(failing, capsys)
    assert seen["all"] == {"completed": 4, "failed": 2}
    assert all("test.log: epoch: 0 of 1 epochs" in item["error"] for item in seen["failed"])


def test_a_mistake_in_a_program_ends_before_anything_starts(study):
    values = copy.deepcopy(STUDY)
    values["programs"]["theirs"]["command"] += " --wd {optimizer.decay}"
    with pytest.raises(RenormError, match=r"theirs\.command: unknown placeholder \{optimizer\.decay\}: did you"):
        study(values, "wrong.yaml")


def test_a_study_of_claims_alone_is_judged_and_nothing_is_trained(checkout, study):
    values = {"study": "published", "claims": {"original": "claims/ye2020", "reproductions": "claims/obadage2024"},
              "comparisons": [{"name": "method", "baseline": "batch_norm", "method": "deconv"}]}  # fmt: skip
    read = study(values, "published.yaml")
    assert "Rule: train" not in checkout.snakemake(config="published.yaml")
    with open(checkout.folder / "results/published/answers.csv", newline="") as file:
        answers = {row["question"]: row for row in csv.DictReader(file)}
    # The paper's headline statement, by the numbers of the reproduction.
    assert answers["holds"]["verdict"] == "holds" and "57 of 63 pairs better" in answers["holds"]["text"]
    assert answers["complete"]["verdict"] == "complete"
    assert (checkout.folder / "results/published/report.html").stat().st_size > 100_000
    assert not Pending(read).steps("published")
