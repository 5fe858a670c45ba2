"""What a cell asks of a device: images, steps of one kind, image files to decode. Known before anything runs."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from renorm.core import plugins
from renorm.core.errors import RenormError
from renorm.study import data_manifest
from renorm.study.cell import Cell
from renorm.study.config import PLAIN_NORMS, Recipe, Study
from renorm.study.known_datasets import SIZES, UNKNOWN, Size

# Options of the deconvolved and whitening layers on which the time of a step depends.
TIMED = ("block", "block_fc", "iterations", "sampling_stride")


@dataclass(frozen=True)
class Step:
    """One kind of training step: all that its seconds depend on beside the device; `batch` images in one process."""

    arch: str
    norm: str
    shape: tuple[int, int, int]
    batch: int
    options: str

    @property
    def key(self) -> str:
        return f"{self.arch}/{self.norm}/{'x'.join(map(str, self.shape))}/b{self.batch}/{self.options}"


@dataclass(frozen=True)
class Workload:
    """One cell: `epochs` times `steps` of the kind `step` in each of `processes`, and `test` images.

    `steps`: the last, smaller one counts by its images. `train`, `test`: images an epoch, over all processes.
    `decoders`: processes that decode image files, in total.
    """

    step: Step
    steps: float
    epochs: int
    train: int
    test: int
    size: Size
    processes: int
    decoders: int


def kind(study: Study) -> str:
    """Where the study's cells are trained: "cuda" or "cpu"."""
    if study.device != "auto":
        return study.device
    return "cuda" if study.gpu else "cpu"


def workload(study: Study, cell: Cell) -> Workload:
    """What training `cell` in `study` takes."""
    recipe = study.recipes[cell.recipe].for_arch(cell.arch)
    size = size_of(study, cell.dataset)
    processes = max(study.gpu, 1) if kind(study) == "cuda" else 1
    train = min(recipe.train_images or size.train, size.train)
    test = min(recipe.test_images or size.test, size.test)
    batch = min(recipe.batch_size, train)
    step = Step(cell.arch, cell.norm, size.shape, -(-batch // processes), _options(recipe, cell.norm))
    decoders = processes * max(1, study.threads // processes)
    return Workload(step, train / batch, cell.epochs, train, test, size, processes, decoders)


def _options(recipe: Recipe, norm: str) -> str:
    named = [recipe.precision, recipe.optimizer.name, *(["deterministic"] if recipe.deterministic else [])]
    if norm not in PLAIN_NORMS:
        named += [f"{key}={getattr(recipe.norm, key)}" for key in TIMED]
    return ",".join(named)


def size_of(study: Study, dataset: str) -> Size:
    """As the prepared data set says, else as it is known, else the largest."""
    try:
        found = data_manifest.read(study.results_dir, dataset)
        counts, shape = found["counts"], tuple(found["image_shape"])
        return Size(int(counts["train"]), int(counts["test"]), shape, streamed="folders" in found)
    except (OSError, RenormError, KeyError, TypeError, ValueError):
        # A damaged one is reported by the training that reads it.
        return SIZES.get(dataset) or _of_folder(study, dataset) or UNKNOWN


def _of_folder(study: Study, dataset: str) -> Size | None:
    """What a folder of images holds that is not prepared yet."""
    if not plugins.is_folder(dataset):
        return None
    one = study.datasets.get(dataset)
    root = Path(one.folder) if one and one.folder else study.data_root()
    size = one.image_size if one else 224
    for base in (root, root / dataset.removeprefix(plugins.FOLDER)):
        if (base / "train").is_dir():
            train, *tests = (_images(base / split) for split in ("train", "test", "val"))
            return Size(max(train, 1), max(*tests, 1), (3, size, size), streamed=True)
    return None


@cache
def _images(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*/*"))
