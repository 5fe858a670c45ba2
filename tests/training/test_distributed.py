"""Two processes that share every batch are one trainer: the same numbers, one writer, the same resume."""

import json
import math
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from renorm.cli import app as cli
from renorm.core.errors import RenormError
from renorm.norms import NormSpec, apply
from renorm.runs import run_record
from renorm.training.job import train
from renorm.training.process_group import Alone, Team, assemble
from renorm.training.trainer import Loop

from .cells import history_without_times, small_job, without_times

TWO = {"gpus": 2, "threads": 2}


def shares(size: int, start: int, stop: int) -> list[tuple[int, int]]:
    return [Team(rank, size, torch.device("cpu")).share(start, stop) for rank in range(size)]


@pytest.mark.parametrize(("size", "rows"), [(2, (32, 64)), (2, (128, 150)), (4, (10, 13)), (3, (5, 5)), (1, (0, 7))])
def test_every_row_is_one_process_s(size, rows):
    """No row twice, none forgotten, and the leader has as many as any."""
    found = shares(size, *rows)
    assert [row for start, stop in found for row in range(start, stop)] == list(range(*rows))
    assert found[0][1] - found[0][0] == max(stop - start for start, stop in found)


def test_alone_is_a_team_of_one():
    alone, values = Alone(), torch.tensor([1.0, 2.0])
    assert alone.share(3, 9) == (3, 9)
    assert alone.agree(True, False) == (True, False)
    for same in (alone.total(values), alone.least(values), alone.own(alone.gather(values)), alone.told(values)):
        assert torch.equal(same, values)


# 150 images in batches of 32, the last of 22; with 129 the second process has nothing of its own in the last step.
@pytest.mark.parametrize("images", [150, 129])
def test_two_processes_equal_one_without_statistics_of_the_batch(tmp_path, prepared_digits, images):
    recipe = {"train_images": images, "test_images": 101, "log_steps": 10}
    one, two = (
        train(small_job(tmp_path / str(gpus), prepared_digits, norm="none", recipe=recipe, gpus=gpus, threads=gpus))
        for gpus in (1, 2)
    )
    for selection in ("final", "best"):
        for split in ("train", "test"):
            a, b = (getattr(run.metrics, selection).splits[split] for run in (one, two))
            assert a.n == b.n
            assert math.isclose(a.values["loss"], b.values["loss"], rel_tol=1e-5)
            assert a.values["top1"] == pytest.approx(b.values["top1"], abs=1.01 / a.n)
    torch.testing.assert_close(torch.tensor(one.step_losses), torch.tensor(two.step_losses), rtol=1e-5, atol=0)
    assert one.parameters == two.parameters
    assert two.provenance.device == f"2 × {one.provenance.device}"
    assert sorted(p.name for p in (tmp_path / "2").iterdir()) == [".lock", "history.csv", "log.txt", "run.json"]


def followers() -> list[int]:
    """The processes that this one started."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.fixture
def signals(monkeypatch):
    """(epoch, step) → which process gets which signal after it, once."""
    real_step, plan = Loop._train_step, {}

    def step(self, batch):
        real_step(self, batch)
        for who, number in plan.pop((self.epoch, self.step), {}).items():
            os.kill(os.getpid() if who == "leader" else followers()[0], number)

    monkeypatch.setattr(Loop, "_train_step", step)
    return plan


def test_stopped_and_continued_is_the_undisturbed_run(tmp_path, prepared_digits, signals):
    """SIGTERM to every process of the job, as a cluster sends it; with a normaliser that keeps statistics."""
    jobs = [small_job(tmp_path / name, prepared_digits, norm="deconv", recipe={"log_steps": 9}, **TWO)
            for name in ("run", "whole")]  # fmt: skip
    signals[2, 3] = {"follower": signal.SIGTERM, "leader": signal.SIGTERM}
    with pytest.raises(SystemExit) as stop:
        train(jobs[0])
    assert stop.value.code == 128 + signal.SIGTERM
    assert "stopped by signal 15 at epoch 2, step 3; saved" in (jobs[0].out / "log.txt").read_text()
    found, whole = train(jobs[0]), by_command(jobs[1])
    assert found.resumes == 1
    assert without_times(found) == without_times(whole)
    assert history_without_times(jobs[0].out) == history_without_times(jobs[1].out)


def by_command(job) -> dict:
    """The record of the job, made by the command that the workflow uses."""
    cell = job.cell
    command = [
        "train", "--dataset", cell.dataset, "--arch", cell.arch, "--norm", cell.norm, "--recipe", cell.recipe,
        "--epochs", str(cell.epochs), "--seed", str(cell.seed), "--hyper", json.dumps(job.hyper), "--device", "cpu",
        "--out", str(job.out), "--prepared", str(job.prepared), "--gpus", "2", "--threads", "2", "--quiet",
    ]  # fmt: skip
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 0, result.output
    return run_record.read(job.out / "run.json")


def test_a_killed_process_is_one_line(tmp_path, prepared_digits, signals):
    signals[1, 1] = {"follower": signal.SIGKILL}
    with pytest.raises(RenormError) as caught:
        train(small_job(tmp_path, prepared_digits, **TWO))
    assert "process 2 of 2 was killed by signal 9" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not torch.distributed.is_initialized()


def take_steps(job, team):
    """How often the counter's buffer was written to in three steps, and what it counts, of all processes."""
    torch.manual_seed(0)
    model = apply(nn.Linear(4, 3), NormSpec("deconv", overrides={"": {"freeze": True}}))
    network, before = team.wrap(model), model.steps._version
    for step in range(3):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(10 * step + team.rank))
        network(x).square().mean().backward()
    return team.gather(torch.tensor([model.steps._version - before, int(model.steps)])).tolist()


def test_nobody_but_the_layer_writes_to_its_count():
    """Else it asks the device for it in every step."""
    with assemble(2, torch.device("cpu"), take_steps, None) as team:
        assert take_steps(None, team) == [[3, 3], [3, 3]]


def stay_until_the_leader_leaves(job, team):
    team.agree(True)
    with suppress(RuntimeError):
        torch.distributed.recv(torch.zeros(1), src=0)


@pytest.mark.timeout(180)
def test_the_leader_leaves_before_it_waits_for_the_others():
    """As NCCL wants it, whose processes may only leave together."""
    with assemble(2, torch.device("cpu"), stay_until_the_leader_leaves, None) as team:
        team.agree(True)
    assert not followers()


def stay_for_ever(job, team):
    time.sleep(3600)


def test_a_leader_that_fails_waits_for_nobody():
    with pytest.raises(ZeroDivisionError), assemble(2, torch.device("cpu"), stay_for_ever, None):
        _ = 1 / 0
    assert not followers() and not torch.distributed.is_initialized()


def test_a_batch_that_cannot_be_shared(tmp_path, prepared_digits):
    with pytest.raises(RenormError, match="gpus: batch_size 32 cannot be shared evenly by 3 processes"):
        train(small_job(tmp_path, prepared_digits, gpus=3))


@pytest.mark.cuda
def test_more_gpus_than_there_are(tmp_path, prepared_digits):
    from dataclasses import replace

    with pytest.raises(RenormError, match=r"gpus: 32 were asked for and \d+ are here"):
        train(replace(small_job(tmp_path, prepared_digits, gpus=32), device="cuda"))
