"""How long a cell takes and how much memory it needs, before it ever ran: what the train rule asks the cluster for.

The estimate is meant to be enough, not exact: a job that asks for too little is killed.
"""

import math
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from renorm.core.errors import RenormError
from renorm.execution import calibration_store, program_cost, workload
from renorm.execution.calibration_store import Calibration
from renorm.execution.workload import Step, Workload
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import PLAIN_NORMS, Study
from renorm.study.programs import Program

# Seconds per 50,000 training images of 32×32 with batch norm on the slowest device we plan for: a V100, after the
# reproduction's Tables 8 and 9 (Obadage et al. 2024; seconds of 100 epochs / 100, the slower data set, rounded up).
GPU_EPOCH_SECONDS = {
    "vgg16": 13, "resnet18": 18, "preact_resnet18": 19, "densenet121": 92, "resnext29_32x4d": 46, "mobilenet_v2": 29,
    "dpn92": 137, "pnasnet_a": 30, "senet18": 25, "efficientnet_b0": 27,
    # By their multiply-adds and layers beside these.
    "vgg11": 9, "vgg13": 11, "vgg19": 16, "resnet50": 60, "tiny_vgg": 4, "tiny_resnet": 6, "simple_cnn": 4, "mlp": 4,
    "linear": 4,
}  # fmt: skip
# The same of 224×224, after its Table 10 (90 epochs of 1,281,167 images); deconvolution takes 2.7 times
# as long there.
GPU_PICTURE_SECONDS = {"vgg11_imagenet": 62, "resnet18_imagenet": 21, "densenet121_imagenet": 146}
UNKNOWN_GPU_EPOCH_SECONDS = 60
# Smaller images than an architecture was made for save less than their pixels.
LEAST_AREA = 0.5
PICTURE_DECONV_FACTOR = 3
# The largest ratio of their 100-epoch times of deconvolution to batch norm is 4.6.
DECONV_FACTOR = 5
# One CPU core against that GPU, order of magnitude.
CPU_FACTOR = 60
START_MINUTES = 10
START_SECONDS = 15
# An image file of ImageNet, decoded, cropped and resized by one process.
DECODE_SECONDS = 0.012
READ_BYTES_A_SECOND = 2e8
# Processes that share a batch exchange their gradients.
TEAM_FACTOR = 1.1
# Requested run time, in multiples of the expected seconds.
SAFETY = 1.5
# Kinds of steps, the nearest by the table, from whose measurements an unmeasured one is scaled; and the least factor by
# which that may be too small: measured, a network scaled from others was up to 3 times off.
NEAREST = 3
SCALED_DOUBT = 2.0
# Millions of parameters, rounded up; a checkpoint holds each and its momentum in 4 bytes, and two are kept.
PARAMETERS = {
    "vgg16": 15, "resnet18": 12, "preact_resnet18": 12, "densenet121": 8, "resnext29_32x4d": 5, "mobilenet_v2": 3,
    "dpn92": 35, "pnasnet_a": 1, "senet18": 12, "efficientnet_b0": 3, "tiny_vgg": 1, "tiny_resnet": 1, "simple_cnn": 1,
    "mlp": 1, "linear": 1, "vgg11": 10, "vgg13": 10, "vgg19": 21, "resnet50": 24, "vgg11_imagenet": 133,
    "resnet18_imagenet": 12, "densenet121_imagenet": 8,
}  # fmt: skip
UNKNOWN_PARAMETERS = 60
CHECKPOINT_BYTES = 2 * 2 * 4
RECORD_MB = 0.05  # run.json, history.csv and log.txt of 100 epochs
# Of main memory, in MB: a process with CUDA, one without, a process that decodes.
GPU_PROCESS_MB, CPU_PROCESS_MB, DECODER_MB = 4_000, 2_000, 500
# An image in training on a CPU: of 32×32 in a light network (measured, libraries aside: 8 to 25), in one of the others,
# which keep many maps (DenseNet-121: 76), of 224×224 in one made for these (DenseNet-121: 194).
CPU_IMAGE_MB, CPU_HEAVY_IMAGE_MB, CPU_PICTURE_MB = 25, 75, 200
LIGHT_SECONDS = 40  # by the table above
# Batches that a decoding process holds: those ready (renorm.data.streamed.AHEAD), one in work, one on its way.
DECODED_BATCHES = 4

Basis = Literal["measured", "scaled", "table"]


@dataclass(frozen=True)
class Estimate:
    """`minutes` and `mem_mb` of main memory that a job should ask for; `seconds` that it is expected to take.

    `basis` of the seconds: this kind of step was measured on the device, or the built-in table was scaled by what
    others took there, or the table alone, which is for the slowest device planned for.
    """

    minutes: int
    mem_mb: int
    seconds: float
    basis: Basis


@dataclass(frozen=True)
class Prediction:
    """Seconds of a whole cell; `uncertainty_factor`: by how much the measurements behind them were off at most, 1 for
    not at all."""

    seconds: float
    basis: Basis
    uncertainty_factor: float = 1.0


def estimate(study: Study, cell: Cell, attempt: int = 1) -> Estimate:
    """What to ask for at the `attempt`-th try: half as much again for each one that failed."""
    grow = 1 + 0.5 * (attempt - 1)
    program = grid.program(study, cell)
    if program:
        return _of_program(study, cell, program, grow)
    work, kind = workload.workload(study, cell), workload.kind(study)
    expected = _predict(study, cell, work)
    minutes = START_MINUTES + SAFETY * expected.uncertainty_factor * grow * expected.seconds / 60
    return Estimate(int(minutes), int(grow * _mem_mb(work, kind)), expected.seconds, expected.basis)


def _of_program(study: Study, cell: Cell, program: Program, grow: float) -> Estimate:
    """By the program's finished cells; of the first ones only their time limit is known."""
    known, limit = program_cost.seconds(study, cell), program.timeout_minutes
    seconds = known or (60 * limit if limit else program_cost.UNKNOWN_SECONDS)
    minutes = START_MINUTES + SAFETY * grow * seconds / 60
    if limit:
        minutes = min(minutes, START_MINUTES + limit)
    return Estimate(int(minutes), int(grow * program.memory_mb), seconds, "measured" if known else "table")


def _predict(study: Study, cell: Cell, work: Workload) -> Prediction:
    """The seconds of the whole cell, its process's start included; where several devices count, on the slowest."""
    found = [_calibrated(work, cell.dataset, one) for one in calibration_store.choose(study).taken]
    known = [one for one in found if one]
    if known:
        return max(known, key=lambda one: one.seconds)
    epoch = table_seconds(work.step, workload.kind(study), study.threads) * work.steps
    return Prediction(START_SECONDS + work.epochs * max(epoch, _decoding(work, DECODE_SECONDS)), "table")


def table_seconds(step: Step, kind: str, threads: int) -> float:
    """Seconds of one step of a network by the built-in table, testing included."""
    if step.arch in GPU_PICTURE_SECONDS:
        each, made_for, factor = GPU_PICTURE_SECONDS[step.arch], 224, PICTURE_DECONV_FACTOR
    else:
        each, made_for, factor = GPU_EPOCH_SECONDS.get(step.arch, UNKNOWN_GPU_EPOCH_SECONDS), 32, DECONV_FACTOR
    area = step.shape[1] * step.shape[2] / made_for**2
    seconds = each * step.batch / 50_000 * max(area, LEAST_AREA)
    if step.norm not in PLAIN_NORMS:
        seconds *= factor
    return seconds if kind == "cuda" else seconds * CPU_FACTOR / threads


def _calibrated(work: Workload, dataset: str, found: Calibration) -> Prediction | None:
    """From what was measured on a device; None when nothing there says anything of this kind of step."""
    times = found.data.get(dataset)
    opened = times.open_seconds if times else work.size.nbytes / READ_BYTES_A_SECOND
    basis: Basis
    decoding = _decoding(work, times.decode_seconds if times and times.decode_seconds else DECODE_SECONDS)
    team = TEAM_FACTOR if work.processes > 1 else 1.0
    one = found.steps.get(work.step.key)
    if one:
        computing = team * work.steps * one.seconds + work.test / work.processes * one.image_seconds
        once, uncertainty_factor, basis = one.warm_seconds, 1.0, "measured"
        computing += one.save_seconds * (work.epochs - 1) / work.epochs  # none after the last epoch
    else:
        ratio, uncertainty_factor = _ratio(work.step, found)
        computing = team * work.steps * ratio * table_seconds(work.step, found.kind, found.threads)
        once, basis = 0.0, "scaled"
        if not ratio:
            return None
    seconds = found.start_seconds + opened + once + work.epochs * max(computing, decoding)
    return Prediction(seconds, basis, uncertainty_factor)


def _decoding(work: Workload, seconds: float) -> float:
    """Seconds of an epoch that decoding takes at `seconds` an image; the device computes meanwhile."""
    return (work.train + work.test) * seconds / work.decoders if work.size.streamed else 0.0


@dataclass(frozen=True)
class _Known:
    """A measured kind of step: `table` seconds by the built-in table, and the measured ones over those."""

    arch: str
    plain: bool
    table: float
    ratio: float


def _ratio(step: Step, found: Calibration) -> tuple[float, float]:
    """The device's seconds over the table's for a kind that was not measured; and by how much that may be off.

    Taken from the same network with another normaliser and from what this one costs in other networks; else from
    the kinds nearest by the table, with as plain a normaliser if there are any. The ratio is 0 when nothing is known.
    """
    known = _known(tuple(found.steps.values()), found.kind, found.threads)
    plain = step.norm in PLAIN_NORMS
    same_arch = [one for one in known if one.arch == step.arch]
    alike = [one for one in same_arch if one.plain == plain]
    if same_arch and not alike:
        change, uncertainty_factor = _middle([a.ratio / b.ratio for a in known for b in known
                                 if a.arch == b.arch and a.plain == plain != b.plain])  # fmt: skip
        return _middle([one.ratio for one in same_arch])[0] * change, uncertainty_factor
    near = alike or [one for one in known if one.plain == plain] or known
    mine = math.log(table_seconds(step, found.kind, found.threads))
    near = sorted(near, key=lambda one: abs(math.log(one.table) - mine))[:NEAREST]
    return _middle([one.ratio for one in near]) if near else (0.0, 1.0)


def _middle(ratios: list[float]) -> tuple[float, float]:
    """The geometric mean, 1 of none; and the factor by which it may be too small."""
    middle = math.exp(sum(map(math.log, ratios)) / max(len(ratios), 1))
    return middle, max([SCALED_DOUBT, *(ratio / middle for ratio in ratios)])


@lru_cache(maxsize=16)
def _known(steps: tuple, kind: str, threads: int) -> list[_Known]:
    out = []
    for one in steps:
        table = table_seconds(Step(one.arch, one.norm, one.shape, one.batch, ""), kind, threads)
        out.append(_Known(one.arch, one.norm in PLAIN_NORMS, table, one.seconds / table))
    return out


def _mem_mb(work: Workload, kind: str) -> float:
    """Main memory: each process holds the data set once, padded batches and libraries beside it.

    Of image files, only the batches that the decoding processes have ready are in memory.
    """
    _, height, width = work.step.shape
    if kind == "cuda":
        mem_mb = float(GPU_PROCESS_MB * work.processes)
    else:
        heavy = GPU_EPOCH_SECONDS.get(work.step.arch, UNKNOWN_GPU_EPOCH_SECONDS) >= LIGHT_SECONDS
        each, made_for = CPU_HEAVY_IMAGE_MB if heavy else CPU_IMAGE_MB, 32
        if work.step.arch in GPU_PICTURE_SECONDS:
            each, made_for = CPU_PICTURE_MB, 224
        mem_mb = CPU_PROCESS_MB + each * work.step.batch * max(LEAST_AREA, height * width / made_for**2)
    mem_mb += work.processes * work.size.nbytes / 1e6
    if work.size.streamed:
        batch_mb = work.step.batch * math.prod(work.step.shape) / 1e6
        mem_mb += work.decoders * (DECODER_MB + DECODED_BATCHES * batch_mb)
    return mem_mb


def basis(study: Study, cells: Iterable[Cell]) -> str:
    """In a few sentences: what the predicted seconds of `cells` rest on, and which calibrations were not used."""
    cells = list(cells)
    programs = [cell for cell in cells if grid.program(study, cell)]
    if programs:
        built_in = [cell for cell in cells if cell not in set(programs)]
        known = sum(program_cost.seconds(study, cell) is not None for cell in programs)
        own = (f"Of {len(programs)} cells of programs, {known} are predicted from similar finished ones; each of the "
               f"others counts as its time limit, else as {program_cost.UNKNOWN_SECONDS / 3600:g} h.")  # fmt: skip
        return f"{basis(study, built_in)} {own}" if built_in else own
    choice = calibration_store.choose(study)
    parts = [f"Ignored calibration: {reason}." for reason in choice.ignored]
    if not choice.taken:
        return " ".join(["Hours are estimated upwards, for the slowest device planned for; `renorm calibrate` measures "
                         "the training device in a minute.", *parts])  # fmt: skip
    kinds = {workload.workload(study, cell).step.key for cell in cells}
    timed = kinds.intersection(*(one.steps for one in choice.taken))
    names = " and of ".join(one.name for one in choice.taken)
    basis_text = f"Hours are those of {names}: {len(timed)} of {len(kinds)} kinds of training step were measured there"
    return " ".join([basis_text + (", the others are scaled from them." if len(timed) < len(kinds) else "."), *parts])


def disk_mb(study: Study, cells: Iterable[Cell]) -> float:
    """What `cells` need of the disk at most: the prepared data, and all their checkpoints at one time."""
    cells = list(cells)
    built_in = [cell for cell in cells if not grid.program(study, cell)]
    images = sum(workload.size_of(study, name).nbytes for name in {cell.dataset for cell in built_in})
    weights = sum(PARAMETERS.get(cell.arch, UNKNOWN_PARAMETERS) for cell in built_in)
    return images / 1e6 + weights * CHECKPOINT_BYTES + RECORD_MB * len(cells)


def check_space(study: Study, cells: Iterable[Cell]) -> None:
    """Raise `RenormError` when the folder of the results cannot be written, or its disk cannot take the records of the
    `cells`, which are to be trained.

    Counted are the records and the checkpoints of one cell, the least that any order of running needs.
    """
    folder = Path(study.results_dir).absolute()
    for path in (folder, folder / "runs", folder / "data"):
        nearest = next(path for path in (path, *path.parents) if path.exists())
        if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
            raise RenormError(f"results_dir: {nearest} cannot be written by this user: set another one")
    left = list(cells)
    built_in = [cell for cell in left if not grid.program(study, cell)]
    largest = max((PARAMETERS.get(cell.arch, UNKNOWN_PARAMETERS) for cell in built_in), default=0)
    need = largest * CHECKPOINT_BYTES + RECORD_MB * len(left)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e6
    if free < need:
        raise RenormError(
            f"results_dir: {folder} has {free:,.0f} MB free and the study needs at least {need:,.0f} MB: free some, or "
            "set results_dir to a larger disk"
        )
