"""Augmentations of whole batches, on the device, after crop and flip.

Randomness is derived as everywhere: what an augmentation draws follows from (its name, seed, epoch, step) alone.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from renorm.core import plugins
from renorm.data.batches import derived_seed
from renorm.study import parts
from renorm.training.losses import one_hot

Batch = tuple[Tensor, Tensor]
Augmentation = Callable[[Any, Tensor, Tensor, torch.Generator, int], Batch]

# Plugins: a function (settings, images (B, C, H, W) normalised, target, CPU generator, classes) → images and target.
register_augmentation = plugins.registrar("augment")


class Augmentations:
    """The augmentations of a recipe: the geometry, which the data set applies, and those of whole batches."""

    def __init__(self, chosen: Any, seed: int, rank: int, classes: int) -> None:
        """Choose them.

        Args:
            chosen: The recipe's `augment`: a name, a mapping with `name` and settings, or a list of such.
            seed: The cell's.
            rank: Of this process, which sees another part of each batch.
            classes: Number of classes.
        """
        found = [parts.parse("augment", one) for one in (chosen if isinstance(chosen, list) else [chosen])]
        self.geometry = found[0].name
        self.seed, self.rank, self.classes = seed, rank, classes
        self.steps = [(s, BUILT_IN.get(s.name) or plugins.registered("augment", s.name)) for s in found[1:]]

    def __call__(self, batch: Batch, epoch: int, step: int) -> Batch:
        """`batch` as the network sees it in a step; labels become shares, (B, classes), where images are mixed."""
        images, target = batch
        for settings, function in self.steps:
            key = derived_seed(settings.name, self.seed, epoch, step, self.rank)
            images, target = function(settings, images, target, torch.Generator().manual_seed(key), self.classes)
        return images, target


def cutout(settings: parts.Cutout, images: Tensor, target: Tensor, generator: torch.Generator, classes: int) -> Batch:
    """The square is cut off at the borders, as in the paper."""
    count, _, height, width = images.shape
    rows = torch.randint(height, (count,), generator=generator)
    columns = torch.randint(width, (count,), generator=generator)
    half = settings.size // 2
    inside = (
        _inside(height, rows - half, settings.size)[:, :, None] & _inside(width, columns - half, settings.size)[:, None]
    )
    return images.masked_fill(inside[:, None].to(images.device), 0), target


def random_erasing(
    settings: parts.RandomErasing, images: Tensor, target: Tensor, generator: torch.Generator, classes: int
) -> Batch:
    """A rectangle that is larger than the image is cut off at it."""
    count, _, height, width = images.shape
    draws = torch.rand((5, count), generator=generator, dtype=torch.float64)
    low, high = settings.area
    area = height * width * (low + draws[0] * (high - low))
    least, most = map(math.log, settings.aspect)
    aspect = torch.exp(least + draws[1] * (most - least))
    tall = (area * aspect).sqrt().round().long().clamp(1, height)
    wide = (area / aspect).sqrt().round().long().clamp(1, width)
    top = (draws[2] * (height - tall + 1)).long()
    left = (draws[3] * (width - wide + 1)).long()
    inside = _inside(height, top, tall)[:, :, None] & _inside(width, left, wide)[:, None]
    inside &= (draws[4] < settings.probability)[:, None, None]
    return images.masked_fill(inside[:, None].to(images.device), 0), target


def mixup(settings: parts.Mixup, images: Tensor, target: Tensor, generator: torch.Generator, classes: int) -> Batch:
    """Every image is mixed with another of its batch."""
    alpha = torch.full((2,), settings.alpha, dtype=torch.float64)
    first, second = torch._standard_gamma(alpha, generator=generator).tolist()
    share = first / (first + second) if first + second else 0.5
    order = torch.randperm(len(images), generator=generator).to(images.device)
    shares = one_hot(target, classes).to(images.dtype)
    return torch.lerp(images[order], images, share), torch.lerp(shares[order], shares, share)


def _inside(length: int, start: Tensor, size: Tensor | int) -> Tensor:
    """(B, length) booleans: whether a position is one of the `size` from `start` on."""
    stop = start + size
    places = torch.arange(length)
    return (places >= start[:, None]) & (places < stop[:, None])


BUILT_IN: dict[str, Augmentation] = {"cutout": cutout, "random_erasing": random_erasing, "mixup": mixup}
