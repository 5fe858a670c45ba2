"""Batches of image files, decoded in worker processes while the device trains.

Randomness is derived here too: which part of its image row r of epoch e is follows from (seed, e, r) alone,
however many workers decode and however many GPUs share the epoch.
"""

import gc
import io
import re
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from renorm.core.errors import RenormError
from renorm.data.batches import (
    BatchedSplit,
    Batches,
    DeviceSplit,
    Normalisation,
    Rows,
    derived_generator,
    derived_seed,
    evaluation_batch,
)
from renorm.data.image_files import ImageFiles
from renorm.data.prepared import Dataset

# An image is evaluated by its centre: of 224 pixels after its shorter side was resized to 256.
MARGIN = 256 / 224
# Images that are evaluated at once at most: a worker decodes them before the next one's turn comes.
TESTED = 128
# Batches that a worker prefetches.
AHEAD = 2
# Seconds that a worker stays after SIGTERM: the trainer may be in the middle of a step that needs its batches.
PATIENCE = 60
WORKER_ENDED = (
    "a process that decodes images was ended by the system: too little memory, or too little of it shared "
    "(/dev/shm): use fewer --workers or request more; the same command resumes from the last checkpoint"
)


def on_device(
    dataset: Dataset, split: str, device: torch.device, limit: int | None = None, workers: int = 1,
    normalise: str | dict[str, Any] = "dataset",
) -> BatchedSplit[Any]:  # fmt: skip
    """A split of a data set as batches on a device.

    Args:
        dataset: The data set.
        split: "train" or "test".
        device: Where the batches are needed.
        limit: Number of images to use: the first ones; of image files, evenly spaced over the classes.
        workers: Processes that decode image files; with 0 this process does.
        normalise: The recipe's key, as `Dataset.normalisation` takes it.
    """
    found, by = getattr(dataset, split), dataset.normalisation(normalise)
    if isinstance(found, ImageFiles):
        return StreamedSplit(found, by.mean, by.std, device, limit, workers)
    return DeviceSplit(found, by.mean, by.std, device, limit)


@dataclass(frozen=True)
class StreamedAugmentation:
    """What one epoch draws: the order, and the key from which each row's crop and flip follow.

    Attributes:
        order: (N,) int64 image numbers.
        seed: The cell's.
        epoch: From 1.
        kind: "crop_flip" is torchvision's RandomResizedCrop and RandomHorizontalFlip, "crop" the first alone, "none"
            the image's centre as in evaluation.
    """

    order: Tensor
    seed: int
    epoch: int
    kind: str


class StreamedSplit:
    """One split, decoded as it is used (a `BatchedSplit[StreamedAugmentation]`)."""

    def __init__(
        self, files: ImageFiles, mean: Sequence[float], std: Sequence[float], device: torch.device, limit: int | None,
        workers: int,
    ) -> None:  # fmt: skip
        """Choose the images; none is read yet.

        Args:
            files: The list of them.
            mean: Per channel, for pixels from 0 to 1; subtracted.
            std: Per channel; divided by.
            device: Where the batches are needed.
            limit: Keep `limit` images, evenly spaced over the classes in their order.
            workers: Processes that decode; with 0 this process does.
        """
        count = len(files.labels)
        kept = min(limit or count, count)
        self.chosen = torch.arange(kept) * count // kept
        self.files, self.device, self.workers = files, device, workers
        self.labels = torch.from_numpy(files.labels)[self.chosen]
        self.normalised = Normalisation(mean, std, device)
        self.evaluation_batch = min(TESTED, evaluation_batch(files.image_size, files.image_size, device))

    def __len__(self) -> int:
        return len(self.labels)

    def draw(self, seed: int, epoch: int, kind: str) -> StreamedAugmentation:
        """What epoch `epoch` draws."""
        order = torch.randperm(len(self), generator=derived_generator("order", seed, epoch))
        return StreamedAugmentation(order, seed, epoch, kind)

    def plain(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Images `start` … `stop` − 1 in their order, their centres: (B, 3, S, S) float32 and (B,) labels."""
        return self._delivered(Decoder(self, None)[start, stop])

    def augmented(self, draws: StreamedAugmentation, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows `start` … `stop` − 1 of the epoch's draws: cropped, flipped, normalised."""
        return self._delivered(Decoder(self, draws)[start, stop])

    def batches(self, draws: StreamedAugmentation | None, rows: Rows) -> Batches:
        """`augmented` (or `plain` without draws) for each (start, stop) of `rows`, decoded ahead by the workers.

        Raises `RenormError` when an image cannot be read. The workers end when the generator is closed.
        """
        workers = min(self.workers, len(rows))
        loader: DataLoader = DataLoader(
            Decoder(self, draws),  # type: ignore[arg-type]
            batch_size=None, sampler=rows, num_workers=workers, worker_init_fn=_start_worker,
            prefetch_factor=AHEAD if workers else None, pin_memory=self.device.type == "cuda",
            # Workers share the list of images and start at once; a spawned process would spawn its own.
            multiprocessing_context="fork" if workers else None,
            # Without one the loader would draw from the generator that the network draws from.
            generator=torch.Generator(),
        )  # fmt: skip
        ready = iter(loader)
        try:
            for batch in ready:
                yield self._delivered(batch)
        except (OSError, EOFError):
            # A worker that died while it handed a batch over; what the disk says comes as a string.
            raise RenormError(WORKER_ENDED) from None
        finally:
            if workers:
                # Not when the last reference goes: a traceback may hold one to the end.
                ready._shutdown_workers()  # type: ignore[attr-defined]

    def _delivered(self, batch: tuple[Tensor, Tensor] | str) -> tuple[Tensor, Tensor]:
        if isinstance(batch, str):
            raise RenormError(batch)
        images, labels = (tensor.to(self.device, non_blocking=True) for tensor in batch)
        return self.normalised(images), labels


class Decoder:
    """(start, stop) → a batch of one split: uint8 (B, 3, S, S) and labels (B,); a string says what is broken.

    A string, since an exception that crosses from a worker brings its traceback along.
    """

    def __init__(self, split: StreamedSplit, draws: StreamedAugmentation | None):
        # Imported where it is used: with it comes torch's compiler, and both take longer than torch itself.
        from torchvision.transforms import v2

        self.files, self.chosen, self.labels, self.draws = split.files, split.chosen, split.labels, draws
        size, kind = split.files.image_size, "none" if draws is None else draws.kind
        if kind == "none":
            steps = [v2.Resize(round(size * MARGIN)), v2.CenterCrop(size)]
        else:
            steps = [v2.RandomResizedCrop(size), *([v2.RandomHorizontalFlip()] if kind == "crop_flip" else [])]
        self.transform = v2.Compose([*steps, v2.PILToTensor()])

    def __getitem__(self, rows: tuple[int, int]) -> tuple[Tensor, Tensor] | str:
        numbers = range(*rows) if self.draws is None else self.draws.order[rows[0] : rows[1]].tolist()
        try:
            with torch.random.fork_rng(devices=()):
                images = [self._image(row, n) for row, n in zip(range(*rows), numbers, strict=True)]
        except RenormError as error:
            return str(error)
        return torch.stack(images), self.labels[list(numbers)]

    def _image(self, row: int, number: int) -> Tensor:
        file = int(self.chosen[number])
        image = read_image(self.files.path(file), int(self.files.sizes[file]))
        if self.draws is not None:
            # The name of the stream of random numbers is part of every result on image files: never change it.
            torch.default_generator.manual_seed(derived_seed("picture", self.draws.seed, self.draws.epoch, row))
        return self.transform(image)


def read_image(path: Path, size: int) -> Image.Image:
    """Decode an image file.

    Args:
        path: The file.
        size: Its bytes when the data set was prepared.

    Returns:
        The image as RGB, whatever its mode (grey, CMYK, palette).

    Raises:
        RenormError: The file is missing, has another size, or cannot be decoded.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) != size:
        raise RenormError(
            f"{path}: has {len(content):,} bytes and had {size:,} when the data set was prepared: restore the file, "
            f"or prepare the data set again (`renorm prepare`)"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken Exif data, which nothing here reads
            return Image.open(io.BytesIO(content)).convert("RGB")
    except Exception as error:
        # Pillow's readers raise nearly anything on a broken file; all mean the same to the user.
        # The address of an object in memory differs from run to run and helps nobody.
        reason = " ".join(re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "it", str(error)).split())
        raise RenormError(f"{path}: cannot decode image ({reason}): download the file again") from None


@contextmanager
def workers_watched() -> Iterator[None]:
    """A `RenormError` instead of torch's error when a worker is killed; that comes wherever the process just is.

    Where batches are pinned for a GPU the thread that does so may be the first to fall over it.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("DataLoader worker", "Pin memory thread")):
            raise
        raise RenormError(WORKER_ENDED) from None


def _start_worker(_number: int) -> None:
    # What the parent left to the garbage collector is the parent's: a process group must not be taken apart here.
    gc.freeze()
    # A signal to the whole job is for the trainer, which ends its workers when it has saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(PATIENCE))
