"""MobileNetV2 and EfficientNet-B0 in CIFAR form: inverted residual blocks around a depthwise convolution."""

from collections import OrderedDict
from collections.abc import Iterator

from torch import Tensor, nn

from renorm.models.layers import Classifier, SqueezeExcite, conv_bn, conv_bn_relu
from renorm.models.registry import register_arch

STEM_WIDTH = 32
# expansion, output width, repeats, stride of the first
MOBILENET = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
EFFICIENTNET = (
    (1, 16, 1, 2),
    (6, 24, 2, 1),
    (6, 40, 2, 2),
    (6, 80, 3, 2),
    (6, 112, 3, 1),
    (6, 192, 4, 2),
    (6, 320, 1, 2),
)


class InvertedResidual(nn.Module):
    """c1 to `expansion` × width, depthwise c3, c1 without ReLU; at stride 1 plus the input (c1+BN if widened)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int):
        super().__init__()
        width = expansion * inputs
        self.expand = conv_bn_relu(inputs, width, 1)
        self.depthwise = conv_bn_relu(width, width, 3, stride, groups=width)
        self.project = conv_bn(width, outputs, 1)
        self.adds = stride == 1
        self.shortcut = conv_bn(inputs, outputs, 1) if self.adds and inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(self.depthwise(self.expand(x)))
        return out + self.shortcut(x) if self.adds else out


class GatedInvertedResidual(InvertedResidual):
    """The same, gated by squeeze-and-excitation (to a 16th of the output width); at stride 2 plus its ungated self."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int):
        super().__init__(inputs, outputs, expansion, stride)
        self.gate = SqueezeExcite(outputs, outputs // 16)

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(self.depthwise(self.expand(x)))
        return out * self.gate(out) + (self.shortcut(x) if self.adds else out)


def _plan(table: tuple) -> Iterator[tuple[int, int, int, int]]:
    """Inputs, outputs, expansion and stride of every block."""
    channels = STEM_WIDTH
    for expansion, width, repeats, stride in table:
        for index in range(repeats):
            yield channels, width, expansion, 1 if index else stride
            channels = width


def _projections(table: tuple) -> dict[str, dict]:
    """One Newton-Schulz step in every projection, its covariance as wide as the block's input."""
    return {
        f"body.blocks.{number}.project.conv": {"iterations": 1, "block": inputs}
        for number, (inputs, *_) in enumerate(_plan(table))
    }


STEM = ("body.stem.conv", "body.stem.bn")
FROZEN = {"body.stem.conv": {"freeze": True, "iterations": 10}}


@register_arch(
    "MobileNetV2",
    source="Sandler et al. 2018, MobileNetV2, table 2",
    deconv_overrides={
        **FROZEN,
        "body.blocks.*.depthwise.conv": {"iterations": 1},
        **_projections(MOBILENET),
    },
    stem=STEM,
)
def mobilenet_v2(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=conv_bn_relu(in_channels, STEM_WIDTH, 3))
    body["blocks"] = nn.Sequential(*[InvertedResidual(*block) for block in _plan(MOBILENET)])
    body["last"] = conv_bn_relu(320, 1280, 1)
    return Classifier(nn.Sequential(body), 1280, num_classes)


@register_arch(
    "EfficientNet-B0",
    source="Tan and Le 2019, EfficientNet, table 1, as simplified for CIFAR by the study",
    deconv_overrides=FROZEN,
    stem=STEM,
)
def efficientnet_b0(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=conv_bn_relu(in_channels, STEM_WIDTH, 3))
    body["blocks"] = nn.Sequential(*[GatedInvertedResidual(*block) for block in _plan(EFFICIENTNET)])
    model = nn.Sequential()
    model.body = nn.Sequential(body)
    model.flatten = nn.Flatten()
    model.head = nn.Linear(320 * (-(-image_size // 32)) ** 2, num_classes)
    return model
