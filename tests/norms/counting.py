"""How many kernels a layer launches, counted on the meta device."""

from collections import Counter

import torch
from torch import nn

from benchmarks.launches import Launches
from renorm.norms import apply, running_together


def launches_of_a_step(conv: nn.Conv2d) -> Counter:
    """Launches by name of the third forward and backward pass of `conv` with deconvolution, on 16 images of 12 × 12."""
    layer, x = apply(conv, "deconv").to("meta"), torch.empty(16, conv.in_channels, 12, 12, device="meta")
    x.requires_grad_()
    for _ in range(2):
        layer(x)
    with running_together(), Launches() as counted:
        out = layer(x)
        out.backward(torch.empty_like(out))
    return counted.counts
