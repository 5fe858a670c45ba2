"""Metrics of a study's own, measured on the test images after every epoch."""

import math
from typing import Any

import torch
from torch import Tensor

from renorm.core import plugins
from renorm.core.errors import RenormError

# Plugins: a function (logits (N, classes), labels (N,)) of all test images, on the CPU → a number.
register_metric = plugins.registrar("metric")


class Measured:
    """Collects the test split and measures it."""

    def __init__(self, names: list[str] | None) -> None:
        self.functions = {name: plugins.registered("metric", name) for name in names or ()}
        self.seen: list[tuple[Tensor, Tensor]] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """A batch of the split."""
        if self.functions:
            self.seen.append((logits.cpu(), labels.cpu()))

    def values(self) -> dict[str, Any]:
        """`test_<metric>` → its value over all that was added, which is forgotten.

        Raises:
            RenormError: A value is not a finite number.
        """
        if not self.functions:
            return {}
        logits, labels = (torch.cat(parts) for parts in zip(*self.seen, strict=True))
        self.seen = []
        found = {name: function(logits, labels) for name, function in self.functions.items()}
        for name, value in found.items():
            if not isinstance(value, int | float | Tensor) or not math.isfinite(value):
                raise RenormError(f"metrics: {name}: its function returned {value!r}: return a finite number")
        return {f"test_{name}": float(value) for name, value in found.items()}
