"""Two processes that share every batch are one trainer: the same numbers, one writer, the same resume."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
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
from renorm.norms.running import written_only
from renorm.runs import run_record
from renorm.training.job import train
from renorm.training.process_group import ProcessGroup, SingleProcess, launch
from renorm.training.trainer import Trainer

from .cells import history_without_times, small_job, without_times

TWO = {"gpus": 2, "threads": 2}


def shards(size: int, start: int, stop: int) -> list[tuple[int, int]]:
    return [ProcessGroup(rank, size, torch.device("cpu")).shard(start, stop) for rank in range(size)]


@pytest.mark.parametrize(("size", "rows"), [(2, (32, 64)), (2, (128, 150)), (4, (10, 13)), (3, (5, 5)), (1, (0, 7))])
def test_every_row_is_one_process_s(size, rows):
    """No row twice, none forgotten, and rank 0 has as many as any."""
    found = shards(size, *rows)
    assert [row for start, stop in found for row in range(start, stop)] == list(range(*rows))
    assert found[0][1] - found[0][0] == max(stop - start for start, stop in found)


def test_a_single_process_is_a_group_of_one():
    group, values = SingleProcess(), torch.tensor([1.0, 2.0])
    assert group.shard(3, 9) == (3, 9)
    assert group.any_flag(True, False) == (True, False)
    gathered = group.local_shard(group.gather(values))
    for same in (group.all_reduce_sum(values), group.all_reduce_min(values), gathered, group.broadcast_object(values)):
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


def worker_pids() -> list[int]:
    """The processes that this one started."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.fixture
def signals(monkeypatch):
    """(epoch, step) → which process gets which signal after it, once."""
    real_step, plan = Trainer._train_step, {}

    def step(self, batch):
        real_step(self, batch)
        for who, number in plan.pop((self.epoch, self.step), {}).items():
            os.kill(os.getpid() if who == "rank 0" else worker_pids()[0], number)

    monkeypatch.setattr(Trainer, "_train_step", step)
    return plan


def test_stopped_and_continued_is_the_undisturbed_run(tmp_path, prepared_digits, signals):
    """SIGTERM to every process of the job, as a cluster sends it; with a normaliser that keeps statistics."""
    jobs = [small_job(tmp_path / name, prepared_digits, norm="deconv", recipe={"log_steps": 9}, **TWO)
            for name in ("run", "whole")]  # fmt: skip
    signals[2, 3] = {"worker": signal.SIGTERM, "rank 0": signal.SIGTERM}
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
    signals[1, 1] = {"worker": signal.SIGKILL}
    with pytest.raises(RenormError) as caught:
        train(small_job(tmp_path, prepared_digits, **TWO))
    assert "process 2 of 2 was killed by signal 9" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not torch.distributed.is_initialized()


def take_steps(job, group):
    """How often the counter's buffer was written to in three steps, and what it counts, of all processes."""
    torch.manual_seed(0)
    model = apply(nn.Linear(4, 3), NormSpec("deconv", overrides={"": {"freeze": True}}))
    network, before = group.wrap(model), model.steps._version
    for step in range(3):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(10 * step + group.rank))
        network(x).square().mean().backward()
    return group.gather(torch.tensor([model.steps._version - before, int(model.steps)])).tolist()


def test_nobody_but_the_layer_writes_to_its_count():
    """Else it asks the device for it in every step."""
    with launch(2, torch.device("cpu"), take_steps, None) as group:
        assert take_steps(None, group) == [[3, 3], [3, 3]]


FREEZES = {"freeze": True}


def running_means(job, group):
    """Of all processes: gradients, and running means as the last of three steps finds them, and once they were sent."""
    torch.manual_seed(0)
    layers = apply(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), NormSpec("deconv", overrides={"1": FREEZES}))
    model, found = nn.Sequential(nn.BatchNorm1d(4), *layers), {}
    for layer in model:
        layer.register_forward_pre_hook(lambda layer, _: found.update({layer: layer.running_mean.flatten().clone()}))
    network = group.wrap(model)
    for step in range(3):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(10 * step + group.rank))
        network(x).square().mean().backward()
    group.broadcast_buffers(model)
    gradients = torch.cat([p.grad.flatten() for p in model.parameters()])
    sent = torch.stack([layer.running_mean.flatten() for layer in model])
    return [group.gather(values).tolist() for values in (gradients, torch.stack(list(found.values())), sent)]


def test_running_values_that_no_step_reads_are_sent_before_an_evaluation_only():
    with launch(2, torch.device("cpu"), running_means, None) as group:
        gradients, found, sent = running_means(None, group)
    assert gradients[0] == gradients[1] and sent[0] == sent[1]
    assert [one == other for one, other in zip(*found, strict=True)] == [False, False, True]  # the last one freezes


def test_the_buffers_that_no_step_reads():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    assert written_only(layers) == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
    assert written_only(nn.BatchNorm2d(4, momentum=None)) == []  # its average divides by the count
    deconvolved = apply(layers, NormSpec("deconv_every", overrides={"0": FREEZES}))
    assert written_only(deconvolved) == ["2.running_mean", "2.running_deconv"]
    assert written_only(apply(nn.BatchNorm2d(4), "iterative_norm")) == ["running_mean", "running_whitening"]


def stay_until_rank_0_leaves(job, group):
    group.any_flag(True)
    with suppress(RuntimeError):
        torch.distributed.recv(torch.zeros(1), src=0)


@pytest.mark.timeout(180)
def test_rank_0_leaves_before_it_waits_for_the_workers():
    """As NCCL wants it, whose processes may only leave together."""
    with launch(2, torch.device("cpu"), stay_until_rank_0_leaves, None) as group:
        group.any_flag(True)
    assert not worker_pids()


def stay_for_ever(job, group):
    time.sleep(3600)


def test_a_rank_0_that_fails_waits_for_nobody():
    with pytest.raises(ZeroDivisionError), launch(2, torch.device("cpu"), stay_for_ever, None):
        _ = 1 / 0
    assert not worker_pids() and not torch.distributed.is_initialized()


def test_a_batch_that_cannot_be_shared(tmp_path, prepared_digits):
    with pytest.raises(RenormError, match="gpus: batch_size 32 is not divisible by 3 processes"):
        train(small_job(tmp_path, prepared_digits, gpus=3))


@pytest.mark.cuda
def test_more_gpus_than_there_are(tmp_path, prepared_digits):
    from dataclasses import replace

    with pytest.raises(RenormError, match=r"gpus: 32 were requested and \d+ are here"):
        train(replace(small_job(tmp_path, prepared_digits, gpus=32), device="cuda"))


def test_two_agents_of_torchrun_equal_one_machines_processes(tmp_path, prepared_digits):
    """As `srun torchrun --nnodes=2` starts them: an agent per machine, here both on loopback with gloo."""
    wanted = train(small_job(tmp_path / "one", prepared_digits, epochs=1, gpus=2))
    job = small_job(tmp_path / "two", prepared_digits, epochs=1, gpus=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cell, hyper = job.cell, json.dumps(job.hyper)
    agent = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--rdzv-id=cell",
        "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "-m", "renorm", "train", "--dataset", cell.dataset,
        "--arch", cell.arch, "--norm", cell.norm, "--recipe", cell.recipe, "--epochs", "1", "--seed", str(cell.seed),
        "--hyper", hyper, "--out", str(job.out), "--prepared", str(prepared_digits), "--device", "cpu", "--gpus", "2",
    ]  # fmt: skip
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def both() -> None:
        agents = [subprocess.Popen([*agent[:6], f"--node-rank={rank}", "--local-addr=127.0.0.1", *agent[6:]],
                                   env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                  for rank in (0, 1)]  # fmt: skip
        outputs = [one.communicate(timeout=200)[0] for one in agents]
        assert [one.returncode for one in agents] == [0, 0], outputs

    both()
    found = run_record.read(job.out / "run.json")
    assert (found.weights_sha256, found.metrics) == (wanted.weights_sha256, wanted.metrics)
    finished = (job.out / "run.json").read_bytes()
    # Nothing is left to do, and nobody waits for the others.
    both()
    assert (job.out / "run.json").read_bytes() == finished
    with pytest.raises(RenormError, match="gpus: 2 is not the number of torchrun's processes, 3"):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "3", "LOCAL_RANK": "0"}.items():
                patch.setenv(name, value)
            train(job)
