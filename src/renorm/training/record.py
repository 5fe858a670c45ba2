"""From a finished training to the run record: what was trained, what it found, and with what it was made."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from renorm.core import code_digest, machine
from renorm.data import Dataset
from renorm.runs import run_record
from renorm.study.cell import Cell
from renorm.training import provenance
from renorm.training.network import parameter_count
from renorm.training.trainer import Diverged, Trainer


@dataclass(frozen=True)
class Attempts:
    """What the processes that worked on one run have in common; each checkpoint carries it on.

    Attributes:
        started: When the first of them started, ISO 8601 in UTC.
        resumes: How often the run was resumed.
        setup_seconds: Seconds that all of them spent on setting up.
        places: Devices, threads and versions of torch that it was trained with, without repetition. Bit for bit is
            promised on one device with one number of threads: a reader sees when a run had several.
    """

    started: str
    resumes: int
    setup_seconds: float
    places: list[str]

    @classmethod
    def first(cls) -> "Attempts":
        """Those of a run that starts now."""
        return cls(run_record.now(), 0, 0.0, [])

    @classmethod
    def resumed(cls, saved: dict[str, Any]) -> "Attempts":
        """One more than those that a checkpoint holds (`asdict`)."""
        before = cls(**saved)
        return replace(before, resumes=before.resumes + 1)

    def set_up(self, place: str, seconds: float) -> "Attempts":
        """With the present process, which is set up: where it computes, and how long its set-up took."""
        places = self.places if place in self.places else [*self.places, place]
        return replace(self, places=places, setup_seconds=self.setup_seconds + seconds)


def build(
    cell: Cell, hyper: dict[str, Any], trainer: Trainer, dataset: Dataset, gpus: int, attempts: Attempts,
    code: dict[str, str], diverged: Diverged | None,
) -> tuple[run_record.Record, str]:  # fmt: skip
    """The record of a run that came to its end.

    Args:
        cell: What was trained.
        hyper: With which hyper-parameters.
        trainer: After its last step.
        dataset: On which data.
        gpus: Processes that shared every batch.
        attempts: Of all processes that worked on it.
        code: Axis → digest of the code of the cell that is not part of renorm, when the training began.
        diverged: Where the loss was not finite, if it ended so.

    Returns:
        The record and its history, as `run_record.write` takes them.
    """
    rows = trainer.rows
    history = run_record.history_csv(rows)
    last = None if diverged or not rows else rows[-1]
    return run_record.Record(
        cell=cell,
        protocol=hyper["protocol"],
        hyperparameters=hyper,
        runner=run_record.Builtin(),
        status="diverged" if diverged else "completed",
        diverged=run_record.Divergence(epoch=diverged.epoch, step=diverged.step) if diverged else None,
        epochs_completed=len(rows),
        metrics=run_record.Metrics(
            final=run_record.measured(last, trainer.images),
            best=run_record.measured(run_record.best(rows), trainer.images),
        ),
        step_losses=run_record.step_losses(trainer.step_losses()),
        normalisation=run_record.Normalisation(**asdict(dataset.normalisation(hyper["normalise"]))),
        parameters=parameter_count(trainer.model),
        weights_sha256=provenance.weights_sha256(trainer.model.state_dict()),
        data_sha256=dataset.checksum,
        code=code,
        built_in_code=code_digest.built_in(dataset=cell.dataset, arch=cell.arch, norm=cell.norm),
        provenance=run_record.Provenance(**provenance.describe(trainer.device, gpus, hyper)),
        seconds=_seconds(rows, attempts.setup_seconds),
        usage=run_record.Usage(**machine.usage(), peak_gpu_memory_mb=_peak_gpu_memory_mb(trainer.device)),
        resumes=attempts.resumes,
        places=attempts.places,
        started=attempts.started,
        finished=run_record.now(),
        history_sha256=run_record.digest(history),
    ), history


def _peak_gpu_memory_mb(device: torch.device) -> float | None:
    return round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if device.type == "cuda" else None


def _seconds(rows: list[dict[str, Any]], setup: float) -> run_record.Seconds:
    """Seconds spent on setting up (over all resumes), training and evaluating."""
    train, test = (sum(row[f"{split}_seconds"] for row in rows) for split in ("train", "test"))
    return run_record.Seconds(setup=round(setup, 3), train=round(train, 3), test=round(test, 3))
