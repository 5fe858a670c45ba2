"""`renorm calibrate`: a minute of measuring on a device, from which the seconds of a study's cells are predicted.

What is timed is the trainer's own loop on random images of the study's shapes, so that nothing has to be downloaded.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from renorm import data
from renorm.core import machine
from renorm.core.errors import RenormError
from renorm.data.batches import evaluation_batch
from renorm.data.prepared import Split
from renorm.data.streamed import Decoder, StreamedSplit
from renorm.execution import calibration_store, cost_model, workload
from renorm.execution.calibration_store import Calibration, DataTimes, Measured
from renorm.execution.workload import Step
from renorm.runs import finished, run_record
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import Study
from renorm.study.data_manifest import is_prepared
from renorm.training import checkpoint
from renorm.training.device import configure, device_named, lacks_memory, threads_each, wake
from renorm.training.network import network
from renorm.training.trainer import Trainer

Say = Callable[[str], None]
# The part of the time for the first repetition of every kind; the rest is for further repetitions of all in rotation.
FIRST_REPETITIONS = 0.6
REPETITIONS = 8
# A repetition is an epoch of as many steps, and a test of as many images, as take about this many seconds each.
REPETITION_SECONDS, REPETITION_STEPS = 0.5, 16
# Images that a CPU tests in the first repetition, and at most; a GPU tests one whole batch of the trainer's.
TEST_FIRST, TEST_MOST = 64, 2000
DECODED = 64
# Of the time of one thread; below it, other programs used the CPU.
BUSY_SHARE = 0.8


@dataclass(frozen=True)
class Kind:
    """A kind of step with a cell that has it."""

    step: Step
    cell: Cell
    hyper: dict


class Bench:
    """One kind of step, built and warm; `run_once` measures it again."""

    def __init__(self, kind: Kind, device: torch.device):
        begun = time.perf_counter()
        self.kind, self.device = kind, device
        # So small that nothing is learnt: random labels must not drive the weights to infinity.
        optimizer = kind.hyper["optimizer"] | {"lr": 1e-8}
        self.hyper = kind.hyper | {"optimizer": optimizer, "batch_size": kind.step.batch, "train_images": None,
                                   "test_images": None, "log_steps": 0}  # fmt: skip
        self.model = network(kind.cell, self.hyper, self._images(1, 1))
        gpu = device.type == "cuda"
        self.tested = evaluation_batch(*kind.step.shape[1:], device) if gpu else TEST_FIRST
        self.loop = self._loop(1, self.tested)
        self.first = self.run_once()
        self.warm_seconds = time.perf_counter() - begun
        if gpu:
            # A kind's first step on a GPU loads kernels and tries algorithms, for seconds: it does not measure a step.
            self.first = self.run_once()
        step, image = self.first
        tested = self.tested if gpu else _fitting(image, TEST_FIRST, TEST_MOST)
        self.loop = self._loop(_fitting(step, 1, REPETITION_STEPS), tested)
        self.repetitions: list[tuple[float, float]] = []
        self.save_seconds = self._save()

    def run_once(self) -> tuple[float, float]:
        """Seconds of a step and of a tested image, of one more epoch."""
        self.loop.epochs = self.loop.epoch
        self.loop.run()
        row = self.loop.rows[-1]
        return row["train_seconds"] / self.loop.steps, row["test_seconds"] / self.loop.images["test"]

    def measure(self) -> None:
        self.repetitions.append(self.run_once())

    @property
    def seconds(self) -> float:
        """What one more repetition is expected to take."""
        step, image = (self.repetitions or [self.first])[-1]
        return step * self.loop.steps + image * self.loop.images["test"]

    def result(self) -> Measured:
        # The first repetition pays for what only the first step does; where nothing else was measured it has to do.
        repetitions = self.repetitions or [self.first]
        step, image = (statistics.median(values) for values in zip(*repetitions, strict=True))
        warm, one = self.once(step, image), self.kind.step
        return Measured(arch=one.arch, norm=one.norm, shape=one.shape, batch=one.batch, seconds=step,
                        image_seconds=image, save_seconds=self.save_seconds, warm_seconds=warm,
                        repetitions=len(repetitions))  # fmt: skip

    def once(self, step: float, image: float) -> float:
        """Seconds of building and of what only the first repetition does, given those of a step and a tested image."""
        return max(0.0, self.warm_seconds - step - image * self.tested)

    def _loop(self, steps: int, tested: int) -> Trainer:
        images = self._images(steps * self.kind.step.batch, tested)
        return Trainer(self.model, images, self.hyper, 1, self.kind.cell.seed, self.device)

    def _images(self, *counts: int) -> data.Dataset:
        """Random images to train and to test."""
        random, classes = np.random.default_rng(0), 10
        shape = self.kind.step.shape
        train, test = (
            Split(random.integers(0, 256, (n, *shape), np.uint8), random.integers(0, classes, n)) for n in counts
        )
        half = (0.5,) * shape[0]
        return data.Dataset(self.kind.cell.dataset, classes, half, half, train, test, checksum="")

    def _save(self) -> float:
        """Seconds of a checkpoint that follows another."""
        with tempfile.TemporaryDirectory(prefix="renorm-") as folder:
            seconds = 0.0
            for _ in range(2):
                begun = time.perf_counter()
                checkpoint.save(Path(folder), {"loop": self.loop.state()})
                seconds = time.perf_counter() - begun
        return seconds


def _fitting(seconds: float, least: int, most: int) -> int:
    """How many, of this many seconds each, fit into a repetition."""
    return min(most, max(least, round(REPETITION_SECONDS / max(seconds, 1e-9))))


def calibrate(study: Study, minutes: float, say: Say) -> Path:
    """Measure what the study's missing cells need on this machine's device, for about `minutes`; the record's path.

    Kinds of step that an earlier calibration of the same device has not are measured first, then the cheap ones first;
    what does not fit into the time is left to be scaled. Raises `RenormError` when the study's kind of device is not
    here.
    """
    device = _device(study)
    place = _place(study, device)
    kinds = sorted(_kinds(study), key=lambda kind: (kind.step.key in place.steps, _expected(kind, study)))
    start = start_seconds(device)
    wake(device)
    times = _data_times(study, {kind.cell.dataset for kind in _kinds(study)})
    begun, used = time.perf_counter(), time.process_time()
    benches = _benches(kinds, study, device, 60 * minutes, say)
    share = (time.process_time() - used) / (time.perf_counter() - begun)
    found = place.model_copy(update={
        "made": run_record.now(), "start_seconds": start, "data": {**place.data, **times},
        "steps": {**place.steps, **{bench.kind.step.key: bench.result() for bench in benches}},
    })  # fmt: skip
    path = calibration_store.write(study.results_dir, found)
    for line in _summary(benches, kinds, found, share if device.type == "cpu" and study.threads == 1 else 1.0):
        say(line)
    return path


def _device(study: Study) -> torch.device:
    wanted = workload.kind(study)
    try:
        return device_named(wanted)
    except RenormError:
        raise RenormError(
            "calibrate: the study trains on GPUs and there is none here: run it where there is one (on a cluster: "
            "srun --gpus=1 renorm calibrate), or set `device: cpu`"
        ) from None


def _place(study: Study, device: torch.device) -> Calibration:
    """What is known of this device already, else a record without measurements."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine.cpu_name()
    kind: Literal["cpu", "cuda"] = "cuda" if device.type == "cuda" else "cpu"
    empty = Calibration(kind=kind, device=name, torch=machine.torch_version(), threads=study.threads, made="",
                        start_seconds=0, steps={})  # fmt: skip
    try:
        return calibration_store.read(calibration_store.folder(study.results_dir) / empty.file_name)
    except RenormError:
        return empty


def _kinds(study: Study) -> list[Kind]:
    """The kinds of step of the cells that have no record yet; of all cells when none is missing."""
    cells = [cell for cell in grid.cells(study) if not grid.program(study, cell)]
    if not cells:
        raise RenormError("calibrate: every cell is trained by a program: `renorm plan` uses their finished cells")
    missing = [cell for cell in cells if not finished.of(study, cell).record]
    found: dict[str, Kind] = {}
    for cell in missing or cells:
        step = workload.workload(study, cell).step
        found.setdefault(step.key, Kind(step, cell, grid.hyperparameters(study, cell)))
    return list(found.values())


def _expected(kind: Kind, study: Study) -> float:
    return cost_model.table_seconds(kind.step, workload.kind(study), study.threads)


def _benches(kinds: Iterable[Kind], study: Study, device: torch.device, seconds: float, say: Say) -> list[Bench]:
    """Build and measure in the given order until the time is up; at least one."""
    begun = time.monotonic()
    benches: list[Bench] = []
    ratio = once = 0.0
    for kind in kinds:
        needed = once + 2 * ratio * _expected(kind, study)
        if benches and time.monotonic() - begun + needed > FIRST_REPETITIONS * seconds:
            break
        configure(kind.hyper, threads_each(study.threads, study.gpu), device)
        try:
            bench = Bench(kind, device)
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            say(f"{kind.step.key}: needs more memory than this device has; not measured")
            torch.cuda.empty_cache()
            continue
        benches.append(bench)
        ratio, once = bench.first[0] / _expected(kind, study), bench.once(*bench.first)
    _repetitions(benches, study, begun + seconds)
    return benches


def _repetitions(benches: list[Bench], study: Study, deadline: float) -> None:
    """Further repetitions of all in rotation, so that a disturbance does not meet one of them alone."""
    for _ in range(REPETITIONS):
        for bench in benches:
            if time.monotonic() + bench.seconds > deadline:
                continue
            configure(bench.hyper, threads_each(study.threads, study.gpu), bench.device)
            bench.measure()


def start_seconds(device: torch.device) -> float:
    """Seconds of a process that imports the trainer, wakes the device, asks for its provenance, and ends."""
    code = (
        "import torch; from renorm import cli; from renorm.training import device, job, provenance; "
        f"where = torch.device('{device.type}'); device.wake(where); "
        "provenance.describe(where, 1, {'precision': '', 'deterministic': False})"
    )
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begun


def _data_times(study: Study, names: Iterable[str]) -> dict[str, DataTimes]:
    """Of the data sets that are prepared: seconds of opening, and of decoding one image file in one process."""
    out = {}
    for name in sorted(names):
        folder = Path(study.results_dir) / "data" / name
        if not is_prepared(folder, name):
            continue
        begun = time.perf_counter()
        found = data.open_prepared(folder, name)
        opened = time.perf_counter() - begun
        out[name] = DataTimes(open_seconds=opened, decode_seconds=_decode_seconds(found))
    return out


def _decode_seconds(found: data.Dataset) -> float:
    if isinstance(found.train, Split):
        return 0.0
    split = StreamedSplit(found.train, found.mean, found.std, torch.device("cpu"), None, 0)
    decoder = Decoder(split, split.draw(0, 1, "crop_flip"))
    count = min(DECODED, len(split))
    _ = decoder[0, 1]
    begun = time.perf_counter()
    _ = decoder[0, count]
    return (time.perf_counter() - begun) / count


def _summary(benches: list[Bench], kinds: list[Kind], found: Calibration, share: float) -> Iterable[str]:
    yield found.name
    for bench in benches:
        one = bench.result()
        yield (
            f"{bench.kind.step.key}: {1000 * one.seconds:.3g} ms a step, {1e6 * one.image_seconds:.3g} µs a tested "
            f"image ({one.repetitions} repetitions)"
        )
    rest = [kind.step.key for kind in kinds if kind.step.key not in found.steps]
    if rest:
        yield (
            f"{len(rest)} of {len(kinds)} kinds did not fit into the time and are scaled from these, {rest[0]} the "
            "first of them: --minutes gives more, and a further run measures them"
        )
    if share < BUSY_SHARE:
        yield (
            f"the CPU was busy with other programs ({share:.0%} of a core was ours): all times are too long; "
            "calibrate when it is idle"
        )
