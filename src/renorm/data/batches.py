"""Batches on the device: the whole split lives there as uint8; crop, flip and normalisation run there.

Randomness is derived, not carried: what step t of epoch e draws follows from (seed, e, t) alone, so a run resumed at
any step is the run that was never stopped, and a CPU and a GPU draw the same.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from renorm.data.prepared import Split

PADDING = 4


def derived_seed(*key: object) -> int:
    """A number below 2⁶³ that follows from `key` alone."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def derived_generator(*key: object) -> torch.Generator:
    """A CPU generator whose state follows from `key` alone."""
    return torch.Generator().manual_seed(derived_seed(*key))


@dataclass(frozen=True)
class Augmentation:
    """What one epoch draws, in the order in which the images are shown.

    `order`: (N,) image numbers; `top`, `left`: (N,) offsets of the crop in the padded image; `flip`: (N,) booleans.
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
    """How a batch lies in memory, which becomes the layout of all that the network makes of it.

    On a processor convolutions are up to three times as fast on pixels with their channels together. GPUs were not
    measured: they have the plain layout.
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def evaluation_batch(height: int, width: int, device: torch.device) -> int:
    """Images that are tested at once; on a GPU no more pixels than 2000 images of 32×32 have.

    64 maps of 2000 images of 96×96 would take 4.7 GB.
    """
    return 500 if device.type == "cpu" else min(2000, max(1, 2000 * 32 * 32 // (height * width)))


class Normalisation:
    """uint8 (B, C, H, W) → float32, by the `mean` and `std` per channel of the training set, on `device`."""

    def __init__(self, mean, std, device: torch.device):
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
    """One split on the device. `limit` keeps the first so many images: a fixed subset."""

    def __init__(self, split: Split, mean, std, device: torch.device, limit: int | None = None):
        self.images = torch.from_numpy(split.images[:limit]).to(device)
        self.labels = torch.from_numpy(split.labels[:limit]).to(device)
        self.normalised = Normalisation(mean, std, device)
        self.evaluation_batch = evaluation_batch(*split.images.shape[2:], device)

    def __len__(self) -> int:
        return len(self.labels)

    def draw(self, seed: int, epoch: int, kind: str) -> Augmentation:
        """What epoch `epoch` draws, on the device."""
        return Augmentation.draw(len(self), seed, epoch, kind).to(self.labels.device)

    def batches(self, draws: Augmentation | None, rows: Iterable[tuple[int, int]]) -> Iterator[tuple[Tensor, Tensor]]:
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
