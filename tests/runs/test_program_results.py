"""What programs write, in every format: rows of a history in renorm's units, or one line that names file and column."""

import json
import os

import pytest

from renorm.core.errors import RenormError
from renorm.core.validation import validate_model
from renorm.runs import program_results
from renorm.study.programs import Results


def read(folder, results: dict, epochs: int = 2, resumed: bool = False):
    checked = validate_model(Results, results, "results")
    return program_results.read(checked, folder, folder / "output.txt", epochs, resumed)


def complaint(folder, results: dict, epochs: int = 2) -> str:
    with pytest.raises(RenormError) as error:
        read(folder, results, epochs)
    assert "\n" not in str(error.value)
    return str(error.value)


# metrics.csv of PyTorch Lightning's CSVLogger: epochs from 0, a row of each kind of values, tests at the end.
LIGHTNING = """epoch,step,train_loss,val_acc,val_loss,test_acc
0,49,2.1,,,
0,99,1.9,,,
0,99,,0.41,1.8,
1,149,1.5,,,
1,199,,0.39,1.6,
2,200,,,,0.405
"""


def test_the_layout_of_lightnings_csv_logger(tmp_path):
    folder = tmp_path / "lightning_logs" / "version_0"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(LIGHTNING)
    file = {"file": "lightning_logs/version_*/metrics.csv"}
    columns = {
        "epoch": "epoch",
        "train.loss": "train_loss",
        "validation.top1": "val_acc",
        "validation.loss": "val_loss",
    }
    results = {
        "history": file | {"columns": columns, "first_epoch": 0},
        "final": file | {"columns": {"test.top1": "test_acc"}},
    }
    found = read(tmp_path, results)
    assert found.rows == [
        {"epoch": 1, "train_loss": 1.9, "validation_top1": 0.41, "validation_loss": 1.8},
        {"epoch": 2, "train_loss": 1.5, "validation_top1": 0.39, "validation_loss": 1.6, "test_top1": 0.405},
    ]
    assert found.files == [folder / "metrics.csv"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "# a comment\n\nn, acc\n1,50\n2, 75 \n"),
        ("a.tsv", "n\tacc\textra\n1\t50\t\n2\t75\tx\n"),
        ("a.jsonl", '{"n": 1, "acc": 50}\n\n{"n": 2, "acc": 75, "other": null}\n'),
        ("a.json", '[{"n": 1, "acc": 50}, {"n": 2, "acc": 75.0}]'),
        ("a.json", '{"n": [1, 2], "acc": [50, 75]}'),
    ],
)
def test_formats_by_the_ending_of_the_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    results = {"history": {"file": name, "columns": {"epoch": "n", "test.acc": "acc"}, "unit": "percent"}}
    assert read(tmp_path, results).rows == [{"epoch": 1, "test_top1": 0.5}, {"epoch": 2, "test_top1": 0.75}]


def test_rows_without_an_epoch_are_counted_and_nested_keys_have_dots(tmp_path):
    lines = [{"eval": {"top1": value}, "ms": 1500} for value in (0.5, 0.75)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    columns = {"test.top1": "eval.top1", "test.seconds": "ms"}
    results = {"history": {"file": "a.jsonl", "columns": columns, "unit": {"seconds": "ms"}}}
    rows = read(tmp_path, results).rows
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["test_seconds"] == 1.5


def test_the_best_epoch_is_chosen_in_the_direction_of_the_metric(tmp_path):
    (tmp_path / "a.csv").write_text("epoch,l,a\n1,0.3,0.6\n2,0.2,0.6\n3,0.4,0.5\n")

    def best(columns):
        results = validate_model(Results, {"history": {"file": "a.csv", "columns": {"epoch": "epoch"} | columns}}, "r")
        found = program_results.read(results, tmp_path, tmp_path / "output.txt", 3)
        return program_results.best(results, found.rows).epoch

    assert best({"test.loss": "l"}) == 2
    assert best({"test.loss": "l", "test.top1": "a"}) == 1  # the earliest of equals, by accuracy where there is one
    assert best({"train.top1": "l", "validation.error": "a"}) == 3


def test_several_files_of_a_resumed_run_and_of_one_that_was_not(tmp_path):
    for number, (name, text) in enumerate([("a.csv", "e,acc\n1,0.1\n2,0.2\n"), ("b.csv", "e,acc\n2,0.3\n3,0.4\n")]):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (number, number))
    results = {"history": {"file": "*.csv", "columns": {"epoch": "e", "test.top1": "acc"}}}
    assert [row["test_top1"] for row in read(tmp_path, results, 3, resumed=True).rows] == [0.1, 0.3, 0.4]
    assert "b.csv: acc: epoch 2 has another value in" in complaint(tmp_path, results, 3)


CSV = {"history": {"file": "a.csv", "columns": {"epoch": "e", "test.top1": "acc"}}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "a.csv: is missing: the program did not write it"),
        ("", "a.csv: e, acc: the file is empty"),
        ("wandb: tracking run\ne,acc\n1,0.5\n", "a.csv:1: e: no such column (found: wandb: tracking run)"),
        ("e,acc\n1,0.5\n", "a.csv: e: 1 of 2 epochs"),
        ("e,acc\n1,0.5\n2,\n", "a.csv: e: 1 of 2 epochs"),
        ("e,acc\n1,0.5\n2", "a.csv:3: row: 1 values for 2 columns"),
        ("e,acc\n1,0.5\n2,0.5\n3,0.5\n", "a.csv: e: epoch 3 where 2 were asked for"),
        ("e,acc\n1,0.5\n2,inf\n", "a.csv:3: acc: expected a finite number (found 'inf')"),
        (
            "e,acc\n1,50\n2,75\n",
            "a.csv:2: acc: value: 50 is not an accuracy from 0 to 1 (fraction): is the unit percent?",
        ),
        (
            "e,acc\n0,0.5\n1,0.5\n",
            "a.csv:2: e: expected the number of an epoch from 1 on (found '0'): set first_epoch: 0",
        ),
        ("e,acc\nlast,0.5\n", "a.csv:2: e: expected the number of an epoch from 1 on (found 'last')"),
        ("e,acc\n\x00\xff1,0.5\n", "a.csv:2: e: expected the number of an epoch"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_file_and_column(tmp_path, text, line):
    if text is not None:
        (tmp_path / "a.csv").write_text(text)
    assert line in complaint(tmp_path, CSV)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.json", '{"acc": 0.5', "a.json: not readable as JSON"),
        ("a.json", "[1, 2]", "a.json: rows: expected an object with keys"),
        ("a.json", '{"accuracy": 0.5}', "a.json: acc: no such column (found: accuracy)"),
        ("a.json", '{"acc": true}', "a.json: row 1: acc: expected a finite number (found 'True')"),
        ("a.json", '{"acc": NaN}', "a.json: row 1: acc: expected a finite number"),
        ("a.json", '{"acc": null}', "a.json: acc: no value of epoch 2, the last"),
        ("a.jsonl", 'Welcome!\n{"acc": 0.5}', "a.jsonl:1: not readable as JSON"),
        ("a.jsonl", "5", "a.jsonl:1: row: expected an object with keys"),
        ("output.txt", "Welcome!", "output.txt: acc: no line matches the pattern"),
    ],
)
def test_final_values_that_are_wrong(tmp_path, name, text, line):
    (tmp_path / name).write_text(text)
    source = {"columns": {"test.top1": "acc"}} | (
        {"pattern": "(?P<acc>[0-9.]+)"} if name == "output.txt" else {"file": name}
    )
    assert line in complaint(tmp_path, {"final": source})
