"""Network deconvolution: the deconvolved counterparts of Conv2d and Linear, and the norms made of them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from renorm.norms.deconvolution import Deconvolution
from renorm.norms.patches import Features, Patches, Pixels, Sampler
from renorm.norms.registry import is_batch_norm, register_norm
from renorm.norms.spec import LayerSettings


class DeconvConv2d(Deconvolution, nn.Conv2d):  # type: ignore[misc]  # its bias is never None
    """A convolution of the whitened patches of its input (Ye et al. 2020, algorithm 1).

    Patches are taken with the convolution's padding and dilation, every sampling_stride × stride pixels; for a 1×1
    kernel every (sampling_stride × stride)²-th pixel of the batch. The C·k² features of a patch (ordered by channel,
    row, column) are dealt out in turn to C/block blocks, and all blocks are samples of one covariance of (block·k²)²;
    with groups each group has its own covariance.

    `channels_only`: whitens the channels of every pixel instead, by one covariance of block² (channel deconvolution).
    """

    def __init__(self, conv: nn.Conv2d, settings: LayerSettings, channels_only: bool = False):
        super().__init__(**geometry(conv), device="meta")
        adopt(self, conv, fan_in=conv.weight[0].numel())
        block = block_size(conv.in_channels, settings.block) if conv.groups == 1 else conv.in_channels // conv.groups
        taps = math.prod(conv.kernel_size)
        self.blocks = conv.in_channels // (block * conv.groups)
        self.taps_apart = taps if channels_only else 1
        self._pad_first = isinstance(conv.padding, str) or conv.padding_mode != "zeros"
        stride = [settings.sampling_stride * s for s in conv.stride]
        sampler: Sampler
        if channels_only:
            sampler = Pixels(settings.sampling_stride**2)
        elif taps == 1:
            sampler = Pixels(math.prod(stride))
        else:
            padding = (0, 0) if isinstance(conv.padding, str) or self._pad_first else pair(conv.padding)
            sampler = Patches(pair(conv.kernel_size), pair(stride), padding, pair(conv.dilation))
        self._set_up(settings, conv.groups, block * taps // self.taps_apart, sampler)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H′, W′)."""
        if not self._pad_first:
            weight, bias = self.folded(x)
            return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        x = F.pad(x, self._reversed_padding_repeated_twice, mode=mode)
        weight, bias = self.folded(x)
        return F.conv2d(x, weight, bias, self.stride, 0, self.dilation, self.groups)

    def require(self, x: Tensor) -> None:
        """Raise RenormError unless `x` is (N, in_channels, H, W), not empty, and no smaller than the kernel."""
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            self.refuse(x, f"expected (N, {self.in_channels}, H, W); one image needs an axis more: x[None]")
        if x.numel() == 0:
            self.refuse(x, "no statistics of an empty batch: skip it")
        padding = (0, 0) if isinstance(self.padding, str) or self._pad_first else pair(self.padding)
        sizes = zip(x.shape[2:], padding, self.kernel_size, self.dilation, strict=True)
        if any(size + 2 * p < d * (k - 1) + 1 for size, p, k, d in sizes):
            self.refuse(x, f"smaller than the kernel {self.kernel_size}: use larger images or padding")

    def _to_rows(self, weight: Tensor) -> Tensor:
        groups = () if self.deconv_groups == 1 else (self.deconv_groups,)
        if self.blocks == self.taps_apart == 1:
            return weight.reshape(*groups, -1, self.features)
        rows = weight.reshape(*groups, -1, self.features, self.blocks, self.taps_apart).movedim(-3, -1)
        return rows.reshape(*groups, -1, self.features)

    def _from_rows(self, rows: Tensor) -> Tensor:
        if self.blocks == self.taps_apart == 1:
            return rows.view(self.weight.shape)
        rows = rows.reshape(self.deconv_groups, -1, self.blocks, self.taps_apart, self.features)
        # contiguous() and then the shape: a permuted 1×1 weight would look channels_last and turn the whole network
        return rows.permute(0, 1, 4, 2, 3).contiguous().view(self.weight.shape)


class DeconvLinear(Deconvolution, nn.Linear):  # type: ignore[misc]  # its bias is never None
    """A fully connected layer on whitened features: consecutive blocks of `block_fc` share one covariance."""

    def __init__(self, linear: nn.Linear, settings: LayerSettings):
        super().__init__(linear.in_features, linear.out_features, device="meta")
        adopt(self, linear, fan_in=linear.in_features)
        block = block_size(linear.in_features, settings.block_fc)
        self.blocks = 1  # the samples of a fully connected layer come in blocks already
        self._set_up(settings, 1, block, Features(block))

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) -> (…, out)."""
        return F.linear(x, *self.folded(x))

    def require(self, x: Tensor) -> None:
        """Raise RenormError unless `x` is (…, in_features) and not empty."""
        if x.dim() < 1 or x.shape[-1] != self.in_features:
            self.refuse(x, f"expected (…, {self.in_features})")
        if x.numel() == 0:
            self.refuse(x, "no statistics of an empty batch: skip it")

    def _to_rows(self, weight: Tensor) -> Tensor:
        return weight.reshape(-1, self.features)

    def _from_rows(self, rows: Tensor) -> Tensor:
        return rows.reshape(self.weight.shape)


def adopt(deconvolved: Deconvolution, plain: nn.Conv2d | nn.Linear, fan_in: int) -> None:
    """Give the deconvolved layer the plain one's weight and bias; a missing bias is drawn as torch draws biases."""
    weight, bias = plain.weight, plain.bias
    if bias is None:
        bias = nn.Parameter(torch.empty(len(weight), device=weight.device, dtype=weight.dtype))
        nn.init.uniform_(bias, -(fan_in**-0.5), fan_in**-0.5)
    deconvolved.weight, deconvolved.bias = weight, bias


def geometry(conv: nn.Conv2d) -> dict[str, Any]:
    """The arguments of a Conv2d of the same shape and place, with a bias."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    return {name: getattr(conv, name) for name in names}


def pair(sides: Sequence[int]) -> tuple[int, int]:
    """Rows and columns."""
    rows, columns = sides
    return rows, columns


def block_size(channels: int, block: int) -> int:
    """Channels a covariance: `block`; all when there are fewer; the greatest common divisor if it does not divide."""
    return channels if channels < block else math.gcd(channels, block)


@register_norm
def deconv(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Network deconvolution, pixel and channel (Ye et al. 2020): no batch norm, every layer on whitened input."""
    if is_batch_norm(layer):
        return nn.Identity()
    if isinstance(layer, nn.Conv2d):
        return DeconvConv2d(layer, settings)
    assert isinstance(layer, nn.Linear)  # `apply` offers nothing else
    return DeconvLinear(layer, settings)


@register_norm
def channel_deconv(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Channel deconvolution (Ye et al. 2020, section 3.1): as `deconv`, with the covariance of the channels only."""
    if isinstance(layer, nn.Conv2d):
        return DeconvConv2d(layer, settings, channels_only=True)
    return deconv(layer, settings)


@register_norm
def deconv_stem(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Deconvolution of the stem and the classifier alone; the body keeps its batch norm.

    What the code behind the published EfficientNet-B0 numbers ran under the name of network deconvolution.
    """
    return deconv(layer, settings) if settings.stem or settings.head else layer
