"""Code is part of a cell, results travel, and no finished record is removed: with real runs."""

import copy as copying
import csv
import json
import subprocess
import sys
import zipfile

import pytest

from .conftest import STUDY

pytestmark = pytest.mark.pipeline
AFTER = {"study": 1, "collect": 1, "judge": 1, "figures": 1, "report": 1}
RUN = "results/runs/digits/tiny_vgg/batch_norm/base/e1/s1"
NETWORK = '''
from pathlib import Path

from torch import nn

from renorm.models.registry import register_arch

WIDTH = 4


@register_arch("Mine", files=("mine.txt",))
def mine(num_classes, image_size, in_channels):
    """Small."""
    assert Path(__file__).with_name("mine.txt").exists()
    model = nn.Sequential(nn.Conv2d(in_channels, WIDTH, 3), nn.BatchNorm2d(WIDTH), nn.ReLU())
    return nn.Sequential(model, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, num_classes))
'''


DATA = '''
from dataclasses import replace

from renorm.data.digits import digits
from renorm.data.registry import register_dataset

TRAIN = 500


@register_dataset
def fewer(root, download):
    """Fewer digits."""
    found = digits(root, download)
    return replace(found, train_images=found.train_images[:TRAIN], train_labels=found.train_labels[:TRAIN])
'''


def renorm(checkout, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "renorm", *arguments], cwd=checkout.folder, text=True,
                          env=checkout.environment(), capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def statuses(checkout, study: str = "small") -> list[str]:
    with open(checkout.folder / "results" / study / "cells.csv", newline="") as file:
        return [row["status"] for row in csv.DictReader(file)]


def test_an_edited_network_is_another_cell_and_an_edited_comment_is_not(copy):
    code, declared = copy.folder / "src/renorm/models/mine.py", copy.folder / "src/renorm/models/mine.txt"
    code.write_text(NETWORK)
    declared.write_text("a weights file\n")
    study = copying.deepcopy(STUDY)
    study["experiments"]["mine"] = study["experiments"]["baseline"] | {"arch": ["mine"], "seeds": [1]}
    copy.write(study)
    target = "results/runs/digits/mine/batch_norm/base/e1/s1/run.json"
    copy.snakemake(target)
    record = copy.folder / target
    before = json.loads(record.read_text())
    assert set(before["code"]) == {"arch"} and before["built_in_code"]

    code.write_text(NETWORK.replace('"""Small."""', "# Small, as in the paper.").replace("nn.Conv2d(", "nn.Conv2d( "))
    assert copy.planned(target) == {}
    declared.write_text("another weights file\n")
    assert copy.planned(target) == {"train": 1}
    declared.write_text("a weights file\n")

    code.write_text(NETWORK.replace("WIDTH = 4", "WIDTH = 16"))
    cell = "digits/mine/batch_norm/base/e1/s1"
    assert "the code of the architecture was" in renorm(copy, "why", cell, "--config", "study.yaml")
    copy.snakemake(target)
    after = json.loads(record.read_text())
    assert after["parameters"] > before["parameters"] and after["code"] != before["code"]
    (aside,) = record.parent.glob("run.superseded-*.json")
    assert json.loads(aside.read_text()) == before and list(record.parent.glob("history.superseded-*.csv"))
    status = json.loads(renorm(copy, "status", "--config", "study.yaml", "--json"))
    assert status["superseded"] == 1 and status["all"] == {"completed": 4}
    assert copy.planned(target) == {}


def test_a_data_set_of_other_code_is_prepared_again(copy):
    code, manifest = copy.folder / "src/renorm/data/fewer.py", copy.folder / "results/data/fewer/manifest.json"
    code.write_text(DATA)
    study = copying.deepcopy(STUDY)
    study["experiments"]["fewer"] = study["experiments"]["baseline"] | {"dataset": ["fewer"], "seeds": [1]}
    copy.write(study)
    copy.snakemake("results/data/fewer/manifest.json")
    target = "results/runs/fewer/tiny_vgg/batch_norm/base/e1/s1/run.json"
    code.write_text(DATA.replace('"""Fewer digits."""', "# Fewer digits."))
    assert copy.planned(target) == {"train": 1}
    code.write_text(DATA.replace("TRAIN = 500", "TRAIN = 400"))
    assert copy.planned(target) == {"dataset": 1, "train": 1}
    copy.snakemake(target)
    assert json.loads(manifest.read_text())["counts"]["train"] == 400
    assert copy.planned(target) == {}


def test_every_file_of_the_configuration_is_kept_as_written(make_checkout, tmp_path):
    checkout = make_checkout(tmp_path / "checkout")
    changed = checkout.write({"title": "A title", "threads": 1}, "changed.yaml")
    arguments = ("results/small/config.json", "--configfile", "study.yaml", "changed.yaml")
    written = checkout.folder / "results/small/as_written"
    for title in ("A title", "# Not a comment"):
        changed.chmod(0o644)
        changed.write_text(f"title: '{title}'  # as typed\n")
        changed.chmod(0o444)  # as a file of another user's: the copy of it is replaced all the same
        checkout.snakemake(*arguments)
        assert {file.name: file.read_text() for file in written.iterdir()} == {
            "study.yaml": (checkout.folder / "study.yaml").read_text(), "changed.yaml": changed.read_text(),
        }  # fmt: skip
        assert json.loads((written.parent / "config.json").read_text())["title"] == title


def test_an_archive_is_continued_elsewhere(copy, make_checkout, tmp_path):
    crate = copy.folder / renorm(copy, "archive", "results/small").strip()
    more = copying.deepcopy(STUDY)
    more["experiments"]["method"]["seeds"] = [1, 2]
    there = make_checkout(tmp_path / "there")
    with zipfile.ZipFile(crate) as packed:
        packed.extractall(there.folder)
    written = there.folder / "results/small/as_written/study.yaml"
    assert written.read_text() == (copy.folder / "study.yaml").read_text()
    # The configuration in the crate is the study's: nothing is trained, and the same report comes of it.
    assert there.planned(config="results/small/config.json") == {}
    there.write(more)
    planned = there.pending()
    assert planned == {"dataset": 1, "train": 1, **AFTER}

    adopting = make_checkout(tmp_path / "adopting")
    adopting.write(more | {"adopt": [str(crate)]})
    assert adopting.planned() == planned
    adopting.snakemake("results/small/cells.csv")
    assert statuses(adopting) == ["completed"] * 4
    for name in ("run.json", "history.csv"):
        old, new = copy.folder / RUN / name, adopting.folder / RUN / name
        assert new.read_bytes() == old.read_bytes()
    origin, _, member = json.loads((adopting.folder / RUN / "adopted.json").read_text())["from"].partition(":")
    assert (adopting.folder / origin).resolve() == crate.resolve() and member.endswith(f"{RUN}/run.json")


def test_a_job_of_a_cell_that_was_finished_meanwhile_ends_with_the_finished_record(copy):
    """What a cluster's job runs: Snakemake's inner process, which once removed the record before the trainer saw it."""
    record = copy.folder / RUN / "run.json"
    before, history = record.read_bytes(), (copy.folder / RUN / "history.csv").read_bytes()
    cell = "dataset=digits,arch=tiny_vgg,norm=batch_norm,recipe=base,epochs=1,seed=1"
    copy.snakemake("--target-jobs", f"train:{cell}", "--allowed-rules", "train", "--mode", "remote", "--force")
    assert record.read_bytes() == before and (copy.folder / RUN / "history.csv").read_bytes() == history
    assert "nothing to train" in (copy.folder / RUN / "log.txt").read_text()
    assert copy.pending() == {}


def test_a_refused_start_leaves_no_lock_and_a_dry_run_finds_the_same(make_checkout, tmp_path):
    checkout = make_checkout(tmp_path / "checkout")
    checkout.write(STUDY | {"claims": {"original": "claims/nowhere"}})
    command = [sys.executable, "-m", "snakemake", "--configfile", "study.yaml", "--cores", "1"]
    for arguments in (command, [*command, "--dry-run"]):
        done = subprocess.run(
            arguments, cwd=checkout.folder, env=checkout.environment(), text=True, capture_output=True
        )
        assert done.returncode == 2 and "claims/nowhere: no such claims folder" in done.stderr
        assert "LockException" not in done.stderr and not (checkout.folder / "results").exists()
    assert not list(checkout.folder.glob(".snakemake/locks/*"))
