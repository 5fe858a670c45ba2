"""Pre-activation ResNet-18 and SENet-18: batch norm and ReLU in front of every convolution of a block."""

from collections import OrderedDict

from torch import Tensor, nn

from renorm.models.layers import Classifier, SqueezeExcite, conv_bn_relu
from renorm.models.registry import register_arch


class PreActivation(nn.Module):
    """BN-ReLU, c3, BN-ReLU, c3, optionally gated by squeeze-and-excitation, plus the shortcut.

    Where the shape changes, the shortcut is a c1 of the input after its BN-ReLU; else the input itself.
    """

    def __init__(self, inputs: int, width: int, stride: int, gated: bool):
        super().__init__()
        self.bn1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        same = stride == 1 and inputs == width
        self.shortcut = None if same else nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.gate = SqueezeExcite(width, width // 16) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu1(self.bn1(x))
        out = self.conv2(self.relu2(self.bn2(self.conv1(active))))
        if self.gate is not None:
            out = out * self.gate(out)
        return out + (x if self.shortcut is None else self.shortcut(active))


def _stages(stem: nn.Module, gated: bool, num_classes: int) -> nn.Module:
    body, channels = OrderedDict(stem=stem), 64
    for stage, width in enumerate((64, 128, 256, 512)):
        first = PreActivation(channels, width, 2 if stage else 1, gated)
        body[f"stage{stage + 1}"] = nn.Sequential(first, PreActivation(width, width, 1, gated))
        channels = width
    return Classifier(nn.Sequential(body), channels, num_classes)


@register_arch(
    "PreAct-18",
    source="He et al. 2016, Identity Mappings in Deep Residual Networks, figure 1b",
    deconv_overrides={"body.stem": {"freeze": True, "iterations": 10}},
    stem=("body.stem",),
)
def preact_resnet18(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    """The authors' network has a batch norm for its stem besides, which it never calls: 128 parameters more."""
    return _stages(nn.Conv2d(in_channels, 64, 3, padding=1, bias=False), False, num_classes)


@register_arch(
    "SENet-18",
    source="Hu et al. 2018, Squeeze-and-Excitation Networks, section 3",
    deconv_overrides={"body.stem.conv": {"freeze": True, "iterations": 15}},
    stem=("body.stem.conv", "body.stem.bn"),
)
def senet18(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _stages(conv_bn_relu(in_channels, 64, 3), True, num_classes)
