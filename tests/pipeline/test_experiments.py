"""A report of one experiment: its cells alone are trained, and what experiments share is trained once."""

import copy as copying
import csv
import json
import re

import pytest

from .conftest import STUDY

pytestmark = pytest.mark.pipeline
AFTER = {"study": 1, "collect": 1, "judge": 1, "figures": 1, "report": 1}


@pytest.fixture
def checkout(make_checkout, tmp_path):
    """Two experiments with one cell in common, of which `only` takes the first."""
    made, study = make_checkout(tmp_path / "checkout"), copying.deepcopy(STUDY)
    study["experiments"]["more"] = study["experiments"]["baseline"] | {"seeds": [2, 3], "title": "More seeds"}
    study["only"] = ["baseline", "method"]
    made.write(study)
    return made


def seeds(checkout, report: str) -> list[str]:
    with open(checkout.folder / "results" / report / "cells.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["status"] == "completed" for row in rows)
    return [row["seed"] for row in rows]


def test_one_experiment_is_trained_and_reported_alone(checkout):
    page = "results/more/report.html"
    assert checkout.planned(page) == {"dataset": 1, "train": 2, **AFTER}
    output = checkout.snakemake(page)
    assert "Report: " + str((checkout.folder / page).resolve()) in output
    told = re.findall(r"^digits/tiny_vgg/batch_norm/base/e1/s[23]: top-1 [\d.]+ % in [\d.]+ s, (.*)$", output, re.M)
    assert told == ["1 cell to go", "the last one"]
    lines = output.splitlines()
    answers = lines[next(at for at, line in enumerate(lines) if line.startswith("holds: ")) :]
    assert [line.partition(":")[0] for line in answers[:4]] == ["holds", "sure", "complete", "cost"]
    assert answers[4] == "2 of 2 cells" and "run.json" not in "".join(answers)
    assert seeds(checkout, "more") == ["2", "3"]
    text = (checkout.folder / page).read_text()
    assert "<h1>More seeds</h1>" in text
    assert "CIFAR-100" not in text and "cifar100" not in text  # what was published of other cells is not of it
    assert not (checkout.folder / "results/small").exists()
    assert checkout.pending("more") == {}
    # The study has cells 1 and 2 of one experiment, and one of the other: the one that both have is there already.
    assert checkout.pending() == {"train": 2, **AFTER}
    checkout.snakemake()
    assert checkout.pending() == checkout.pending("more") == {}
    assert checkout.pending("baseline") == checkout.pending("method") == AFTER
    written = json.loads((checkout.folder / "results/more/config.json").read_text())
    assert (written["study"], list(written["experiments"])) == ("more", ["more"])


def test_a_failed_cell_of_an_experiment_shows_in_its_own_partial_report(checkout):
    rule = checkout.folder / "workflow/rules/train.smk"
    rule.write_text(rule.read_text().replace("renorm train", "[ {wildcards.seed} = 2 ] && renorm train"))
    output = checkout.snakemake("results/more/report.html", expect=1)
    assert "Report: " not in output
    assert "\n1 of 2 cells, 1 missing: renorm status\n" in output
    page = (checkout.folder / "results/more.partial/report.html").read_text()
    assert "1 of 2" in page
    assert not (checkout.folder / "results/small.partial").exists()
