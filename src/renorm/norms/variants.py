"""Cheaper or more exact relatives of network deconvolution: other methods, each under a name of its own.

Each differs from `deconv` in one point and takes over all its settings. None of them is what Ye et al. 2020 describe;
how they compare in accuracy and time is what a study with several of them is for.
"""

from dataclasses import replace

from torch import nn

from renorm.norms.deconv import deconv
from renorm.norms.registry import register_norm
from renorm.norms.spec import LayerSettings

# For settings of a layer that hold for `deconv` and all its relatives (`only` of an override)
VARIANTS = (
    *("deconv_every", "deconv_detached", "deconv_bf16", "deconv_small_block", "deconv_wide_stride"),
    "deconv_converged",
)


@register_norm
def deconv_every(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """D from every other batch; between, the last one as a constant, with the mean of each batch its own.

    An older D no longer fits: with one for 4 or 10 steps a small network hardly learned at the paper's learning rate.
    """
    return deconv(layer, replace(settings, every=2))


@register_norm
def deconv_detached(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """D and mean are constants to the gradient, as if the input's statistics did not depend on the layers before."""
    return deconv(layer, replace(settings, detached=True))


@register_norm
def deconv_bf16(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """The centred samples are rounded to bfloat16 before the covariance, which is summed in float32.

    The iteration and all gradients stay float32: five steps amplify bfloat16's rounding beyond all digits, and in the
    gradient of a nearly singular covariance values of 1e7 cancel.
    """
    return deconv(layer, replace(settings, bfloat16=True))


@register_norm
def deconv_small_block(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """A quarter of the channels a block: covariances of a sixteenth of the size."""
    return deconv(layer, replace(settings, block=max(settings.block // 4, 1), block_fc=max(settings.block_fc // 4, 1)))


@register_norm
def deconv_wide_stride(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Patches at twice the distance, a quarter of them."""
    return deconv(layer, replace(settings, sampling_stride=2 * settings.sampling_stride))


@register_norm
def deconv_converged(layer: nn.Module, settings: LayerSettings) -> nn.Module:
    """Three times the Newton-Schulz steps: a D much nearer to the inverse root than the truncated one."""
    return deconv(layer, replace(settings, iterations=3 * settings.iterations))
