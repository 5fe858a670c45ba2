"""The deconvolved layers of a checkout of the original repository, in the place of ours, with our weights."""

import importlib.util
from pathlib import Path
from types import ModuleType

from torch import nn

from renorm.core.errors import RenormError
from renorm.norms.deconv import DeconvConv2d, DeconvLinear

FILE = Path("models/deconv.py")


def load(checkout: Path) -> ModuleType:
    """The module with the original's layers; raises `RenormError` when `checkout` has none."""
    path = checkout / FILE
    if not path.is_file():
        raise RenormError(f"--reference: {checkout} has no {FILE}: name a checkout of the original repository")
    spec = importlib.util.spec_from_file_location("reference_deconv", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def replace(model: nn.Module, original: ModuleType, sampling_stride: int = 3) -> nn.Module:
    """Every layer of ours by the original's, with the same settings and given the same weight and bias."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, DeconvConv2d | DeconvLinear):
                setattr(parent, name, _original(child, original, sampling_stride))
    return model


def _original(layer: DeconvConv2d | DeconvLinear, original: ModuleType, sampling_stride: int) -> nn.Module:
    settings = {"bias": True, "eps": layer.eps, "n_iter": layer.iterations, "momentum": layer.momentum}
    if isinstance(layer, DeconvLinear):
        made = original.Delinear(layer.in_features, layer.out_features, block=layer.features, **settings)
    else:
        # Of square kernels and strides: it knows no others.
        geometry = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        made = original.FastDeconv(
            layer.in_channels, layer.out_channels, *(sides[0] for sides in geometry), groups=layer.groups,
            block=layer.in_channels // (layer.blocks * layer.groups), sampling_stride=sampling_stride,
            freeze=layer.freeze, **settings,
        )  # fmt: skip
    made.weight, made.bias = layer.weight, layer.bias
    return made
