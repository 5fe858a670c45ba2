"""Records that go elsewhere and come back: packed, converted, adopted; what does not fit is named."""

import csv
import json
import shutil
import zipfile

import pytest
from typer.testing import CliRunner

from renorm.cli import app as cli
from renorm.core import files
from renorm.core.errors import RenormError
from renorm.runs import adopt, collect, convert, finished, recordings, run_record
from renorm.study import config, grid

from .test_collect import ONE, SMALL, STUDY, study, trained  # noqa: F401 - fixtures

RECORDED = "resources/recorded"
CONVERTED = [
    ("xeon-cpu-2026-11-21", 57), ("epyc-cpu-2026-11-21/cpu", 12), ("epyc-cpu-2026-11-21/student_table1", 18),
    ("epyc-cpu-2026-11-21/relatives", 48),
]  # fmt: skip


@pytest.fixture
def elsewhere(tmp_path):
    """The same study with nothing in its results."""
    return config.validate(STUDY).model_copy(update={"results_dir": str(tmp_path / "elsewhere")})


def ways(study, tmp_path):  # noqa: F811
    """The results, a crate of them (zipped), and a recording."""
    crate = tmp_path / "crate.zip"
    with zipfile.ZipFile(crate, "w") as packed:
        for name in ("run.json", "history.csv"):
            packed.write(finished.run_folder(study, ONE) / name, f"results/runs/{ONE.path}/{name}")
    runs = tmp_path / "runs"
    return [runs, crate, recordings.pack(study, recordings.finished_in(runs, study), tmp_path / "recording")]


def test_records_from_a_folder_a_crate_and_a_recording_are_taken_as_they_are(study, elsewhere, tmp_path):  # noqa: F811
    before = {name: (finished.run_folder(study, ONE) / name).read_bytes() for name in ("run.json", "history.csv")}
    for path in ways(study, tmp_path):
        shutil.rmtree(elsewhere.results_dir, ignore_errors=True)
        outcome = adopt.adopt(elsewhere, [str(path)])
        assert (outcome.adopted, outcome.there, outcome.refused) == ([ONE], [], [])
        folder = finished.run_folder(elsewhere, ONE)
        assert json.loads((folder / "run.json").read_bytes()) == json.loads(before["run.json"])
        assert (folder / "history.csv").read_bytes() == before["history.csv"]
        assert str(path) in adopt.origin(elsewhere, ONE) and adopt.origin(study, ONE) == ""
        assert adopt.adopt(elsewhere, [str(path)]).there == [ONE]


def test_what_does_not_fit_is_named_and_not_taken(study, elsewhere, tmp_path):  # noqa: F811
    other = elsewhere.model_copy(update={"recipes": {"small": config.Recipe(**(SMALL | {"batch_size": 8}))}})
    assert adopt.adopt(other, [str(tmp_path / "runs")]).refused[0][1] == "batch_size was 32, is 8"
    changed = STUDY["experiments"]["e"] | {"norm": ["none"]}
    stranger = config.validate(STUDY | {"experiments": {"e": changed}}).model_copy(
        update={"results_dir": elsewhere.results_dir}
    )
    outcome = adopt.adopt(stranger, [str(tmp_path / "runs")])
    assert f"{ONE} is not a cell of study 's'" in outcome.refused[0][1]
    assert outcome.lines()[-1] == "0 adopted, 0 finished before, 1 do not fit"
    assert not finished.run_folder(elsewhere, ONE).exists()


def test_the_configuration_adopts_without_a_command(study, elsewhere, tmp_path):  # noqa: F811
    recording = ways(study, tmp_path)[-1]
    adopting = elsewhere.model_copy(update={"adopt": [str(recording)]})
    seen = finished.of(adopting, ONE)
    assert seen.record and seen.offered and not finished.run_folder(adopting, ONE).exists()  # nothing written yet
    collect.collect(adopting)
    seen = finished.of(adopting, ONE)
    assert seen.record and not seen.offered
    with open(adopting.folder / "cells.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["completed", "missing"]


def test_a_damaged_recording_is_one_line(study, tmp_path):  # noqa: F811
    recording = ways(study, tmp_path)[-1]
    path = recording / "records.jsonl"
    whole = path.read_text()
    for damaged, words in (
        (whole.replace('"completed"', '"diverged"', 1), "checksum mismatch"),
        (whole.replace("epoch,lr", "epoch,rl", 1), "checksum of history.csv does not match"),
        (whole[:-100], "not a packed record"),
        ("", "holds no run.json"),
    ):
        path.write_text(damaged)
        with pytest.raises(RenormError, match=words):
            recordings.offered(recording)
    with pytest.raises(RenormError, match=r"records.jsonl: checksum does not match recording.json"):
        recordings.study_of(recording)
    with pytest.raises(RenormError, match="not there: give a recording"):
        recordings.offered(tmp_path / "nowhere")
    with pytest.raises(RenormError, match="recordings are not edited"):
        recordings.pack(study, recordings.offered(tmp_path / "runs"), recording)


@pytest.mark.parametrize(("name", "runs"), CONVERTED)
def test_the_converted_recordings_say_what_their_tables_say(root, name, runs):
    folder = root / RECORDED / name
    found = {one.record.cell: one for one in recordings.offered(folder)}
    assert len(found) == runs == files.read_json(folder / "recording.json", "")["runs"]
    with open(folder / "runs.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] != "seconds"]
    for row in rows:
        names = {axis: row[axis] for axis in ("dataset", "arch", "norm", "recipe")}
        record = next(
            one.record for cell, one in found.items()
            if {axis: getattr(cell, axis) for axis in names} == names
            and (cell.epochs, cell.seed) == (int(row["epochs"]), int(row["attempt"]))
        )  # fmt: skip
        epoch = getattr(record.metrics, row["selection"])
        assert epoch.value(row["split"], row["metric"]) == float(row["value"])
    assert all(one.record.converted == convert.TABLES and one.record.weights_sha256 is None for one in found.values())
    study = recordings.study_of(folder)  # noqa: F811
    assert all(finished.of(study, cell).record for cell in found)


def test_the_main_study_counts_what_fits_it(root, monkeypatch):
    monkeypatch.chdir(root)
    whole = config.load("config.yaml").model_copy(update={"only": None, "results_dir": "nowhere"})
    fits = [cell for cell in grid.cells(whole) if finished.of(whole, cell).record]
    assert len(fits) >= 57 and {cell.dataset for cell in fits} >= {"mnist", "fashion_mnist"}


def test_a_record_of_format_1_is_converted_one_way(study, elsewhere, tmp_path):  # noqa: F811
    folder = finished.run_folder(study, ONE)
    new = json.loads((folder / "run.json").read_text())
    old = {key: value for key, value in new.items() if key not in ("runner", "code", "built_in_code", "converted")}
    old["format"] = 1
    old["provenance"] = new["provenance"] | {"data_sha256": old.pop("data_sha256")}
    old["metrics"] = {
        name: {"epoch": at["epoch"]} | {s: part["values"] | {"n": part["n"]} for s, part in at["splits"].items()}
        for name, at in new["metrics"].items()
    }
    files.write_sealed(folder / "run.json", old)
    with pytest.raises(RenormError, match="expected a run record of format 2"):
        run_record.read(folder / "run.json")  # in results it does not count
    packed = recordings.pack(study, recordings.finished_in(tmp_path / "runs", study), tmp_path / "old")
    assert adopt.adopt(elsewhere, [str(packed)]).adopted == [ONE]
    record = run_record.read(finished.run_folder(elsewhere, ONE) / "run.json")
    assert record.converted == convert.FORMAT_1 and record.built_in_code is None
    for key in ("metrics", "hyperparameters", "weights_sha256", "data_sha256", "history_sha256", "seconds"):
        assert record.model_dump(mode="json")[key] == new[key]
    del old["parameters"]
    files.write_sealed(folder / "run.json", old)
    with pytest.raises(RenormError, match="'parameters': is missing in a record of format 1"):
        recordings.offered(tmp_path / "runs" / ONE.dataset)


def test_the_commands(study, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text(json.dumps(STUDY))
    run = CliRunner()
    done = run.invoke(cli.app, ["pack", "runs", "--config", "s.json", "--out", "kept", "--note", "By hand."])
    assert done.exit_code == 0 and json.loads((tmp_path / "kept/recording.json").read_text())["note"] == "By hand."
    done = run.invoke(cli.app, ["adopt", "kept", "--config", "s.json"])
    assert done.exit_code == 0 and "1 adopted, 0 finished before, 0 do not fit" in done.output
    assert (tmp_path / "results/runs" / ONE.path / "run.json").exists()


def test_the_recorded_run_of_the_authors_code_counts_where_there_is_no_clone(root, tmp_path):
    """Its program is pinned by digests in the recording and in the configuration that adopts it."""
    theirs = config.load(root / "config" / "original_code.yaml", {"only": "vgg11", "results_dir": str(tmp_path)})
    theirs = theirs.model_copy(update={"programs": {
        "original": theirs.programs["original"].model_copy(update={"directory": str(tmp_path / "no clone")}),
    }})  # fmt: skip
    outcome = adopt.adopt(theirs, theirs.adopt)
    (cell,) = outcome.adopted
    assert (cell.arch, cell.norm, cell.epochs) == ("vgg11", "batch_norm", 1) and not outcome.refused
    record = finished.of(theirs, cell).record
    assert record.runner.kind == "program" and record.runner.dirty is False
    assert record.metrics.final.value("test", "top1") == 0.1153

    recorded = recordings.study_of(root / RECORDED / "authors-code-cpu-2026-11")
    assert recorded.programs["original"].code == theirs.programs["original"].code == record.runner.code_sha256
