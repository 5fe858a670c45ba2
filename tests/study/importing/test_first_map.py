"""`renorm import --map-from-header`: what a header shows, and a ? for what it does not."""

import pytest
import yaml

from renorm.core.errors import RenormError
from renorm.study import importing

from .test_convert import LONG, imported
from .test_readers import WORKBOOK


def first(path) -> dict:
    read = importing.guessed(path, importing.Read())
    return yaml.safe_load(importing.first_map(importing.read_grids(path, read), read, "mine"))


def test_a_long_table_is_understood_but_for_what_it_does_not_say(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(LONG)
    found = first(path)
    assert found["fields"] == {
        "dataset": {"column": "data"}, "arch": {"column": "Model"}, "norm": {"column": "method"}, "recipe": "?",
        "epochs": {"column": "epochs"}, "attempt": {"column": "seed"},
    }  # fmt: skip
    assert found["words"] == {"arch": {"VGG-16": "vgg16"}, "norm": {"BN": "batch_norm", "ND": "deconv"}}
    assert found["values"] == [
        {"column": "test_acc", "metric": "top1", "split": "test", "unit": "percent"},
        {"column": "train loss", "metric": "loss", "split": "train", "unit": "nats"},
    ]
    text = importing.first_map(importing.read_grids(path, importing.Read()), importing.Read(), "mine")
    assert "\n#   - comment\n" in text

    # Completed by its author, it imports the table.
    found["source"]["title"] = "Runs"
    found["fields"]["recipe"] = "paper"
    found["ignore"] = ["comment"]
    rows = imported(path, found, tmp_path / "mine")
    assert [(row["norm"], row["value"]) for row in rows[::2]] == [("batch_norm", "90.1"), ("deconv", "93.0")]


def test_a_wide_table_has_an_entry_per_column_with_what_its_groups_say(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("network,CIFAR-10,,\n,BN 20 epochs,ND 20 epochs,Net Size\nVGG-16,90.07%,93.25%,14.71M\n")
    found = first(path)
    assert found["read"] == {"header": [1, 2]}
    assert found["values"] == [
        {"column": f"CIFAR-10 | {short} 20 epochs", "epochs": 20, "dataset": "cifar10", "norm": norm, "metric": "?",
         "split": "unstated", "unit": "percent"}
        for short, norm in (("BN", "batch_norm"), ("ND", "deconv"))
    ]  # fmt: skip


def test_names_of_runs_are_no_seeds_and_a_folder_of_runs_has_a_map(tmp_path):
    for name in ("quiet-sun", "calm-sea"):
        metrics = tmp_path / "mlruns" / "1" / name / "metrics"
        metrics.mkdir(parents=True)
        (metrics / "val_acc").write_text("17 0.5 1\n18 0.75 2\n")
        (metrics.parent / "params").mkdir()
        (metrics.parent / "params" / "model").write_text("vgg16")
    found = first(tmp_path / "mlruns")
    assert found["fields"]["arch"] == {"column": "params.model"} and found["fields"]["epochs"] == {"column": "step"}
    assert found["values"] == [
        {"column": "metrics.val_acc", "metric": "top1", "split": "validation", "unit": "fraction"}
    ]
    path = tmp_path / "runs.csv"
    path.write_text("run,seed,acc\nquiet-sun,1,0.5\ncalm-sea,2,0.6\n")
    assert first(path)["fields"]["attempt"] == {"column": "seed"}


@pytest.mark.skipif(not WORKBOOK.exists(), reason="the public workbook is not in RENORM_PAPERS")
def test_the_reproductions_workbook_gets_a_map_that_can_be_read_once_it_is_completed():
    pytest.importorskip("openpyxl")
    read = importing.guessed(WORKBOOK, importing.Read(sheets=["rep_averaged_t1"]))
    found = yaml.safe_load(importing.first_map(importing.read_grids(WORKBOOK, read), read, "mine"))
    assert read.header == [1, 3] and len(found["values"]) == 24
    assert {entry["dataset"] for entry in found["values"]} == {"cifar10", "cifar100"}


def test_a_file_without_a_number_has_no_map(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("a,b\nx,y\n")
    with pytest.raises(RenormError, match="no column of it has numbers"):
        first(path)
