"""Losses: logits and targets to one number."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from renorm.core import plugins
from renorm.study import parts

Loss = Callable[[Any, Tensor, Tensor], Tensor]

# Plugins: a function (settings, logits (B, classes), target (B,) or (B, classes) with mixup) → mean loss, a scalar.
register_loss = plugins.registrar("loss")


def loss(chosen: Any, logits: Tensor, target: Tensor) -> Tensor:
    """Mean loss of a batch.

    Args:
        chosen: The recipe's `loss`: a name, or a mapping with `name` and settings.
        logits: (B, classes).
        target: (B,) int64 labels, or (B, classes) their shares where images were mixed.
    """
    settings = parts.parse("loss", chosen)
    function = BUILT_IN.get(settings.name) or plugins.registered("loss", settings.name)
    return function(settings, logits, target)


def cross_entropy(settings: parts.CrossEntropy, logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target, label_smoothing=settings.label_smoothing or 0.0)


def mse(settings: parts.MSE, logits: Tensor, target: Tensor) -> Tensor:
    """The squared error to the target summed over classes, halved: mean squared error × classes / 2."""
    return F.mse_loss(logits, one_hot(target, logits.shape[1]).to(logits.dtype)) * (logits.shape[1] / 2)


def one_hot(target: Tensor, classes: int) -> Tensor:
    """(B,) labels as (B, classes); what has this shape already stays."""
    return target if target.dtype.is_floating_point else F.one_hot(target, classes)


def gradient_norm_clipped(parameters: list[torch.nn.Parameter], largest: float) -> None:
    """Scale the gradients in place so that their total norm is `largest` at most (Pascanu et al. 2013)."""
    torch.nn.utils.clip_grad_norm_(parameters, largest)


BUILT_IN: dict[str, Loss] = {"cross_entropy": cross_entropy, "mse": mse}
