"""A small real cell for the tests: tiny networks on the digits, a second or two on one core."""

import os
import signal
from itertools import count
from pathlib import Path

from renorm.runs.run_record import Record
from renorm.study.cell import Cell
from renorm.study.config import Recipe
from renorm.training.job import Job
from renorm.training.trainer import Trainer

SMALL = {"optimizer": {"lr": 0.01}, "batch_size": 32, "train_images": 150, "test_images": 100}


def small_job(
    out: Path, prepared: Path, norm="batch_norm", arch="tiny_vgg", epochs=2, seed=1, recipe=None, **more
) -> Job:
    hyper = Recipe(**(SMALL | (recipe or {}))).resolved(norm, arch)
    cell = Cell("digits", arch, norm, "small", epochs, seed)
    return Job(cell, hyper, Path(out), Path("none"), prepared, device="cpu", download=False, quiet=True, **more)


def stop_after_each_step(monkeypatch, spared: int = 0) -> None:
    """SIGTERM to this process after every training step but the first `spared`."""
    real_step, steps = Trainer._train_step, count(1)

    def step_and_stop(self, batch):
        real_step(self, batch)
        if next(steps) > spared:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_train_step", step_and_stop)


def without_times(record: Record) -> dict:
    """What must be equal when a run was stopped and resumed: everything but times and the count of resumes."""
    dropped = {"seconds", "started", "finished", "resumes", "history_sha256", "usage"}
    # Somebody may commit while the tests run.
    return record.model_dump(exclude=dropped | {"provenance"}) | {
        "provenance": record.provenance.model_dump(exclude={"commit", "dirty"})
    }


def history_without_times(folder: Path) -> list[list[str]]:
    return [line.split(",")[:8] for line in (folder / "history.csv").read_text().splitlines()]
