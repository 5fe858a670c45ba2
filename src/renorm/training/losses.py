"""Learning rate and loss of a recipe."""

import math

import torch.nn.functional as F
from torch import Tensor


def learning_rate(lr: float, schedule: str, step: int, steps: int) -> float:
    """The learning rate of step `step` (from 0) of `steps`: constant, or cosine annealing to 0 (Loshchilov 2017)."""
    if schedule == "constant":
        return lr
    return lr * 0.5 * (1 + math.cos(math.pi * step / steps))


def loss(kind: str, logits: Tensor, labels: Tensor) -> Tensor:
    """Mean loss of a batch: `logits` (B, classes), `labels` (B,).

    `mse` is the squared error to the one-hot target summed over classes, halved: mean squared error × classes / 2.
    """
    if kind == "cross_entropy":
        return F.cross_entropy(logits, labels)
    classes = logits.shape[1]
    return F.mse_loss(logits, F.one_hot(labels, classes).to(logits.dtype)) * (classes / 2)
