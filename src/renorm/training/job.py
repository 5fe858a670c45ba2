"""One cell in, one run out."""

import hashlib
import io
import json
import math
import os
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from renorm import data, models
from renorm.core import files
from renorm.core.errors import RenormError
from renorm.core.locks import locked
from renorm.norms import NormSpec
from renorm.runs import run_record
from renorm.study.cell import Cell
from renorm.training import checkpoint, provenance
from renorm.training.allocator import keep_freed_memory
from renorm.training.process_group import Alone, assemble, device_of
from renorm.training.run_log import Silent, Teller
from renorm.training.trainer import Diverged, Loop, Stopped

# Parameters and buffers at the end of a run that keeps them; run.json holds their checksum.
WEIGHTS = "weights.pt"


@dataclass(frozen=True)
class Job:
    """A cell and what training it needs beside its hyper-parameters; nothing here changes a number on one device.

    `gpus`: processes that share every batch, a GPU each (0 and 1 are the same); their number changes the numbers of a
    network that takes statistics of its batch. `workers`: processes that decode picture files for each of them; as
    many as its threads when not given. `keep_weights`: leave the final parameters and buffers in weights.pt.
    """

    cell: Cell
    hyper: dict
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


def train(job: Job) -> run_record.Record:
    """Train `job.cell` into `job.out` and return its record.

    Continues from a checkpoint when there is one; does nothing when the finished record is there. A twin that still
    runs (of a requeued job, of a killed Snakemake) is waited for, `wait_seconds` at most. Raises `RenormError`
    when the cell is being written by somebody else, or `out` holds a run of other hyper-parameters; `SystemExit` with
    128 + the signal's number after SIGTERM or SIGINT, when everything up to the current step was saved.
    """
    with locked(job.out / ".lock", f"cell {job.cell}", job.wait_seconds):
        files.remove_parts(job.out)
        done = _finished(job)
        teller = Teller(job.out / "log.txt", job.quiet)
        try:
            if done:
                # Snakemake removes the log of a job that it starts anew, also from under a twin that still writes it.
                teller.say(f"{job.cell}: was finished {done.finished}: nothing to train")
                return done
            with _signals() as caught, data.workers_watched(), memory_watched(job):
                return _train(job, teller, caught)
        finally:
            teller.close()


def _finished(job: Job) -> run_record.Record | None:
    path = job.out / "run.json"
    if not path.exists():
        return None
    found = run_record.read(path)
    if found.cell != job.cell or found.hyperparameters != job.hyper:
        raise RenormError(f"{path}: is a run of other hyper-parameters: remove it or choose another --out")
    if job.keep_weights and not (job.out / WEIGHTS).exists():
        raise RenormError(f"{path}: is finished and kept no weights: remove it and train the cell again")
    # Left over when the process was killed between writing the record and this line.
    checkpoint.remove(job.out)
    return found


def _train(job: Job, teller: Teller, caught: list[int]) -> run_record.Record:
    begun = time.perf_counter()
    _check_gpus(job)
    device, dataset = _set_up(job, 0)
    with assemble(job.gpus, device, _follow, job) as team:
        loop = _loop(job, dataset, device, team)
        record = _lead(job, loop, dataset, device, teller, caught, begun)
    if job.keep_weights:
        _keep(loop.model, job.out / WEIGHTS)
    path = run_record.write(job.out, record, run_record.history_csv(loop.rows))
    checkpoint.remove(job.out)
    return run_record.read(path)


def _keep(model: torch.nn.Module, path: Path) -> None:
    body = io.BytesIO()
    torch.save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, body)
    files.write_atomic(path, body.getvalue())


def _set_up(job: Job, rank: int) -> tuple[torch.device, data.Dataset]:
    """Device and data of the process `rank` of the job."""
    device = device_of(rank, device_named(job.device).type) if job.gpus > 1 else device_named(job.device)
    configure(job.hyper, threads_each(job.threads, job.gpus), device)
    return device, data.obtain(job.cell.dataset, job.data_root, job.prepared, job.download)


def _lead(
    job: Job, loop: Loop, dataset, device: torch.device, teller: Teller, caught: list[int], begun: float
) -> run_record.Record:
    """Train to the end, with checkpoints, and return the record; the leader of a team or a process alone."""
    started = run_record.now()
    fingerprint = _fingerprint(job, dataset.checksum)
    state = loop.team.told(checkpoint.load(job.out, fingerprint, teller.say))
    resumes, spent, places = 0, 0.0, []
    if state:
        loop.restore(state["loop"])
        resumes, spent, started = state["resumes"] + 1, state["setup_seconds"], state["started"]
        places = state["places"]
        teller.say(f"{job.cell}: resumed at epoch {loop.epoch}, step {loop.step + 1} (resume {resumes})")
    else:
        where = f"{job.gpus} processes, {device.type}" if job.gpus > 1 else device
        teller.say(f"{job.cell}: {loop.images['train']:,} images on {where}, {_parameters(loop.model):,} parameters")
    # Bit for bit is promised on one device with one number of threads: a reader sees when a run had several.
    here = provenance.place(device, job.gpus)
    places = places if here in places else [*places, here]
    setup = spent + time.perf_counter() - begun

    def save() -> None:
        checkpoint.save(job.out, {"fingerprint": fingerprint, "loop": loop.state(), "resumes": resumes,
                                  "setup_seconds": setup, "started": started, "places": places})  # fmt: skip

    teller.start(job.cell.epochs, loop.steps, (loop.epoch - 1) * loop.steps + loop.step)
    diverged = None
    try:
        loop.run(save, lambda: bool(caught), 60 * job.checkpoint_minutes, teller)
    except Diverged as error:
        diverged = error
        teller.say(f"{job.cell}: diverged: {error}")
    except Stopped:
        teller.say(f"{job.cell}: stopped by signal {caught[0]} at epoch {loop.epoch}, step {loop.step}; saved")
        raise SystemExit(128 + caught[0]) from None
    return run_record.Record(
        cell=job.cell, protocol=job.hyper["protocol"], hyperparameters=job.hyper, runner=run_record.Builtin(),
        **_facts(job, loop, dataset, device, diverged), seconds=_seconds(loop, setup), resumes=resumes, places=places,
        started=started, finished=run_record.now(),
        history_sha256=run_record.digest(run_record.history_csv(loop.rows)),
    )  # fmt: skip


def _follow(job: Job, team: Alone) -> None:
    """What the other processes of a team do: the leader's steps, without files, signals or words."""
    with suppress(Stopped), memory_watched(job):
        device, dataset = _set_up(job, team.rank)
        loop = _loop(job, dataset, device, team)
        state = team.told(None)
        if state:
            loop.restore(state["loop"])
        with data.workers_watched(), suppress(Diverged):
            loop.run(loop.state, lambda: False, math.inf, Silent())
        loop.step_losses()


def _loop(job: Job, dataset, device: torch.device, team: Alone) -> Loop:
    workers = threads_each(job.threads, job.gpus) if job.workers is None else job.workers
    model = network(job.cell, job.hyper, dataset)
    return Loop(model, dataset, job.hyper, job.cell.epochs, job.cell.seed, device, team, workers)


def network(cell: Cell, hyper: dict, dataset: data.Dataset) -> torch.nn.Module:
    """The cell's network with its initial weights; the seed fixes them on the CPU, whatever device trains them."""
    torch.manual_seed(cell.seed)
    spec = NormSpec(name=cell.norm, **hyper.get("norm", {}))
    return models.create(cell.arch, spec, dataset.classes, dataset.image_size, dataset.channels)


def threads_each(threads: int, processes: int) -> int:
    """CPU threads of each of so many processes."""
    return max(1, threads // max(1, processes))


def _facts(job: Job, loop: Loop, dataset, device: torch.device, diverged: Diverged | None) -> dict:
    last = None if diverged or not loop.rows else loop.rows[-1]
    return {
        "status": "diverged" if diverged else "completed",
        "diverged": run_record.Divergence(epoch=diverged.epoch, step=diverged.step) if diverged else None,
        "epochs_completed": len(loop.rows),
        "metrics": run_record.Metrics(
            final=run_record.measured(last, loop.images),
            best=run_record.measured(run_record.best(loop.rows), loop.images),
        ),
        "step_losses": run_record.step_losses(loop.step_losses()),
        "normalisation": run_record.Normalisation(**asdict(dataset.normalisation(job.hyper["normalise"]))),
        "parameters": _parameters(loop.model),
        "weights_sha256": provenance.weights_sha256(loop.model.state_dict()),
        "data_sha256": dataset.checksum,
        "provenance": run_record.Provenance(**provenance.describe(device, job.gpus, job.hyper)),
    }


def _seconds(loop: Loop, setup: float) -> run_record.Seconds:
    """Seconds spent on setting up (over all resumes), training and evaluating."""
    train = sum(row["train_seconds"] for row in loop.rows)
    test = sum(row["test_seconds"] for row in loop.rows)
    return run_record.Seconds(setup=round(setup, 3), train=round(train, 3), test=round(test, 3))


def _parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _fingerprint(job: Job, data_checksum: str) -> str:
    # What a team saves is each process's own share.
    gpus = [job.gpus] if job.gpus > 1 else []
    identity = json.dumps([job.cell.as_dict(), job.hyper, data_checksum, *gpus], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def device_named(name: str) -> torch.device:
    """The device `auto`, `cpu` or `cuda`; `RenormError` when it is not here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise RenormError("device: 'cuda' was asked for and there is no CUDA device here: use cpu or auto")
    return torch.device(name)


def _check_gpus(job: Job) -> None:
    batch = job.hyper["batch_size"]
    if job.gpus > 1 and batch % job.gpus:
        raise RenormError(f"gpus: batch_size {batch} cannot be shared evenly by {job.gpus} processes: change one")
    if job.gpus > 1 and device_named(job.device).type == "cuda" and job.gpus > torch.cuda.device_count():
        raise RenormError(f"gpus: {job.gpus} were asked for and {torch.cuda.device_count()} are here: take fewer")


def configure(hyper: dict, threads: int, device: torch.device) -> None:
    """Threads, determinism and precision of this process, as the hyper-parameters say; on a CPU its allocator too."""
    torch.set_num_threads(threads)
    keep_freed_memory(device)
    if hyper["deterministic"]:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same as use_deterministic_algorithms(…), which would import torch's compiler as well.
    torch.set_deterministic_debug_mode("error" if hyper["deterministic"] else "default")
    # Nothing here reads memory before it was written, so that filling it all with NaN would be for nothing.
    torch.utils.deterministic.fill_uninitialized_memory = False
    # float32: no TF32 anywhere; the others leave convolutions in TF32, as PyTorch does by default, and products not.
    torch.backends.cudnn.conv.fp32_precision = "ieee" if hyper["precision"] == "float32" else "tf32"
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.benchmark = device.type == "cuda" and not hyper["deterministic"]


def wake(device: torch.device) -> None:
    """Load what every cell on the device loads once: its context, and the libraries of convolutions and products."""
    images, weight = torch.zeros(1, 8, 8, 8, device=device), torch.zeros(8, 8, 3, 3, device=device, requires_grad=True)
    maps = torch.nn.functional.conv2d(images, weight)
    (maps.flatten(1) @ torch.zeros(maps.numel(), 1, device=device)).sum().backward()
    weight.grad.sum().item()


def lacks_memory(error: RuntimeError) -> bool:
    """Whether the device's memory was too small: the allocator has a class for it, CUDA, cuDNN and cuBLAS words."""
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in words or "_ALLOC_FAILED" in words


@contextmanager
def memory_watched(job: Job):
    """A `RenormError` instead of the many errors that a device has for too little memory."""
    try:
        yield
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        place = "the device"
        if torch.cuda.is_initialized():  # there may not have been enough even for that
            place = f"a device of {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"
        raise RenormError(
            f"cell {job.cell}: CUDA ran out of memory with batch_size {job.hyper['batch_size']} on {place}: lower "
            "batch_size, run fewer cells per device, or take a larger one"
        ) from None


@contextmanager
def _signals():
    """Collect SIGTERM and SIGINT; the loop looks after every step, a second one ends the process at once."""
    caught: list[int] = []

    def note(number, _frame):
        if caught:
            os._exit(128 + number)
        caught.append(number)

    before = {s: signal.signal(s, note) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
