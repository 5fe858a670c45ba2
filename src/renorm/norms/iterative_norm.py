"""Iterative normalisation."""

from torch import Tensor, nn

from renorm.norms.groups import GroupWhitening, newton_root, options_of
from renorm.norms.registry import is_batch_norm, register_norm
from renorm.norms.spec import LayerSettings


class IterativeNorm(GroupWhitening):
    """Whitening by `steps` Newton iterations (Huang et al. 2019, Iterative Normalization, algorithm 1)."""

    def __init__(self, *args, steps: int, **kwargs):
        super().__init__(*args, **kwargs)
        self.steps = steps

    def whitening(self, covariance: Tensor) -> Tensor:
        return newton_root(covariance, self.steps)


@register_norm
def iterative_norm(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Iterative norm (Huang et al. 2019) in place of batch norm, `iterations` steps, groups of `block` channels."""
    if not is_batch_norm(layer):
        return layer
    place = (layer.num_features, settings.block, settings.eps, settings.momentum)
    return IterativeNorm(*place, steps=settings.iterations, **options_of(layer))
