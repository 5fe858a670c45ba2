"""A calibration measured for real, and what is foretold from it."""

import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from renorm.cli import app as cli
from renorm.core.errors import RenormError
from renorm.execution import calibrate, calibration_store, cost_model
from renorm.runs import run_record
from renorm.study import config, grid
from renorm.training.device import configure
from renorm.training.job import train

from ..training.cells import small_job

STUDY = {
    "study": "s",
    "recipes": {"small": {"optimizer": {"lr": 0.01}, "batch_size": 32, "train_images": 320, "test_images": 100}},
    "experiments": {
        "one": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm", "deconv"], "recipe": ["small"],
                "epochs": [4], "seeds": [1, 2]},
    },
}  # fmt: skip


@pytest.fixture
def study(tmp_path, monkeypatch, prepared_digits):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/data").symlink_to(prepared_digits)
    return config.validate(STUDY)


@pytest.fixture
def started(monkeypatch):
    """The start of a process costs seconds, and one test has measured it."""
    monkeypatch.setattr(calibrate, "start_seconds", lambda device: 2.0)


def test_what_was_measured_foretells_a_real_cell(study, prepared_digits):
    """In seconds a cell, whatever its epochs and images; benchmarks.prediction says how well, on an idle machine."""
    said = []
    # Both kinds take seconds; a busy machine may take ten times as long.
    path = calibrate.calibrate(study, 1, said.append)
    found = calibration_store.read(path)
    assert len(found.steps) == 2 and set(found.data) == {"digits"} and found.start_seconds > 0.3
    assert said[0] == found.name and sum("ms a step" in line for line in said) == 2
    cells = sorted(grid.cells(study))
    expected = cost_model.estimate(study, cells[0])
    assert expected.basis == "measured"
    record = train(small_job(Path("run"), prepared_digits, epochs=4, recipe=STUDY["recipes"]["small"]))
    training = expected.seconds - found.start_seconds
    assert training / 5 < record.seconds.total < training * 5 + 1
    # What a cell depends on is what it was.
    assert grid.hyperparameters(study, cells[0]) == record.hyperparameters


def test_without_time_the_cheapest_is_measured_and_the_rest_scaled(study, started):
    said = []
    path = calibrate.calibrate(study, 0.001, said.append)
    assert [step.norm for step in calibration_store.read(path).steps.values()] == ["batch_norm"]
    assert any("1 of 2 kinds did not fit into the time" in line for line in said)
    assert {cost_model.estimate(study, cell).basis for cell in grid.cells(study)} == {"measured", "scaled"}
    # A second run goes on with what the first left out, and keeps what it found.
    calibrate.calibrate(study, 0.001, said.append)
    assert {step.norm for step in calibration_store.read(path).steps.values()} == {"batch_norm", "deconv"}


def test_only_what_missing_cells_need_is_measured(study, started):
    for cell in grid.cells(study):
        if cell.norm == "deconv":
            folder = Path("results/runs") / cell.path
            folder.mkdir(parents=True)
            (folder / "run.json").touch()
    path = calibrate.calibrate(study, 0.001, lambda line: None)
    assert [step.norm for step in calibration_store.read(path).steps.values()] == ["batch_norm"]


def test_a_study_for_gpus_is_not_calibrated_on_a_processor(study, monkeypatch):
    monkeypatch.setattr(calibrate.torch.cuda, "is_available", lambda: False)
    with pytest.raises(RenormError, match="calibrate: the study trains on GPUs and there is none here: .* srun"):
        calibrate.calibrate(study.model_copy(update={"gpu": 1}), 0.001, print)


def test_the_command_prints_the_record(study, started):
    Path("study.json").write_text(study.model_dump_json())
    done = CliRunner().invoke(cli.app, ["calibrate", "--config", "study.json", "--minutes", "0.001"])
    assert done.exit_code == 0, done.output
    path = Path(done.output.splitlines()[-1])
    assert path.parent == Path("results/calibration").absolute()
    age = time.time() - path.stat().st_mtime
    assert age < 60 and calibration_store.read(path).made <= run_record.now()


@pytest.mark.cuda
def test_a_gpu_is_measured_by_its_own_name(study):
    path = calibrate.calibrate(study.model_copy(update={"gpu": 1}), 1.0, print)
    found = calibration_store.read(path)
    assert found.kind == "cuda" and found.device == torch.cuda.get_device_name()
    # How many kinds fit into the time is the machine's affair.
    norms = {step.norm for step in found.steps.values()}
    assert "batch_norm" in norms <= {"batch_norm", "deconv"}


@pytest.mark.cuda
def test_a_repetition_on_a_gpu_is_sized_by_a_step_that_loads_nothing(study):
    """As many steps of a few milliseconds as a repetition has, and the trainer's batch of a test."""
    kind = calibrate._kinds(study.model_copy(update={"gpu": 1}))[0]
    device = torch.device("cuda")
    configure(kind.hyper, 1, device)
    bench = calibrate.Bench(kind, device)
    assert bench.first[0] < bench.warm_seconds
    assert (bench.loop.steps, bench.loop.images["test"]) == (calibrate.TURN_STEPS, 2000)
