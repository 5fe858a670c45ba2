"""When a record counts, what is said when it does not, and that none is lost."""

import json
import os

import pytest

from renorm.core.locks import locked
from renorm.runs import finished, run_record
from renorm.study import config, grid

from .test_collect import ONE, SMALL, study, trained  # noqa: F401 - a fixture

DIGEST = "0123456789abcdef"


@pytest.fixture
def record(study):  # noqa: F811
    return run_record.read(finished.run_folder(study, ONE) / "run.json")


def changed(study, **recipe):  # noqa: F811
    return study.model_copy(update={"recipes": {"small": config.Recipe(**(SMALL | recipe))}})


def test_a_record_counts_whatever_its_time_stamp(study):  # noqa: F811
    for stamp in (1, 2e9):
        os.utime(finished.run_folder(study, ONE) / "run.json", (stamp, stamp))
        assert finished.of(study, ONE).record


def test_what_differs_is_named(study, record):  # noqa: F811
    wanted = finished.identity(study, ONE)
    assert wanted.differences(record) == []
    other = finished.identity(changed(study, batch_size=8), ONE)
    assert other.differences(record) == ["batch_size was 32, is 8"]
    with_code = record.model_copy(update={"code": {"arch": DIGEST}})
    assert wanted.differences(with_code) == [f"the code of the architecture was {DIGEST}, is that of renorm"]
    needs = finished.Identity(wanted.cell, wanted.hyperparameters, {"norm": DIGEST}, None)
    assert needs.differences(record) == [f"the code of the normaliser was unknown, is {DIGEST}"]
    data = finished.Identity(wanted.cell, wanted.hyperparameters, {}, "a+b")
    assert data.differences(record) == [f"the data were {record.data_sha256}, are a+b"]
    assert wanted.differences(record.model_copy(update={"built_in_code": "another"})) == []


def test_what_does_not_count_is_set_aside_with_its_history(study):  # noqa: F811
    folder, other = finished.run_folder(study, ONE), changed(study, batch_size=8)
    old = {name: (folder / name).read_bytes() for name in ("run.json", "history.csv")}
    assert finished.set_aside_unlocked(study, ONE) is None  # it counts
    with locked(folder / ".lock", "cell"):
        assert finished.set_aside_unlocked(other, ONE) is None  # a job of the cell is running
    aside = finished.set_aside_unlocked(other, ONE)
    assert aside.read_bytes() == old["run.json"]
    assert (
        aside.with_name(aside.name.replace("run.", "history.")).with_suffix(".csv").read_bytes() == old["history.csv"]
    )
    assert not (folder / "run.json").exists() and not (folder / "history.csv").exists()
    assert finished.superseded(study, ONE) == [aside]


def test_two_records_of_a_day_are_both_kept_and_the_same_one_once(study):  # noqa: F811
    folder = finished.run_folder(study, ONE)
    text = (folder / "run.json").read_text()
    first = finished.set_aside(folder)
    (folder / "run.json").write_text(text)
    assert finished.set_aside(folder) == first and not (folder / "run.json").exists()
    (folder / "run.json").write_text(text + "\n")
    second = finished.set_aside(folder)
    assert second != first and {p.read_text() for p in finished.superseded(study, ONE)} == {text, text + "\n"}
    assert finished.set_aside(folder) is None


def test_a_damaged_record_does_not_count_and_says_so(study):  # noqa: F811
    path = finished.run_folder(study, ONE) / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "diverged"}))
    seen = finished.of(study, ONE)
    assert seen.record is None and "checksum mismatch" in seen.problem


def test_weights_that_a_layer_view_needs(study):  # noqa: F811
    folder = finished.run_folder(study, ONE)
    wanted = finished.Identity(ONE, grid.hyperparameters(study, ONE), {}, None, weights=True)
    assert "weights.pt is not there and a layer view needs it" in finished.look(folder, wanted).problem
    (folder / "weights.pt").touch()
    assert finished.look(folder, wanted).record
