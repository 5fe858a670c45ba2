"""Normalisers that torch.nn already has."""

import math

from torch import Tensor, nn

from renorm.norms.groups import affine, options_of
from renorm.norms.registry import is_batch_norm, register_norm
from renorm.norms.spec import LayerSettings

GROUPS = 32  # Wu and He 2018, table 3


@register_norm
def none(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """No normalisation: batch norm goes, everything else stays as it is."""
    return nn.Identity() if is_batch_norm(layer) else layer


@register_norm
def batch_norm(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Batch normalisation (Ioffe and Szegedy 2015, algorithm 1): the form in which the networks are written."""
    return layer


@register_norm
def group_norm(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Group normalisation (Wu and He 2018): 32 groups, or the greatest common divisor with the number of channels.

    Where that would leave one channel a group (32 channels and fewer), groups of 4: a group of one channel and one
    pixel has nothing to be compared with and would be normalised to zero.
    """
    if not is_batch_norm(layer):
        return layer
    channels = layer.num_features
    groups = math.gcd(GROUPS, channels)
    if groups == channels:
        groups = max(1, channels // 4)
    return nn.GroupNorm(groups, channels, settings.eps, **options_of(layer))


@register_norm
def layer_norm(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Layer normalisation (Ba et al. 2016) over channels and pixels: group norm with one group."""
    return nn.GroupNorm(1, layer.num_features, settings.eps, **options_of(layer)) if is_batch_norm(layer) else layer


@register_norm
def instance_norm(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Instance normalisation (Ulyanov et al. 2016), with scale and shift."""
    return InstanceNorm(layer.num_features, settings.eps, **options_of(layer)) if is_batch_norm(layer) else layer


class InstanceNorm(nn.GroupNorm):
    """Group norm with a group per channel; where a channel has one pixel and so no statistics, scale and shift only."""

    def __init__(self, channels: int, eps: float, device=None, dtype=None):
        super().__init__(channels, channels, eps, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, …) -> the same shape."""
        return affine(x, self.weight, self.bias) if x.shape[2:].numel() == 1 else super().forward(x)
