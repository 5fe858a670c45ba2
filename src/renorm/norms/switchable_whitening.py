"""Switchable whitening."""

import math

import torch
from torch import Tensor, nn

from renorm.norms.groups import affine, covariance_of, newton_root, options_of, require_samples
from renorm.norms.products import without_autocast
from renorm.norms.registry import is_batch_norm, register_norm
from renorm.norms.running import update_running
from renorm.norms.spec import LayerSettings

SIZE = 16  # channels a group at most (Pan et al. 2019, section 4)
WAYS = 5  # batch whitening, instance whitening, batch, instance and layer standardisation


class SwitchableWhitening(nn.Module):
    """Whitening by a learnt mixture of five means and covariances (Pan et al. 2019, eq. 6 and 7, the SW-abcde form).

    Mixed are batch and instance whitening (full covariance of a group of channels) and batch, instance and layer
    standardisation (its diagonal); softmax weights `mean_mix` and `covariance_mix` start equal. Each sample is
    whitened by its own mixture, by `steps` Newton iterations. Buffers: the running mean and covariance of the batch.
    """

    running_mean: Tensor
    running_covariance: Tensor
    running_values_only_written = True

    def __init__(self, channels: int, size: int, eps: float, momentum: float, steps: int, device=None, dtype=None):
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.channels, self.size = channels, math.gcd(channels, size)
        self.eps, self.momentum, self.steps = eps, momentum, steps
        groups = channels // self.size
        self.weight = nn.Parameter(torch.ones(channels, **options))
        self.bias = nn.Parameter(torch.zeros(channels, **options))
        self.mean_mix = nn.Parameter(torch.ones(WAYS, **options))
        self.covariance_mix = nn.Parameter(torch.ones(WAYS, **options))
        self.register_buffer("running_mean", torch.zeros(groups, self.size, 1, **options))
        self.register_buffer("running_covariance", torch.eye(self.size, **options).repeat(groups, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, …) -> the same shape."""
        require_samples(self, x)
        with without_autocast(x.device):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            samples = wide.reshape(len(x), self.channels // self.size, self.size, -1)  # N, groups, size, pixels
            mean, covariance = self._mixture(samples)
            white = newton_root(covariance, self.steps) @ (samples - mean)
            return affine(white.reshape(x.shape).to(x.dtype), self.weight, self.bias)

    def _mixture(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (N, groups, size, 1) and covariance (N, groups, size, size) of every sample."""
        batch_mean, batch = self._batch(samples)
        own_mean = samples.mean(-1, keepdim=True)
        own = covariance_of(samples - own_mean, self.eps)
        layer_mean = samples.mean((1, 2, 3), keepdim=True)
        layer = samples.var((1, 2, 3), keepdim=True, correction=0) + self.eps
        identity = torch.eye(self.size, dtype=samples.dtype, device=samples.device)
        means = (batch_mean, own_mean, batch_mean, own_mean, layer_mean)
        covariances = (batch, own, batch * identity, own * identity, layer * identity)
        return _mix(self.mean_mix, means), _mix(self.covariance_mix, covariances)

    def _batch(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self.running_mean, self.running_covariance
        samples = samples.permute(1, 2, 0, 3).flatten(2)
        mean = samples.mean(-1, keepdim=True)
        covariance = covariance_of(samples - mean, self.eps)
        update_running(self.momentum, (self.running_mean, mean), (self.running_covariance, covariance))
        return mean, covariance

    def extra_repr(self) -> str:
        return f"{self.channels}, size={self.size}, eps={self.eps}, momentum={self.momentum}, steps={self.steps}"


def _mix(logits: Tensor, terms: tuple[Tensor, ...]) -> Tensor:
    return sum(weight * term for weight, term in zip(logits.softmax(0), terms, strict=True))


@register_norm
def switchable_whitening(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Switchable whitening (Pan et al. 2019) in place of batch norm, groups of 16 channels (block, if less)."""
    if not is_batch_norm(layer):
        return layer
    place = (layer.num_features, min(settings.block, SIZE), settings.eps, settings.momentum)
    return SwitchableWhitening(*place, steps=settings.iterations, **options_of(layer))
