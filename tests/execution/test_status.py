"""How far a study is, what it will cost, and why a cell would run: over records, logs, locks and a queue."""

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.execution import cost_model, status
from renorm.execution.slurm import queue
from renorm.runs import collect
from renorm.study import config, grid
from renorm.study.cell import Cell
from renorm.training.job import train

from ..training.cells import small_job

STUDY = {
    "study": "s",
    "recipes": {"base": {"optimizer": {"lr": 0.1}}},
    "experiments": {
        "one": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm"], "recipe": ["base"],
                "epochs": [1], "seeds": [1, 2, 3, 4, 5, 6]},
        "two": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm"], "recipe": ["base"],
                "epochs": [1], "seeds": [6, 7]},
    },
}  # fmt: skip


def cell(seed: int) -> Cell:
    return Cell("digits", "tiny_vgg", "batch_norm", "base", 1, seed)


@pytest.fixture(scope="module", autouse=True)
def real(prepared_digits, tmp_path_factory):
    """A run as the trainer writes it; those of other cells are made from it."""
    folder = tmp_path_factory.mktemp("real")
    train(small_job(folder, prepared_digits, epochs=1))
    REAL["record"] = json.loads((folder / "run.json").read_text())
    REAL["history"] = (folder / "history.csv").read_text()


REAL: dict = {}


def write_run(study: config.Study, one: Cell, status: str = "completed", seconds: float = 10.0) -> Path:
    """The real record with another cell's identity, without the disk flushes that thousands would wait for."""
    hyper = grid.hyperparameters(study, one)
    document = REAL["record"] | {"cell": one.as_dict(), "hyperparameters": hyper, "status": status,
                                 "seconds": {"setup": 0.0, "train": seconds, "test": 0.0}}  # fmt: skip
    if status == "diverged":
        document |= {"diverged": {"epoch": 1, "step": 1}, "metrics": {"final": None, "best": None}}
    folder = collect.run_folder(study, one)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "history.csv").write_text(REAL["history"])
    (folder / "run.json").write_text(json.dumps(document | {"checksum": files.checksum(document)}))
    return folder


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return config.validate(STUDY)


HOLD = """
import sys, time
from renorm.core.locks import locked
with locked(sys.argv[1], "x"):
    print(1, flush=True)
    time.sleep(99)
"""


@pytest.fixture
def hold():
    """Hold a cell's lock in another process."""
    running = []

    def begin(folder: Path) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder / ".lock")], stdout=subprocess.PIPE,
                                   env={**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[2])})  # fmt: skip
        running.append(process)
        process.stdout.readline()
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def squeue(folder: Path, monkeypatch, *lines: str) -> None:
    """A cluster whose queue holds `lines`."""
    program = folder / "bin/squeue"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def job(state: str, seed: int, results: Path, reason: str = "None") -> str:
    """A line of squeue: a job that trains a cell of `results`."""
    comment = f"rule_train_wildcards_digits_tiny_vgg_batch_norm_base_1_{seed}"
    return f"1|{state}|{reason}|renorm_x|{comment} {queue.marker(results, '')}"


def submitted(study: config.Study) -> None:
    """A Snakemake has submitted jobs of the study before."""
    Path(study.results_dir).mkdir(parents=True, exist_ok=True)
    (Path(study.results_dir) / queue.LOCK).touch()


def test_a_slurm_that_does_not_answer_is_said(study, tmp_path, monkeypatch, capsys):
    squeue(tmp_path, monkeypatch)
    program = tmp_path / "bin/squeue"
    program.write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller' >&2\nexit 1\n")
    # Nothing was ever submitted from here: that the commands are there says nothing.
    assert status.survey(study).notes == ()
    submitted(study)
    status.status(study)
    out = capsys.readouterr().out
    assert "squeue: Slurm does not answer (slurm_load_jobs error: Unable to contact slurm controller)" in out
    assert "is counted as missing or failed" in out


def test_a_queued_job_that_cannot_start_is_named_with_its_reason(study, tmp_path, monkeypatch, capsys):
    submitted(study)
    results = Path(study.results_dir)
    squeue(tmp_path, monkeypatch, job("PENDING", 1, results, "Priority"), job("PENDING", 2, results, "JobHeldAdmin"))
    status.status(study)
    out = capsys.readouterr().out
    assert (
        "1 queued jobs cannot start: JobHeldAdmin: an administrator holds it (job 1, " in out and "Priority" not in out
    )
    assert status.why(study, cell(1).path).endswith("its job 1 waits in the queue (Priority).")
    assert "it cannot start: JobHeldAdmin: an administrator holds it" in status.why(study, cell(2).path)


def test_every_state_is_told_apart(study, tmp_path, monkeypatch, hold, capsys):
    write_run(study, cell(1))
    write_run(study, cell(2), "diverged")
    hold(collect.run_folder(study, cell(3)))
    failed = collect.run_folder(study, cell(4)) / "log.txt"
    failed.parent.mkdir(parents=True)
    failed.write_text("renorm: no space left\n")
    submitted(study)
    results = Path(study.results_dir)
    queued = {"PENDING": (results, 5), "RUNNING": (results, 6), "COMPLETING": (Path("/elsewhere"), 7)}
    lines = [job(state, seed, folder) for state, (folder, seed) in queued.items()]
    squeue(tmp_path, monkeypatch, "Welcome!", *lines, "4|RUNNING|None|other|(null)")
    status.status(study, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["experiments"] == {
        "one": {"completed": 1, "diverged": 1, "running": 2, "queued": 1, "failed": 1},
        "two": {"running": 1, "missing": 1},
    }
    assert sum(told["all"].values()) == 7
    assert told["running"] == [cell(3).path, cell(6).path]
    assert told["failed"] == [{"cell": cell(4).path, "error": "no space left", "log": str(failed)}]
    status.status(study)
    text = capsys.readouterr().out
    assert "no space left" in text and str(failed) in text and "left at this pace" in text


def test_a_running_cell_is_named_with_its_epoch_and_what_is_left(study, hold, capsys):
    folder = collect.run_folder(study, cell(3))
    hold(folder)
    begun = datetime.now(UTC) - timedelta(seconds=100)
    times = [(begun + timedelta(seconds=s)).isoformat(timespec="seconds") for s in (-500, 0, 45, 90)]
    (folder / "log.txt").write_text(
        f"{times[0]} START\n{times[0]} INFO epoch 1/4 of another attempt\n{times[1]} START on cpu\n"
        f"{times[2]} INFO epoch 1/4 train loss 1\n{times[3]} INFO epoch 2/4 train loss 1\n"
    )
    status.status(study, as_json=True)
    (told,) = json.loads(capsys.readouterr().out)["progress"]
    assert (told["cell"], told["epoch"]) == (cell(3).path, 2)
    assert told["left_seconds"] == pytest.approx(2 * 45 - 10, abs=3)
    status.status(study)
    assert f"running {cell(3).path}: epoch 2/1, " in " ".join(capsys.readouterr().out.split())


def test_a_shared_step_that_failed_is_named(study, capsys):
    log = status.data_log(study, "digits")
    log.parent.mkdir(parents=True)
    log.write_text("renorm: digits: not there; get it first\n")
    status.status(study)
    assert f"data set digits: digits: not there; get it first ({log})" in " ".join(capsys.readouterr().out.split())
    assert f"its data set is not there: digits: not there; get it first ({log})" in status.why(study, cell(1).path)
    write_run(study, cell(1))
    for seed in range(2, 8):
        write_run(study, cell(seed))
    status.status(study, as_json=True)
    assert json.loads(capsys.readouterr().out)["shared"] == []  # nobody waits for it any more


def test_nothing_is_cut_in_80_columns(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    name = "an_experiment_with_a_name_of_some_length"
    named = config.validate(STUDY | {"experiments": {name: STUDY["experiments"]["one"]}})
    for seed, state in ((1, "completed"), (2, "diverged")):
        write_run(named, cell(seed), state)
    monkeypatch.setattr(status, "screen", lambda: Console(width=80, force_terminal=True, no_color=True))
    status.status(named)
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert "…" not in out and name in out and "queued" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_killed_holder_does_not_run(study, hold):
    folder = collect.run_folder(study, cell(1))
    process = hold(folder)
    assert status.survey(study).states[cell(1)] == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (folder / ".lock").read_text() and status.survey(study).states[cell(1)] == "missing"


def test_the_rest_is_foretold_from_the_finished_cells(study, hold):
    write_run(study, cell(1), seconds=10)
    write_run(study, cell(2), seconds=30)
    # 5 cells of 20 s each, one at a time while nothing or one runs, two at a time while two run.
    assert status.survey(study).eta_seconds == pytest.approx(100)
    hold(collect.run_folder(study, cell(3)))
    hold(collect.run_folder(study, cell(4)))
    assert status.survey(study).eta_seconds == pytest.approx(50, abs=3)
    for seed in range(1, 8):
        write_run(study, cell(seed))
    assert status.survey(study).eta_seconds == 0


def test_watching_ends_when_nothing_is_left(study, capsys):
    for seed in range(1, 7):
        write_run(study, cell(seed))
    command = [
        sys.executable,
        "-m",
        "renorm",
        "status",
        "--config",
        "study.yaml",
        "--watch",
        "--json",
        "--every",
        "0.2",
    ]
    Path("study.yaml").write_text(json.dumps(STUDY))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline())["all"] == {"completed": 6, "missing": 1}
    write_run(study, cell(7))
    rest = [json.loads(line) for line in process.communicate(timeout=60)[0].splitlines()]
    assert process.returncode == 0 and rest[-1]["all"] == {"completed": 7}


def test_thousands_of_cells(study):
    axes = STUDY["experiments"]["one"] | {"arch": ["tiny_vgg", "tiny_resnet"], "epochs": list(range(1, 11)),
                                          "seeds": list(range(187))}  # fmt: skip
    big = config.validate(STUDY | {"experiments": {"one": axes}})
    cells = list(grid.cells(big))
    assert len(cells) == 3740
    for one in cells[:3000]:
        write_run(big, one)
    Path("big.yaml").write_text(json.dumps(STUDY | {"experiments": {"one": axes}}))
    done = subprocess.run([sys.executable, "-m", "renorm", "status", "--config", "big.yaml", "--json"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(done.stdout)["all"] == {"completed": 3000, "missing": 740}


def test_why_names_the_reason(study, hold):
    path = cell(1).path
    assert "would be trained: it has no run.json." in status.why(study, path)
    folder = write_run(study, cell(1))
    assert "would not be trained: it is completed" in status.why(study, str(folder / "run.json"))
    other = config.validate(STUDY | {"recipes": {"base": {"optimizer": {"lr": 0.2}, "batch_size": 64}}})
    told = status.why(other, path)
    assert "would be trained, and the record that is there set aside: " in told
    assert "does not count: batch_size was 128, is 64; optimizer.lr was 0.1, is 0.2." in told
    (folder / "run.json").write_text((folder / "run.json").read_text().replace('"top1": 0.', '"top1": 0.0', 1))
    assert "set aside" in status.why(study, path) and "checksum" in status.why(study, path)
    (folder / "run.json").unlink()
    (folder / "log.txt").write_text("renorm: CUDA ran out of memory\n")
    (folder / "checkpoint.pt").touch()
    told = status.why(study, path)
    assert "its last try failed: CUDA ran out of memory" in told and "log.txt" in told and "checkpoint" in told
    hold(folder)
    assert "is being trained now, by process" in status.why(study, path)
    with pytest.raises(RenormError, match="did you mean 'digits/tiny_vgg/batch_norm/base/e1/s1'"):
        status.why(study, "digits/tiny_vgg/batchnorm/base/e1/s1")
    with pytest.raises(RenormError, match="is not a valid cell path"):
        status.why(study, "results")


def test_more_tries_ask_for_more(study):
    asked = [cost_model.estimate(study, cell(1), attempt) for attempt in (1, 2, 3)]
    assert asked[0].mem_mb < asked[1].mem_mb < asked[2].mem_mb
    gpu = study.model_copy(update={"gpu": 1})
    long = Cell("digits", "tiny_vgg", "batch_norm", "base", 1000, 1)
    minutes = [cost_model.estimate(gpu, long, attempt).minutes for attempt in (1, 2, 3)]
    assert minutes[0] < minutes[1] < minutes[2]
    assert asked[0].seconds == asked[2].seconds


def test_a_full_disk_is_one_line_and_a_finished_study_needs_none(study, monkeypatch):
    usage = type("Usage", (), {"free": 2_000_000})
    monkeypatch.setattr(cost_model.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(RenormError, match="results_dir: .*/results has 2 MB free and the study needs at least 16 MB"):
        cost_model.check_space(study, grid.cells(study))
    cost_model.check_space(study, [])
