"""How long a cell takes and how much memory it needs, before it ever ran: what the train rule asks the cluster for.

The estimate is meant to be enough, not exact: a job that asks for too little is killed.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from renorm.cell import Cell
from renorm.config import PLAIN_NORMS, Study
from renorm.errors import RenormError

# Training images of the data sets that are known before they are prepared; others count as the largest.
IMAGES = {"digits": 1_437, "cifar10": 50_000, "cifar100": 50_000, "mnist": 60_000, "fashion_mnist": 60_000}

# Seconds per 50,000 training images of 32×32 with batch norm on the slowest device we plan for: a V100, after the
# reproduction's Tables 8 and 9 (Obadage et al. 2024; seconds of 100 epochs / 100, the slower data set, rounded up).
GPU_EPOCH_SECONDS = {
    "vgg16": 13, "resnet18": 18, "preact_resnet18": 19, "densenet121": 92, "resnext29_32x4d": 46, "mobilenet_v2": 29,
    "dpn92": 137, "pnasnet_a": 30, "senet18": 25, "efficientnet_b0": 27,
}  # fmt: skip
UNKNOWN_GPU_EPOCH_SECONDS = 60
# The largest ratio of their 100-epoch times of deconvolution to batch norm is 4.6.
DECONV_FACTOR = 5
# One CPU core against that GPU, order of magnitude.
CPU_FACTOR = 60
START_MINUTES = 10
# Millions of parameters, rounded up; a checkpoint holds each and its momentum in 4 bytes, and two are kept.
PARAMETERS = {
    "vgg16": 15, "resnet18": 12, "preact_resnet18": 12, "densenet121": 7, "resnext29_32x4d": 5, "mobilenet_v2": 3,
    "dpn92": 35, "pnasnet_a": 1, "senet18": 12, "efficientnet_b0": 4, "tiny_vgg": 1, "tiny_resnet": 1,
}  # fmt: skip
UNKNOWN_PARAMETERS = 60
CHECKPOINT_BYTES = 2 * 2 * 4
RECORD_MB = 0.05  # run.json, history.csv and log.txt of 100 epochs


@dataclass(frozen=True)
class Estimate:
    """`minutes` and `mem_mb` of main memory that a job should ask for; `seconds` that it is expected to take."""

    minutes: int
    mem_mb: int
    seconds: float


def estimate(study: Study, cell: Cell, attempt: int = 1) -> Estimate:
    """What to ask for at the `attempt`-th try: half as much again for each one that failed."""
    grow = 1 + 0.5 * (attempt - 1)
    recipe = study.recipes[cell.recipe]
    images = min(recipe.train_images or 10**9, IMAGES.get(cell.dataset, 1_300_000))
    seconds = GPU_EPOCH_SECONDS.get(cell.arch, UNKNOWN_GPU_EPOCH_SECONDS) * images / 50_000 * cell.epochs
    if cell.norm not in PLAIN_NORMS:
        seconds *= DECONV_FACTOR
    if not study.gpu:
        seconds *= CPU_FACTOR / study.threads
    # The data set stands in memory once, its padded batches and the CUDA context beside it.
    mem_mb = 4_000 if study.gpu else 2_000 + 20 * recipe.batch_size
    return Estimate(int(START_MINUTES + 1.5 * grow * seconds / 60), int(grow * mem_mb), seconds)


def disk_mb(study: Study, cells: Iterable[Cell]) -> float:
    """What `cells` need of the disk at most: the prepared data, and all their checkpoints at one time."""
    cells = list(cells)
    images = sum(IMAGES.get(name, 1_300_000) * 1.2 * 3072 for name in {cell.dataset for cell in cells})
    weights = sum(PARAMETERS.get(cell.arch, UNKNOWN_PARAMETERS) for cell in cells)
    return images / 1e6 + weights * CHECKPOINT_BYTES + RECORD_MB * len(cells)


def check_space(study: Study, cells: Iterable[Cell]) -> None:
    """Raise `RenormError` when the disk of the results cannot take the records of the `cells` that have none yet.

    Counted are the records and the checkpoints of one cell, the least that any order of running needs.
    """
    folder = Path(study.results_dir).absolute()
    left = [cell for cell in cells if not (folder / "runs" / cell.path / "run.json").exists()]
    largest = max((PARAMETERS.get(cell.arch, UNKNOWN_PARAMETERS) for cell in left), default=0)
    need = largest * CHECKPOINT_BYTES + RECORD_MB * len(left)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e6
    if free < need:
        raise RenormError(
            f"results_dir: {folder} has {free:,.0f} MB free and the study needs at least {need:,.0f} MB: free some, or "
            "set results_dir to a larger disk"
        )
