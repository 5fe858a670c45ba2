"""The record as an object: what a program of any kind may leave out, and what is refused in one line."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.runs import run_record
from renorm.study.cell import Cell

CELL = Cell("speech", "lstm", "none", "theirs", 3, 1)
# All that a foreign program must say: what was run, what came out of it, when.
LEAST = {
    "format": 2, "cell": CELL.as_dict(), "protocol": 1, "hyperparameters": {"lr": 0.1},
    "runner": {"kind": "program", "command": "python train.py"}, "status": "completed", "epochs_completed": 3,
    "metrics": {"final": {"epoch": 3, "splits": {"test": {"values": {"word_error_rate": 0.12}}}}},
    "provenance": {}, "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T01:00:00+00:00",
    "history_sha256": run_record.digest("epoch\n"),
}  # fmt: skip


def stored(folder, document, history="epoch\n"):
    files.write_atomic(folder / "history.csv", history)
    files.write_sealed(folder / "run.json", document)
    return folder / "run.json"


def test_what_a_program_does_not_report_is_absent_and_never_zero(tmp_path):
    record = run_record.read(stored(tmp_path, LEAST))
    assert record.cell == CELL
    assert record.metrics.final.value("test", "word_error_rate") == 0.12
    assert record.metrics.final.value("test", "top1") is None
    assert record.metrics.final.value("train", "word_error_rate") is None
    assert record.metrics.final.splits["test"].n is None and record.metrics.best is None
    assert (record.parameters, record.weights_sha256, record.data_sha256) == (None, None, None)
    assert (record.seconds.train, record.seconds.total, record.provenance.device) == (None, 0.0, None)
    assert run_record.read_history(tmp_path, record) == []


def test_a_record_written_is_the_record_read(tmp_path):
    rows = [{"epoch": 1, "validation_bleu": 1 / 3, "train_seconds": 1.23456}, {"epoch": 2, "validation_bleu": 0.4}]
    history = run_record.history_csv(rows)
    record = run_record.Record.model_validate(LEAST | {"history_sha256": run_record.digest(history)})
    path = run_record.write(tmp_path, record, history)
    assert run_record.read(path) == record
    assert run_record.read_history(tmp_path, record) == [
        {"epoch": "1", "validation_bleu": "0.3333333333333333", "train_seconds": "1.235"},
        {"epoch": "2", "validation_bleu": "0.4", "train_seconds": ""},
    ]
    with pytest.raises(ValueError, match="another history"):
        run_record.write(tmp_path, record, "epoch\n")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 1}, "format: 1: expected a run record of format 2"),
        ({"status": "diverged"}, "completed runs have one, diverged none"),
        ({"metrics": {}}, "completed runs have one, diverged none"),
        ({"runner": {"kind": "magic"}}, "runner: "),
        ({"runner": {"kind": "builtin", "command": "x"}}, "command: unknown key"),
        ({"weight_sha256": "x"}, "weight_sha256: unknown key: did you mean 'weights_sha256'?"),
        ({"cell": LEAST["cell"] | {"norm": "Big"}}, "'Big' is not a name"),
        ({"cell": {"dataset": "x"}}, "expected dataset, arch, norm, recipe, epochs and seed"),
        ({"epochs_completed": "3"}, "epochs_completed: "),
        ({"seconds": {"train": -1.0}}, "seconds.train: "),
        ({"metrics": {"final": {"epoch": 3, "splits": {"dev": {"values": {}}}}}}, "metrics.final.splits.dev"),
        ({"metrics": {"final": {"epoch": 3, "splits": {"test": {"values": {"F 1": 0.5}}}}}}, "F 1"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_one_line(tmp_path, change, says):
    path = stored(tmp_path, LEAST | change)
    with pytest.raises(RenormError) as refused:
        run_record.read(path)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{path}: ") and says in line


@pytest.mark.parametrize(
    ("history", "says"),
    [
        ("epoch,lr,test_top1\n1,0.1,nan\n", "history.csv:2: test_top1: expected a finite number (found 'nan')"),
        ("epoch,test_top1\n1,0.5\n2,high\n", "history.csv:3: test_top1: expected a finite number (found 'high')"),
        ("epoch,accuracy\n1,0.5\n", "history.csv:1: 'accuracy': unknown column"),
        ("epoch,test_top1\n1\n", "history.csv:2: test_top1: expected a finite number (found None)"),
        ("epoch\n1,0.5\n", "history.csv:2: row: expected a finite number"),
    ],
)
def test_a_history_that_is_none_is_one_line(tmp_path, history, says):
    path = stored(tmp_path, LEAST | {"history_sha256": run_record.digest(history)}, history)
    with pytest.raises(RenormError) as refused:
        run_record.read_history(tmp_path, run_record.read(path))
    assert says in str(refused.value)


def test_the_schema_takes_what_the_reader_takes(tmp_path):
    validator = Draft202012Validator(run_record.schema())
    document = json.loads(stored(tmp_path, LEAST).read_text())
    assert validator.is_valid(document)
    for change in ({"status": "done"}, {"checksum": None}, {"format": 1}, {"weight_sha256": "x"},
                   {"metrics": {"final": {"epoch": 1, "splits": {"test": {"values": {"F 1": 0.5}}}}}}):  # fmt: skip
        assert not validator.is_valid(document | change), change


Number = st.floats(-1e300, 1e300) | st.integers(0, 10**6)


@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from(["lr", "train_loss", "test_f1", "validation_bleu.4"]), Number), max_size=5
    )
)
@settings(max_examples=50, deadline=None)
def test_numbers_of_a_history_read_back_as_they_are(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("run")
    rows = [{"epoch": epoch} | row for epoch, row in enumerate(rows, 1)]
    history = run_record.history_csv(rows)
    record = run_record.Record.model_validate(LEAST | {"history_sha256": run_record.digest(history)})
    run_record.write(folder, record, history)
    back = run_record.read_history(folder, record)
    assert [{name: float(text) for name, text in row.items() if text} for row in back] == rows
