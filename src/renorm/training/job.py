"""The training of one cell, from its files to its record.

Set-up (device, data, network), then training with checkpoints, then the record: `train` goes through them once.
"""

import hashlib
import json
import math
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from renorm import data
from renorm.core import code_digest, files, plugins, signals
from renorm.core.errors import RenormError
from renorm.core.locks import locked
from renorm.runs import finished, run_record
from renorm.study import data_manifest
from renorm.study.cell import Cell
from renorm.study.parts import plugin_code
from renorm.training import checkpoint, device, process_group, provenance, record
from renorm.training.network import network, parameter_count
from renorm.training.process_group import SingleProcess
from renorm.training.run_log import RunLogger
from renorm.training.trainer import Diverged, Stopped, Trainer


@dataclass(frozen=True)
class Job:
    """A cell and what its training needs beside its hyper-parameters; nothing here changes a number on one device.

    Attributes:
        cell: What to train.
        hyper: Resolved hyper-parameters (`study.config.Recipe.resolved`).
        out: Folder of the run.
        data_root: Where raw data sets lie.
        prepared: Where prepared data sets lie, each in the folder of its name.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads of all processes together.
        checkpoint_minutes: Longest time between two checkpoints.
        download: Whether a missing data set may be downloaded.
        quiet: Write nothing to standard error; log.txt holds it all.
        wait_seconds: How long to wait for a concurrent job for the same cell.
        gpus: Processes that share every batch, a GPU each (0 and 1 are the same); their number changes the numbers of
            a network that takes statistics of its batch.
        workers: Processes that decode image files for each of them; as many as its threads when not given.
        keep_weights: Leave the final parameters and buffers in weights.pt.
        plugins: Files that define names of the cell.
    """

    cell: Cell
    hyper: dict[str, Any]
    out: Path
    data_root: Path
    prepared: Path
    device: str = "auto"
    threads: int = 1
    checkpoint_minutes: float = 10.0
    download: bool = True
    quiet: bool = False
    wait_seconds: float = 0.0
    gpus: int = 1
    workers: int | None = None
    keep_weights: bool = False
    plugins: tuple[Path, ...] = ()


def train(job: Job) -> run_record.Record:
    """Train a cell, or resume its training, and write its record.

    Continues from a checkpoint when there is one; does nothing when the finished record is there, and sets one aside
    that is of other hyper-parameters, code or data. A concurrent job for
    the same cell (a requeued job, a killed Snakemake's) is waited for, `job.wait_seconds` at most.

    Args:
        job: What to train, and how.

    Returns:
        The run record, read back from `job.out`/run.json.

    Raises:
        RenormError: Another process writes the cell, the device has too little memory, or something that the job names
            is missing or damaged.
        SystemExit: With 128 + the signal's number after SIGTERM or SIGINT; everything up to the current step was
            saved. With 0 in a process of torchrun's whose rank is not 0, when rank 0 is done.
    """
    plugins.use(job.plugins)
    what, place = f"cell {job.cell}", process_group.external()
    if place and place.size != job.gpus:
        raise RenormError(f"gpus: {job.gpus} is not the number of torchrun's processes, {place.size}: change one")
    if place and place.rank:
        process_group.serve(place, device.device_named(job.device).type, _work, job)
        raise SystemExit(0)
    with locked(job.out / ".lock", what, job.wait_seconds):
        files.remove_parts(job.out)
        log = RunLogger(job.out / "log.txt", job.quiet)
        try:
            done = _finished(job, log)
            if done:
                # Snakemake removes the log of a job that it starts anew, also while a concurrent job still writes it.
                log.info(f"{job.cell}: was finished {done.finished}: nothing to train")
                process_group.dismiss(device.device_named(job.device))
                return done
            batch_size = job.hyper["batch_size"]
            with signals.collected() as caught, data.workers_watched(), device.memory_errors(what, batch_size):
                return _train(job, log, caught)
        finally:
            log.close()


def _finished(job: Job, log: RunLogger) -> run_record.Record | None:
    """The record of the job if there is one; one that does not count is set aside."""
    data_sha256 = data_manifest.prepared_checksum(job.prepared / job.cell.dataset)
    wanted = finished.Identity(job.cell, job.hyper, _code(job), data_sha256, job.keep_weights)
    seen = finished.look(job.out, wanted)
    if seen.record:
        # Left over when the process was killed between writing the record and this line.
        checkpoint.remove(job.out)
        return seen.record
    if seen.problem:
        log.info(f"{job.cell}: set aside as {finished.set_aside(job.out)}: {seen.problem}")
    return None


def _code(job: Job) -> dict[str, str]:
    """Axis → digest of the code of the cell that is not part of renorm."""
    cell = job.cell
    return code_digest.dropped_in(**plugin_code(job.hyper, dataset=cell.dataset, arch=cell.arch, norm=cell.norm))


def _train(job: Job, log: RunLogger, caught: list[int]) -> run_record.Record:
    begun, code = time.perf_counter(), _code(job)
    _check_gpus(job)
    where, dataset = _set_up(job, 0)
    with process_group.launch(job.gpus, where, _work, job) as group:
        trainer = _trainer(job, dataset, where, group)
        fingerprint = _fingerprint(job, dataset.checksum, code)
        attempts = _restore(job, trainer, fingerprint, log)
        attempts = attempts.set_up(provenance.place(where, job.gpus), time.perf_counter() - begun)
        diverged = _run(job, trainer, {"fingerprint": fingerprint, "attempts": asdict(attempts)}, log, caught)
        written = record.build(job.cell, job.hyper, trainer, dataset, job.gpus, attempts, code, diverged)
    if job.keep_weights:
        checkpoint.save_weights(job.out, trainer.model.state_dict())
    path = run_record.write(job.out, *written)
    checkpoint.remove(job.out)
    return run_record.read(path)


def _work(job: Job, group: SingleProcess) -> None:
    """What the worker processes do: rank 0's steps, without files, signals or a log."""
    plugins.use(job.plugins)
    with suppress(Stopped), device.memory_errors(f"cell {job.cell}", job.hyper["batch_size"]):
        where, dataset = _set_up(job, group.rank)
        trainer = _trainer(job, dataset, where, group)
        state = group.broadcast_object(None)
        if state:
            trainer.restore(state["trainer"])
        with data.workers_watched(), suppress(Diverged):
            trainer.run(checkpoint_seconds=math.inf)
        trainer.step_losses()


def _set_up(job: Job, rank: int) -> tuple[torch.device, data.Dataset]:
    """Device and data of the process `rank` of the job."""
    where, place = device.device_named(job.device), process_group.external()
    if job.gpus > 1:
        where = process_group.device_of_rank(place.local_rank if place else rank, where.type)
    device.configure(job.hyper, device.threads_each(job.threads, job.gpus), where)
    return where, data.obtain(job.cell.dataset, job.data_root, job.prepared, job.download)


def _trainer(job: Job, dataset: data.Dataset, where: torch.device, group: SingleProcess) -> Trainer:
    workers = device.threads_each(job.threads, job.gpus) if job.workers is None else job.workers
    model = network(job.cell, job.hyper, dataset)
    return Trainer(model, dataset, job.hyper, job.cell.epochs, job.cell.seed, where, group, workers)


def _restore(job: Job, trainer: Trainer, fingerprint: str, log: RunLogger) -> record.Attempts:
    """Continue from the newest checkpoint on all processes of the group, or log that a run starts."""
    state = trainer.group.broadcast_object(checkpoint.load(job.out, fingerprint, log.warning))
    if state:
        trainer.restore(state["trainer"])
        attempts = record.Attempts.resumed(state["attempts"])
        log.start(f"{job.cell}: resumed at epoch {trainer.epoch}, step {trainer.step + 1} (resume {attempts.resumes})")
        return attempts
    where = f"{job.gpus} processes, {trainer.device.type}" if job.gpus > 1 else str(trainer.device)
    images, parameters = trainer.images["train"], parameter_count(trainer.model)
    log.start(f"{job.cell}: {images:,} images on {where}, {parameters:,} parameters")
    return record.Attempts.first()


def _run(job: Job, trainer: Trainer, frame: dict[str, Any], log: RunLogger, caught: list[int]) -> Diverged | None:
    """Train to the end, with checkpoints of `frame` and the trainer's state; where it diverged, if it did."""

    def save(state: dict[str, Any]) -> None:
        checkpoint.save(job.out, {**frame, "trainer": state})

    log.open_bar(job.cell.epochs, trainer.steps, (trainer.epoch - 1) * trainer.steps + trainer.step)
    try:
        trainer.run(save, lambda: bool(caught), 60 * job.checkpoint_minutes, log)
    except Diverged as error:
        log.info(f"{job.cell}: diverged: {error}")
        return error
    except Stopped:
        log.info(f"{job.cell}: stopped by signal {caught[0]} at epoch {trainer.epoch}, step {trainer.step}; saved")
        raise SystemExit(128 + caught[0]) from None
    return None


def _fingerprint(job: Job, data_checksum: str, code: dict[str, str]) -> str:
    # What several processes save is each one's own part: their number is part of the run.
    gpus = [job.gpus] if job.gpus > 1 else []
    identity = json.dumps([job.cell.as_dict(), job.hyper, data_checksum, code, *gpus], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def _check_gpus(job: Job) -> None:
    batch, metrics = job.hyper["batch_size"], job.hyper.get("metrics")
    if job.gpus > 1 and metrics:
        raise RenormError(f"gpus: {metrics[0]} is measured by one process, on all test images: request one GPU")
    if job.gpus > 1 and batch % job.gpus:
        raise RenormError(f"gpus: batch_size {batch} is not divisible by {job.gpus} processes: change one")
    if process_group.external() or device.device_named(job.device).type != "cuda":
        return
    if job.gpus > 1 and job.gpus > torch.cuda.device_count():
        raise RenormError(f"gpus: {job.gpus} were requested and {torch.cuda.device_count()} are here: request fewer")
