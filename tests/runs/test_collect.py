"""What the tables say of cells that ran, did not run, or are not what they claim."""

import csv
import json
import shutil

import pytest

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.runs import collect, run_record
from renorm.study import config
from renorm.study.cell import Cell
from renorm.study.comparisons import Comparison
from renorm.training.job import train

from ..training.cells import SMALL, small_job

STUDY = {
    "study": "s",
    "recipes": {"small": SMALL},
    "experiments": {"e": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm"], "recipe": ["small"],
                          "epochs": [1], "seeds": [1, 2]}},
}  # fmt: skip
ONE, TWO = (Cell("digits", "tiny_vgg", "batch_norm", "small", 1, seed) for seed in (1, 2))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, prepared_digits):
    out = tmp_path_factory.mktemp("results") / "runs" / ONE.path
    train(small_job(out, prepared_digits, epochs=1))
    return out


@pytest.fixture
def study(tmp_path, trained, prepared_digits):
    """A study whose first cell ran and whose second did not."""
    shutil.copytree(trained, tmp_path / "runs" / ONE.path)
    shutil.copytree(prepared_digits, tmp_path / "data")
    # The plain-path rule of results_dir is the workflow's; the tables take any folder.
    return config.validate(STUDY).model_copy(update={"results_dir": str(tmp_path)})


def table(study, name):
    with open(study.folder / name, newline="") as file:
        return list(csv.DictReader(file))


def status_of_one(study):
    row = table(study, "cells.csv")[0]
    return row["status"], row["error"]


def test_a_run_and_a_missing_cell(study):
    paths = collect.collect(study)
    names = ["cells.csv", "runs.csv", "histories.csv", "steps.csv", "costs.csv", "provenance.csv", "layer_views.csv",
             "layer_view_images.csv", "layer_view_histograms.csv", "study.json"]  # fmt: skip
    assert [p.name for p in paths] == names
    cells = table(study, "cells.csv")
    assert [(c["seed"], c["status"], c["epochs_completed"]) for c in cells] == [
        ("1", "completed", "1"),
        ("2", "missing", "0"),
    ]
    runs = table(study, "runs.csv")
    # 2 selections × 2 splits × 3 metrics, and two times.
    assert len(runs) == 14
    assert {r["unit"] for r in runs if r["metric"] == "top1"} == {"fraction"}
    assert {r["n_images"] for r in runs if r["split"] == "test" and r["metric"] != "seconds"} == {"100"}
    assert len(table(study, "histories.csv")) == len(table(study, "provenance.csv")) == 1


def test_collected_twice_is_the_same(study):
    first = [p.read_bytes() for p in collect.collect(study)]
    assert [p.read_bytes() for p in collect.collect(study)] == first


def test_other_hyperparameters_do_not_count(study):
    changed = study.model_copy(update={"recipes": {"small": config.Recipe(**(SMALL | {"batch_size": 8}))}})
    collect.collect(changed)
    status, error = status_of_one(study)
    assert status == "missing"
    assert "does not count: batch_size was 32, is 8" in error


@pytest.mark.parametrize("damage", ["0.9", "status", "cell"])
def test_an_edited_record_does_not_count(study, damage):
    path = collect.run_folder(study, ONE) / "run.json"
    record = json.loads(path.read_text())
    if damage == "0.9":
        record["metrics"]["final"]["splits"]["test"]["values"]["top1"] = 0.9
    elif damage == "status":
        record["status"] = "diverged"
    else:
        record["cell"]["seed"] = 2
    path.write_text(json.dumps(record))
    collect.collect(study)
    status, error = status_of_one(study)
    assert status == "missing"
    assert "checksum mismatch: the file was modified or is corrupt" in error
    assert table(study, "runs.csv") == []


def test_an_edited_history_does_not_count(study):
    path = collect.run_folder(study, ONE) / "history.csv"
    path.write_text(path.read_text().replace("1,", "1,9", 1))
    collect.collect(study)
    assert "checksum does not match run.json" in status_of_one(study)[1]


def test_a_record_of_another_cell_does_not_count(study):
    shutil.move(collect.run_folder(study, ONE), collect.run_folder(study, TWO))
    collect.collect(study)
    row = table(study, "cells.csv")[1]
    assert (row["status"], f"does not count: it is of cell {ONE}" in row["error"]) == ("missing", True)


def test_a_record_of_other_data_does_not_count(study):
    path = collect.run_folder(study, ONE) / "run.json"
    record = run_record.read(path).model_copy(update={"data_sha256": "0" * 16 + "+" + "0" * 16})
    files.write_sealed(path, record.model_dump(mode="json"))
    collect.collect(study)
    assert f"the data were {'0' * 16}+{'0' * 16}, are " in status_of_one(study)[1]


def test_mixed_records_are_refused_where_the_study_says_so(study):
    record = run_record.read(collect.run_folder(study, ONE) / "run.json")
    record = record.model_copy(update={"cell": TWO})
    record.provenance.packages["torch"] = "1.13.0"
    other = collect.run_folder(study, TWO)
    shutil.copytree(collect.run_folder(study, ONE), other)
    files.write_sealed(other / "run.json", record.model_dump(mode="json"))
    collect.collect(study)
    assert [row["status"] for row in table(study, "cells.csv")] == ["completed", "completed"]
    with pytest.raises(RenormError, match=r"mixed_records: torch is '2.* in .*/s1 and '1.13.0' in .*/s2"):
        collect.collect(study.model_copy(update={"mixed_records": "refuse"}))


def test_two_seeds_of_a_cell_by_different_code_are_refused_where_the_study_says_so(study):
    record = run_record.read(collect.run_folder(study, ONE) / "run.json")
    other = record.model_copy(update={"cell": TWO, "built_in_code": "0" * 16})
    history = (collect.run_folder(study, ONE) / "history.csv").read_text()
    run_record.write(collect.run_folder(study, TWO), other, history)
    collect.collect(study)
    assert {row["code_sha256"] for row in table(study, "provenance.csv")} == {record.built_in_code, "0" * 16}
    with pytest.raises(RenormError, match="mixed_records: code_sha256 is "):
        collect.collect(study.model_copy(update={"mixed_records": "refuse"}))


@pytest.mark.parametrize(
    ("log", "status", "error"),
    [
        ("renorm: it broke\n", "failed", "it broke"),
        ("2026-01-01 START cell: 5 images on cpu, 1 parameters\n", "missing", ""),
        ("renorm: it broke\n2026-01-01 START cell: resumed at epoch 2, step 1 (resume 1)\n", "missing", ""),
        ("Traceback (most recent call last):\n  x\nValueError: y\n", "failed", "ValueError: y"),
    ],
)
def test_the_last_error_of_a_log(study, log, status, error):
    folder = collect.run_folder(study, TWO)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text(log)
    collect.collect(study)
    row = table(study, "cells.csv")[1]
    assert (row["status"], row["error"]) == (status, error)


def test_what_the_pages_need_of_the_configuration(study):
    one = Comparison(name="deconvolution", baseline="batch_norm", method="deconv")
    study = study.model_copy(update={"comparisons": [one]})
    collect.collect(study, study.folder.with_name("elsewhere"))
    facts = json.loads((study.folder.with_name("elsewhere") / "study.json").read_text())
    assert facts["experiments"] == [{"name": "e", "title": "e", "cells": 2, "published_as": {}}]
    assert facts["comparisons"] == [one.model_dump()]
    assert facts["judge"]["threshold"] == 0.1
