"""Batches on the device: the whole split lives there as uint8; crop, flip and normalisation run there.

Randomness is derived, not carried: what step t of epoch e draws follows from (seed, e, t) alone, so a run resumed at
any step is the run that was never stopped, and a CPU and a GPU draw the same.
"""

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from renorm.data.prepared import Split

PADDING = 4
Rows = Sequence[tuple[int, int]]
Batches = Generator[tuple[Tensor, Tensor], None, None]
# Order and augmentation of an epoch, in the form that a kind of split has them.
Draws = TypeVar("Draws")


def derived_seed(*key: object) -> int:
    """A number below 2⁶³ that follows from `key` alone."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def derived_generator(*key: object) -> torch.Generator:
    """A CPU generator whose state follows from `key` alone."""
    return torch.Generator().manual_seed(derived_seed(*key))


class BatchedSplit(Protocol[Draws]):
    """One split of a data set as batches on a device: what the trainer asks of `DeviceSplit` and `StreamedSplit`.

    Attributes:
        evaluation_batch: Images that are evaluated at once.
    """

    evaluation_batch: int

    def __len__(self) -> int:
        """Number of images."""
        ...

    def draw(self, seed: int, epoch: int, kind: str) -> Draws:
        """Order and augmentation of an epoch, derived from `seed` and `epoch` alone.

        Args:
            seed: The cell's.
            epoch: From 1.
            kind: "crop_flip", "crop" or "none", a recipe's `augment`.
        """
        ...

    def batches(self, draws: Draws | None, rows: Rows) -> Batches:
        """A batch for each (start, stop) of `rows`, which number an epoch's images from 0 in the order of `draws`.

        Args:
            draws: Order and augmentation; None for the images in their own order, as they are evaluated.
            rows: First row of each batch and the row after its last.

        Yields:
            (B, C, H, W) normalised float32 images and (B,) int64 labels, on the device.
        """
        ...

    def plain(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """One batch of `batches` without draws."""
        ...

    def augmented(self, draws: Draws, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """One batch of `batches` with draws."""
        ...


@dataclass(frozen=True)
class Augmentation:
    """What one epoch draws, in the order in which the images are shown.

    Attributes:
        order: (N,) int64 image numbers.
        top: (N,) int64, the crop's first row in the padded image.
        left: (N,) int64, the crop's first column in the padded image.
        flip: (N,) booleans, whether the crop is mirrored.
    """

    order: Tensor
    top: Tensor
    left: Tensor
    flip: Tensor

    @classmethod
    def draw(cls, count: int, seed: int, epoch: int, kind: str) -> "Augmentation":
        """The draws of epoch `epoch` for `count` images.

        One generator each for order, crop and flip; row t·batch … (t+1)·batch belongs to step t. The distributions are
        those of torchvision's RandomCrop(size, padding=4) and RandomHorizontalFlip(0.5).
        """
        order = torch.randperm(count, generator=derived_generator("order", seed, epoch))
        top, left = torch.full((2, count), PADDING).unbind() if kind == "none" else torch.randint(
            0, 2 * PADDING + 1, (2, count), generator=derived_generator("crop", seed, epoch)
        ).unbind()  # fmt: skip
        flip = torch.zeros(count, dtype=torch.bool)
        if kind == "crop_flip":
            flip = torch.rand(count, generator=derived_generator("flip", seed, epoch)) < 0.5
        return cls(order, top, left, flip)

    def to(self, device: torch.device) -> "Augmentation":
        return Augmentation(*(getattr(self, f).to(device) for f in ("order", "top", "left", "flip")))


def memory_layout(device: torch.device) -> torch.memory_format:
    """The memory format of a batch, which becomes that of all that the network computes from it.

    On a CPU convolutions are up to three times as fast on pixels with their channels together. GPUs were not
    measured: they have the plain layout.
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def evaluation_batch(height: int, width: int, device: torch.device) -> int:
    """Images that are evaluated at once; on a GPU no more pixels than 2000 images of 32×32 have.

    64 maps of 2000 images of 96×96 would take 4.7 GB.
    """
    return 500 if device.type == "cpu" else min(2000, max(1, 2000 * 32 * 32 // (height * width)))


class Normalisation:
    """uint8 (B, C, H, W) → float32, by the `mean` and `std` per channel, for pixels from 0 to 1, on `device`."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        shape = (1, -1, 1, 1)
        # uint8 x ↦ x·scale + shift is (x/255 − mean)/std in one pass.
        self.scale = (1 / (255 * torch.tensor(std, dtype=torch.float64))).float().view(shape).to(device)
        self.shift = (-torch.tensor(mean, dtype=torch.float64) / torch.tensor(std)).float().view(shape).to(device)
        self.layout = memory_layout(device)

    def __call__(self, images: Tensor) -> Tensor:
        # Laid out while it is still uint8.
        images = images.contiguous(memory_format=self.layout)
        return torch.addcmul(self.shift, images.float(), self.scale)


class DeviceSplit:
    """One split on the device (a `BatchedSplit[Augmentation]`)."""

    def __init__(
        self, split: Split, mean: Sequence[float], std: Sequence[float], device: torch.device, limit: int | None = None
    ) -> None:
        """Copy the split to the device.

        Args:
            split: Its images and labels.
            mean: Per channel, for pixels from 0 to 1; subtracted.
            std: Per channel; divided by.
            device: Where the batches are made.
            limit: Keep the first `limit` images only: a fixed subset.
        """
        self.images = torch.from_numpy(split.images[:limit]).to(device)
        self.labels = torch.from_numpy(split.labels[:limit]).to(device)
        self.normalised = Normalisation(mean, std, device)
        height, width = split.images.shape[2:]
        self.evaluation_batch = evaluation_batch(height, width, device)

    def __len__(self) -> int:
        return len(self.labels)

    def draw(self, seed: int, epoch: int, kind: str) -> Augmentation:
        """What epoch `epoch` draws, on the device."""
        return Augmentation.draw(len(self), seed, epoch, kind).to(self.labels.device)

    def batches(self, draws: Augmentation | None, rows: Rows) -> Batches:
        """`augmented` (or `plain` without draws) for each (start, stop) of `rows`."""
        for start, stop in rows:
            yield self.plain(start, stop) if draws is None else self.augmented(draws, start, stop)

    def plain(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Images `start` … `stop` − 1 in their order, as they are: (B, C, H, W) float32 and (B,) labels."""
        return self.normalised(self.images[start:stop]), self.labels[start:stop]

    def augmented(self, draws: Augmentation, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows `start` … `stop` − 1 of the epoch's draws: cropped, flipped, normalised."""
        index = draws.order[start:stop]
        images = F.pad(self.images[index], (PADDING,) * 4)
        size = torch.arange(self.images.shape[-1], device=index.device)
        rows = draws.top[start:stop, None] + size
        columns = draws.left[start:stop, None] + torch.where(draws.flip[start:stop, None], size.flip(0), size)
        batch = torch.arange(len(index), device=index.device)
        # Advanced indices on both sides of the channels' slice put them first: (B, H, W, C).
        cropped = images[batch[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        return self.normalised(cropped.permute(0, 3, 1, 2)), self.labels[index]
