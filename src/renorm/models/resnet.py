"""ResNet in CIFAR form: a 3×3 stem of stride 1 and no max-pool."""

from collections import OrderedDict

from torch import Tensor, nn

from renorm.models.layers import Classifier, conv_bn, conv_bn_relu
from renorm.models.registry import register_arch

PAPER = "He et al. 2016, Deep Residual Learning, table 1"
STEM = ("body.stem.conv", "body.stem.bn")


class Residual(nn.Module):
    """ReLU of the branch's output plus the shortcut: the input itself, or c1+BN of it where the shape changes."""

    def __init__(self, branch: nn.Module, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.branch = branch
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.branch(x) + self.shortcut(x))


def basic(inputs: int, width: int, stride: int) -> tuple[nn.Module, int]:
    """The basic block and its output width."""
    branch = nn.Sequential(conv_bn_relu(inputs, width, 3, stride), conv_bn(width, width, 3))
    return Residual(branch, inputs, width, stride), width


def bottleneck(inputs: int, width: int, stride: int) -> tuple[nn.Module, int]:
    """The bottleneck block, expansion 4, stride in its 3×3 convolution, and its output width."""
    branch = nn.Sequential(
        conv_bn_relu(inputs, width, 1), conv_bn_relu(width, width, 3, stride), conv_bn(width, 4 * width, 1)
    )
    return Residual(branch, inputs, 4 * width, stride), 4 * width


def _resnet(block, depths: tuple, widths: tuple, num_classes: int, in_channels: int) -> nn.Module:
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=conv_bn_relu(in_channels, widths[0], 3))
    channels = widths[0]
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        blocks = []
        for index in range(depth):
            layer, channels = block(channels, width, 2 if stage and not index else 1)
            blocks.append(layer)
        body[f"stage{stage + 1}"] = nn.Sequential(*blocks)
    return Classifier(nn.Sequential(body), channels, num_classes)


@register_arch("ResNet-18", source=PAPER, stem=STEM)
def resnet18(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _resnet(basic, (2, 2, 2, 2), (64, 128, 256, 512), num_classes, in_channels)


@register_arch("ResNet-50", source=PAPER, stem=STEM)
def resnet50(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _resnet(bottleneck, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, in_channels)


@register_arch("Tiny ResNet", stem=STEM)
def tiny_resnet(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    """Three basic blocks behind a strided stem, for demonstration and tests."""
    model = _resnet(basic, (1, 1, 1), (8, 16, 32), num_classes, in_channels)
    model.get_submodule("body.stem.conv").stride = (2, 2)  # type: ignore[assignment]
    return model
