"""Counts training steps without asking the device."""

from typing import Protocol

import torch
from torch import Tensor

from renorm.norms.running import recomputing

FREEZE_AFTER = 100  # frozen when more training steps than this were counted, as in the original code
PERIOD = 1000  # the count starts again, so that the statistics are refreshed 101 steps in every 1000


class Counted(Protocol):
    """A layer with a weight, which takes the buffer `steps`."""

    @property
    def weight(self) -> Tensor: ...

    steps: Tensor

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None: ...


class StepCounter:
    """The training steps of a layer modulo 1000, as a number on the host mirrored in the layer's buffer `steps`.

    The buffer is what is saved, moved and copied; the number is read back from it only after someone else has written
    to it (loading a state, say), which its version tells without a look at the device.
    """

    def __init__(self, layer: "Counted"):
        device = layer.weight.device
        layer.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=device))
        self._layer = layer
        self._value, self._seen = 0, self._identity()

    @property
    def frozen(self) -> bool:
        """Whether the statistics stand still in the coming step."""
        return self.value > FREEZE_AFTER

    @property
    def value(self) -> int:
        if self._seen != self._identity():
            buffer = self._layer.steps
            self._value, self._seen = 0 if buffer.is_meta else int(buffer), self._identity()
        return self._value

    def take(self) -> int:
        """The number of this training step, from 0, which is counted; a recomputed step has been counted already."""
        if recomputing():
            return (self.value - 1) % PERIOD
        taken = self.value
        self._value = (taken + 1) % PERIOD
        with torch.no_grad():
            self._layer.steps.fill_(self._value)
        self._seen = self._identity()
        return taken

    def _identity(self) -> tuple[int, int]:
        buffer = self._layer.steps
        return id(buffer), 0 if buffer.is_inference() else buffer._version
