"""DenseNet-121 in CIFAR form."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from renorm.models.layers import Classifier
from renorm.models.registry import register_arch

GROWTH = 32


class Dense(nn.Module):
    """BN-ReLU-c1-BN-ReLU-c3; the new features are put in front of the old."""

    def __init__(self, inputs: int):
        super().__init__()
        self.branch = nn.Sequential(
            OrderedDict(
                bn1=nn.BatchNorm2d(inputs),
                relu1=nn.ReLU(),
                conv1=nn.Conv2d(inputs, 4 * GROWTH, 1, bias=False),
                bn2=nn.BatchNorm2d(4 * GROWTH),
                relu2=nn.ReLU(inplace=True),
                conv2=nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch(x), x], 1)


def _transition(inputs: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            bn=nn.BatchNorm2d(inputs),
            relu=nn.ReLU(),
            conv=nn.Conv2d(inputs, inputs // 2, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


@register_arch(
    "DenseNet-121",
    source="Huang et al. 2017, Densely Connected Convolutional Networks, table 1",
    min_size=8,
    stem=("body.stem",),
)
def densenet121(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    channels = 2 * GROWTH
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Conv2d(in_channels, channels, 3, padding=1, bias=False))
    for number, depth in enumerate((6, 12, 24, 16), start=1):
        body[f"block{number}"] = nn.Sequential(*[Dense(channels + GROWTH * index) for index in range(depth)])
        channels += GROWTH * depth
        if number < 4:
            body[f"transition{number}"] = _transition(channels)
            channels //= 2
    body["bn"], body["relu"] = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    return Classifier(nn.Sequential(body), channels, num_classes)
