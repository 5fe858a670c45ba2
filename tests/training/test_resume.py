"""A run that was stopped anywhere and continued is the run that was never stopped, bit for bit."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from renorm.runs import run_record
from renorm.training import checkpoint
from renorm.training.job import train

from .cells import history_without_times, small_job, stop_after_each_step, without_times

KILLS = int(os.environ.get("RENORM_KILLS", "5"))
NORMS = ("batch_norm", "deconv")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, prepared_digits):
    """norm → (folder, record) of a run that nobody stopped."""
    folders = {norm: tmp_path_factory.mktemp(norm) for norm in NORMS}
    return {norm: (out, train(small_job(out, prepared_digits, norm=norm))) for norm, out in folders.items()}


def assert_equal(out, whole):
    folder, record = whole
    found = run_record.read(out / "run.json")
    assert without_times(found) == without_times(record)
    assert history_without_times(out) == history_without_times(folder)
    assert sorted(p.name for p in out.iterdir()) == [
        ".lock", "history.csv", "log.txt", "run.json",
    ]  # fmt: skip
    return found


@pytest.mark.parametrize("norm", NORMS)
def test_stopped_after_every_single_step(tmp_path, prepared_digits, undisturbed, monkeypatch, norm):
    """SIGTERM before each step of 2 epochs of 5 steps: 10 processes' worth of stops, each resumed from its file."""
    stop_after_each_step(monkeypatch)
    stops = 0
    while not (tmp_path / "run.json").exists():
        try:
            train(small_job(tmp_path, prepared_digits, norm=norm))
        except SystemExit as stop:
            assert stop.code == 128 + signal.SIGTERM
            stops += 1
        assert stops <= 12
    found = assert_equal(tmp_path, undisturbed[norm])
    # The last step's signal finds nothing left to save.
    assert found.resumes == stops >= 9


def run_in_child(job):
    os.environ["OMP_NUM_THREADS"] = "1"
    train(job)


@pytest.mark.parametrize("norm", NORMS)
def test_killed_at_random_and_started_again(tmp_path, prepared_digits, undisturbed, norm, tally):
    """SIGKILL at random moments, with a checkpoint after every step, so that many fall into the writing of one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["renorm.training.job"])
    rng, kills, attempt = random.Random(norm), 0, 0
    # The first child also waits for the server that forks them, and would make every later one finish unharmed.
    for turn in ("first", "second"):
        started = time.monotonic()
        run_in_child_once(context, small_job(tmp_path / turn, prepared_digits, norm=norm, checkpoint_minutes=1e-9))
        whole = time.monotonic() - started
    while kills < KILLS:
        out = tmp_path / f"run{attempt}"
        job = small_job(out, prepared_digits, norm=norm, checkpoint_minutes=1e-9)
        while not (out / "run.json").exists():
            process = context.Process(target=run_in_child, args=(job,))
            process.start()
            process.join(rng.uniform(0.1, 1.0) * whole)
            if process.is_alive():
                process.kill()
                kills += 1
            process.join()
        # Killed between the last rename and the clean-up, the next start only cleans up.
        train(job)
        assert_equal(out, undisturbed[norm])
        attempt += 1
    tally(f"SIGKILLs of a {norm} cell, resumed bit for bit", kills, kills, f"{attempt} runs")


def run_in_child_once(context, job):
    process = context.Process(target=run_in_child, args=(job,))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_sigterm_to_the_real_command_saves_and_exits_non_zero(tmp_path, prepared_digits):
    command = [
        sys.executable, "-m", "renorm", "train", "--dataset", "digits", "--arch", "tiny_vgg", "--norm", "batch_norm",
        "--epochs", "400", "--out", str(tmp_path / "run"), "--prepared", str(prepared_digits), "--device", "cpu",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "run" / "log.txt"
    deadline = time.monotonic() + 120
    while "epoch 2/400" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "stopped by signal 15" in errors
    assert checkpoint.load(tmp_path / "run", read_fingerprint(tmp_path / "run"), print) is not None
    assert not (tmp_path / "run" / "run.json").exists()


def read_fingerprint(folder):
    return checkpoint._load_body(folder / "checkpoint.pt")["fingerprint"]


@pytest.fixture
def stopped(tmp_path, prepared_digits, monkeypatch):
    """A job of two epochs that was stopped in its second one, with two generations of checkpoints."""
    job = small_job(tmp_path / "run", prepared_digits)
    with monkeypatch.context() as patch:
        stop_after_each_step(patch, spared=6)
        with pytest.raises(SystemExit):
            train(job)
    assert all((job.out / name).exists() for name in checkpoint.NAMES)
    return job


def test_another_number_of_threads_is_in_the_record(stopped):
    record = train(replace(stopped, threads=2))
    assert [place.split(", ")[1] for place in record.places] == ["1 threads", "2 threads"]
    assert record.resumes == 1


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(stopped, undisturbed):
    path = stopped.out / "checkpoint.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    train(stopped)
    log = (stopped.out / "log.txt").read_text()
    assert "checkpoint.pt is damaged or of another version: ignored" in log
    assert "resumed at epoch 2, step 1" in log
    assert_equal(stopped.out, undisturbed["batch_norm"])


def test_no_whole_checkpoint_starts_again_and_says_so(stopped, undisturbed):
    for name in checkpoint.NAMES:
        path = stopped.out / name
        path.write_bytes(path.read_bytes()[:-1])
    record = train(stopped)
    assert (stopped.out / "log.txt").read_text().count("is damaged or of another version: ignored") == 2
    assert record.resumes == 0
    assert_equal(stopped.out, undisturbed["batch_norm"])


def test_a_checkpoint_of_other_hyperparameters_is_not_used(stopped):
    hyper = stopped.hyper | {"batch_size": 16}
    record = train(replace(stopped, hyper=hyper))
    assert record.resumes == 0
    assert "belongs to other hyper-parameters" in (stopped.out / "log.txt").read_text()


@pytest.mark.cuda
@pytest.mark.parametrize("norm", NORMS)
def test_a_gpu_goes_on_bit_for_bit(tmp_path, prepared_digits, determinism, monkeypatch, norm):
    def job(name: str):
        recipe = {"deterministic": True}
        return replace(small_job(tmp_path / name, prepared_digits, norm=norm, recipe=recipe), device="cuda")

    whole = train(job("whole"))
    with monkeypatch.context() as patch:
        stop_after_each_step(patch, spared=6)
        with pytest.raises(SystemExit):
            train(job("run"))
    assert train(job("run"))["resumes"] == 1
    assert_equal(tmp_path / "run", (tmp_path / "whole", whole))
