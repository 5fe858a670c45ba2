"""Normalisers that torch.nn already has."""

from torch import nn

from renorm.norms.registry import is_batch_norm, register_norm
from renorm.norms.spec import LayerSettings


@register_norm
def none(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """No normalisation: batch norm goes, everything else stays as it is."""
    return nn.Identity() if is_batch_norm(layer) else layer


@register_norm
def batch_norm(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Batch normalisation (Ioffe and Szegedy 2015, algorithm 1): the form in which the networks are written."""
    return layer
