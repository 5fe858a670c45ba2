"""Decorrelated batch normalisation."""

from typing import Any

import torch
from torch import Tensor, nn

from renorm.norms.groups import GroupWhitening, options_of
from renorm.norms.registry import is_batch_norm, register_norm
from renorm.norms.spec import LayerSettings

SIZE = 16  # channels a group at most (Huang et al. 2018, section 4)


class InverseRoot(torch.autograd.Function):
    """A^(−1/2) of symmetric positive definite (…, size, size) by eigenvalues.

    The derivative of eigenvectors, 1/(λᵢ − λⱼ), is infinite where two eigenvalues meet, as they do for a constant
    input. The derivative of the root itself is not: its divided difference is −1/(sᵢ sⱼ (sᵢ + sⱼ)) with s = √λ.
    Of a matrix that is not finite, which cannot be decomposed, the root is NaN: the run has diverged.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        finite = a.isfinite().all(-1).all(-1)[..., None, None]
        identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        values, vectors = torch.linalg.eigh(torch.where(finite, a, identity))
        scale = values.clamp_min(torch.finfo(a.dtype).tiny).sqrt()
        ctx.save_for_backward(scale, vectors)
        return torch.where(finite, vectors / scale[..., None, :] @ vectors.mT, torch.nan)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        scale, vectors = ctx.saved_tensors
        rows, columns = scale[..., :, None], scale[..., None, :]
        inner = vectors.mT @ (grad + grad.mT) @ vectors / (-2 * rows * columns * (rows + columns))
        return vectors @ inner @ vectors.mT


class DecorrelatedBatchNorm(GroupWhitening):
    """ZCA whitening of groups of channels over the batch (Huang et al. 2018, algorithm 1)."""

    def whitening(self, covariance: Tensor) -> Tensor:
        return InverseRoot.apply(covariance)


@register_norm
def decorrelated_bn(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Decorrelated batch norm (Huang et al. 2018) in place of batch norm, in groups of 16 channels (block, if less)."""
    if not is_batch_norm(layer):
        return layer
    size = min(settings.block, SIZE)
    return DecorrelatedBatchNorm(layer.num_features, size, settings.eps, settings.momentum, **options_of(layer))
