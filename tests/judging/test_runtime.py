"""Ratios of seconds: of runs that were timed alike, and of no others."""

import pytest
from studies import CELL, StudyFolder, judge, one

from renorm.core.table_specs import TABLES

SECONDS = {"batch_norm": {1: 100.0, 2: 400.0}, "deconv": {1: 300.0, 2: 900.0}}
HERE, BUSY = "resources/recorded/here/records.jsonl", "resources/recorded/busy/records.jsonl"


def timed(folder, places, **device):
    """The ratio of a study whose runs were timed at `places`: (norm, seed) → the recording that brought them."""
    study = StudyFolder(folder)
    rows = []
    for norm, found in SECONDS.items():
        for seed, seconds in found.items():
            study.cell("digits", "vgg", norm, 2, seed, 0.9, seconds=seconds)
            cell = {key: study.cells[-1][key] for key in CELL}
            rows.append(cell | {"device": "cpu", "threads": "1", "adopted_from": places.get((norm, seed), "")} | device)
    study.write()
    TABLES["provenance"].write(folder / "provenance.csv", rows)
    tables = judge(folder)
    answer = one(tables["answers"], comparison="nd", question="cost")
    return one(tables["runtime"], comparison="nd", norm="deconv"), answer


def test_runs_of_one_place_are_all_compared(tmp_path):
    row, answer = timed(tmp_path, {})
    assert row["ratio"] == pytest.approx(600 / 250) and row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert answer["verdict"] == "slower" and "set-ups" not in answer["text"]


def test_only_runs_of_a_common_place_are_compared(tmp_path):
    places = {("batch_norm", 1): HERE, ("deconv", 1): HERE, ("batch_norm", 2): BUSY}
    row, answer = timed(tmp_path, {key: f"{path}:{line}" for line, (key, path) in enumerate(places.items(), 1)})
    assert row["ratio"] == pytest.approx(300 / 100) and row["ratio_low"] is None
    assert (row["train_seconds"], row["baseline_train_seconds"]) == (600, 250)  # what was measured stays
    assert answer["verdict"] == "slower" and "timed on 3 set-ups" in answer["text"]


def test_no_common_place_no_ratio(tmp_path):
    places = {(norm, seed): HERE if norm == "deconv" else BUSY for norm in SECONDS for seed in (1, 2)}
    row, answer = timed(tmp_path, places)
    assert row["ratio"] is None
    assert (answer["verdict"], answer["text"]) == ("cannot say yet", "no pair has been timed on one set-up")


def test_normalisers_are_compared_by_the_same_runs(tmp_path):
    """A third normaliser, so that there is a table of them; batch norm's second run was timed elsewhere."""
    study = StudyFolder(tmp_path)
    for norm, found in (SECONDS | {"group_norm": {1: 200.0}}).items():
        for seed, seconds in found.items():
            study.cell("digits", "vgg", norm, 2, seed, 0.9, seconds=seconds)
    study.write()
    rows = [{**{key: cell[key] for key in CELL}, "device": "cpu", "adopted_from": ""} for cell in study.cells]
    rows[1]["adopted_from"] = f"{BUSY}:1"
    TABLES["provenance"].write(tmp_path / "provenance.csv", rows)
    row = one(judge(tmp_path)["normalisers"], norm="group_norm")
    assert row["ratio"] == pytest.approx(200 / 100) and row["epoch_seconds"] == 100
