"""Normalisers that whiten groups of channels where batch norm stood: the shared frame."""

import math

import torch
from torch import Tensor, nn

from renorm.core.errors import RenormError
from renorm.norms.products import without_autocast
from renorm.norms.running import update_running


class GroupWhitening(nn.Module):
    """Subtract the batch's mean, multiply each group of channels by a whitening matrix, scale and shift per channel.

    Buffers `running_mean` (groups, size, 1) and `running_whitening` (groups, size, size), from 0 and I, replace the
    batch's in evaluation. `weight` and `bias` (channels) start at 1 and 0 as batch norm's do.
    """

    running_mean: Tensor
    running_whitening: Tensor
    running_values_only_written = True

    def __init__(self, channels: int, size: int, eps: float, momentum: float, device=None, dtype=None):
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.channels, self.size, self.eps, self.momentum = channels, math.gcd(channels, size), eps, momentum
        groups = channels // self.size
        self.weight = nn.Parameter(torch.ones(channels, **options))
        self.bias = nn.Parameter(torch.zeros(channels, **options))
        self.register_buffer("running_mean", torch.zeros(groups, self.size, 1, **options))
        self.register_buffer("running_whitening", torch.eye(self.size, **options).repeat(groups, 1, 1))

    def whitening(self, covariance: Tensor) -> Tensor:
        """The whitening matrices (groups, size, size) of covariances to which eps·I has been added."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, …) -> the same shape."""
        require_samples(self, x)
        with without_autocast(x.device):
            samples = to_groups(x, self.size)
            if self.training:
                mean = samples.mean(-1, keepdim=True)
                centred = samples - mean
                matrix = self.whitening(covariance_of(centred, self.eps))
                update_running(self.momentum, (self.running_mean, mean), (self.running_whitening, matrix))
            else:
                centred, matrix = samples - self.running_mean, self.running_whitening
            return affine(from_groups(matrix @ centred, x), self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.channels}, size={self.size}, eps={self.eps}, momentum={self.momentum}"


def require_samples(layer: nn.Module, x: Tensor) -> None:
    """Raise RenormError unless `x` is (N, channels, …) and, in training, not empty."""
    if x.dim() < 2 or x.shape[1] != layer.channels:
        why = f"expected (N, {layer.channels}, …)"
    elif layer.training and x.numel() == 0:
        why = "no statistics of an empty batch: skip it"
    else:
        return
    raise RenormError(f"{type(layer).__name__}: input {tuple(x.shape)}: {why}")


def to_groups(x: Tensor, size: int) -> Tensor:
    """(N, C, …) -> (groups, size, samples), in float32 at least."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return x.transpose(0, 1).reshape(x.shape[1] // size, size, -1)


def from_groups(samples: Tensor, like: Tensor) -> Tensor:
    """The inverse of `to_groups`."""
    return samples.reshape(like.shape[1], like.shape[0], *like.shape[2:]).transpose(0, 1).to(like.dtype)


def covariance_of(centred: Tensor, eps: float) -> Tensor:
    """(…, size, samples) -> (…, size, size), with eps added to the diagonal."""
    covariance = centred @ centred.mT / centred.shape[-1]
    return covariance + eps * torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Scale and shift per channel."""
    shape = (1, -1) + (1,) * (x.dim() - 2)
    return x * weight.view(shape) + bias.view(shape)


def newton_root(covariance: Tensor, steps: int) -> Tensor:
    """covariance^(−1/2) by `steps` of P ← ½(3P − P³Σ/tr Σ) (Huang et al. 2019, eq. 6 and 7), for (…, size, size)."""
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    scaled = covariance / trace
    root = 1.5 * torch.eye(scaled.shape[-1], dtype=scaled.dtype, device=scaled.device) - 0.5 * scaled
    for _ in range(steps - 1):
        root = 1.5 * root - 0.5 * root @ root @ root @ scaled
    return root / trace.sqrt()


def options_of(layer: nn.Module) -> dict:
    """Device and dtype for what takes a batch norm's place."""
    tensor = next((t for t in (layer.weight, layer.running_mean) if t is not None), torch.empty(0))
    return {"device": tensor.device, "dtype": tensor.dtype}
