"""How long a cell takes and how much memory it needs, before it ever ran: what the train rule asks the cluster for.

The estimate is meant to be enough, not exact: a job that asks for too little is killed.
"""

from dataclasses import dataclass

from renorm.cell import Cell
from renorm.config import PLAIN_NORMS, Study

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


@dataclass(frozen=True)
class Estimate:
    """`minutes` of wall clock (at least) and `mem_mb` of main memory that a job should ask for."""

    minutes: int
    mem_mb: int


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
    return Estimate(int(START_MINUTES + 1.5 * grow * seconds / 60), int(grow * mem_mb))
