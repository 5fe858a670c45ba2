"""PNASNet-A in CIFAR form: cells of one 7×7 convolution per channel and one max-pool."""

from collections import OrderedDict

from torch import Tensor, nn

from renorm.models.layers import Classifier, conv_bn, conv_bn_relu
from renorm.models.registry import register_arch


class CellA(nn.Module):
    """ReLU of a 7×7 convolution per channel (+BN) plus a 3×3 max-pool (at stride 2: then c1+BN)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.separable = conv_bn(inputs, outputs, 7, stride, groups=inputs)
        self.pool = nn.MaxPool2d(3, stride, padding=1)
        self.widen = nn.Identity() if stride == 1 else conv_bn(inputs, outputs, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.separable(x) + self.widen(self.pool(x)))


@register_arch(
    "PNASNet-A",
    source="Liu et al. 2018, Progressive Neural Architecture Search, as simplified for CIFAR by the study",
    deconv_overrides={"body.stem.conv": {"freeze": True, "iterations": 10}},
    stem=("body.stem.conv", "body.stem.bn"),
)
def pnasnet_a(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=conv_bn_relu(in_channels, 44, 3))
    channels = 44
    for number in range(3):
        if number:
            body[f"reduce{number}"] = CellA(channels, 2 * channels, 2)
            channels *= 2
        body[f"cells{number + 1}"] = nn.Sequential(*[CellA(channels, channels, 1) for _ in range(6)])
    return Classifier(nn.Sequential(body), channels, num_classes)
