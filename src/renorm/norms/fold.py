"""Export: a trained network as plain Conv2d and Linear, to be used without this package."""

import copy

import torch
from torch import nn

from renorm.norms.deconv import DeconvConv2d, DeconvLinear, geometry


@torch.no_grad()
def fold(model: nn.Module) -> nn.Module:
    """A copy of `model` in evaluation mode whose deconvolved layers are plain ones with the same output.

    The running statistics are folded into weight and bias; `model` is left as it is.
    """
    model = copy.deepcopy(model).eval()
    plain = {layer: _plain(layer) for layer in model.modules() if isinstance(layer, DeconvConv2d | DeconvLinear)}
    if model in plain:
        return plain[model]
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child in plain:
                setattr(parent, name, plain[child])
    return model


def _plain(layer: DeconvConv2d | DeconvLinear) -> nn.Module:
    folded: nn.Linear | nn.Conv2d
    if isinstance(layer, DeconvLinear):
        folded = nn.Linear(layer.in_features, layer.out_features, device="meta")
    else:
        folded = nn.Conv2d(**geometry(layer), device="meta")
    weight, bias = layer.folded_running()
    folded.weight, folded.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return folded.eval()
