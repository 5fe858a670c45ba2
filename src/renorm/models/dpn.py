"""DPN-92 in CIFAR form."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from renorm.models.layers import Classifier, conv_bn, conv_bn_relu
from renorm.models.registry import register_arch

GROUPS = 32
# bottleneck width, residual width, blocks, dense depth
STAGES = ((96, 256, 3, 16), (192, 512, 4, 32), (384, 1024, 20, 24), (768, 2048, 3, 128))


class DualPath(nn.Module):
    """The first `residual` channels are added to the branch's, the others of both are concatenated; ReLU."""

    def __init__(self, inputs: int, width: int, residual: int, depth: int, stride: int, first: bool):
        super().__init__()
        self.residual = residual
        self.branch = nn.Sequential(
            conv_bn_relu(inputs, width, 1),
            conv_bn_relu(width, width, 3, stride, GROUPS),
            conv_bn(width, residual + depth, 1),
        )
        self.shortcut = conv_bn(inputs, residual + depth, 1, stride) if first else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        old, new, r = self.shortcut(x), self.branch(x), self.residual
        return self.relu(torch.cat([old[:, :r] + new[:, :r], old[:, r:], new[:, r:]], 1))


@register_arch(
    "DPN-92",
    source="Chen et al. 2017, Dual Path Networks, table 1",
    deconv_overrides={"body.stem.conv": {"freeze": True, "iterations": 10}},
    stem=("body.stem.conv", "body.stem.bn"),
)
def dpn92(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=conv_bn_relu(in_channels, 64, 3))
    channels = 64
    for stage, (width, residual, count, depth) in enumerate(STAGES):
        blocks = []
        for index in range(count):
            stride = 2 if stage and not index else 1
            blocks.append(DualPath(channels, width, residual, depth, stride, first=not index))
            channels = residual + (index + 2) * depth
        body[f"stage{stage + 1}"] = nn.Sequential(*blocks)
    return Classifier(nn.Sequential(body), channels, num_classes)
