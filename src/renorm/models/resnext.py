"""ResNeXt-29 (32×4d) in CIFAR form."""

from collections import OrderedDict

from torch import nn

from renorm.models.layers import Classifier, conv_bn, conv_bn_relu
from renorm.models.registry import register_arch
from renorm.models.resnet import Residual

GROUPS = 32


@register_arch(
    "ResNeXt-29",
    source="Xie et al. 2017, Aggregated Residual Transformations for Deep Neural Networks, section 5.3",
    deconv_overrides={
        "body.stem.conv": {"freeze": True, "iterations": 10},
        "body.stage*.branch.1.conv": {"iterations": 3},
    },
    stem=("body.stem.conv", "body.stem.bn"),
)
def resnext29_32x4d(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=conv_bn_relu(in_channels, 64, 1))
    channels = 64
    for stage, width in enumerate((128, 256, 512)):
        blocks = []
        for index in range(3):
            stride = 2 if stage and not index else 1
            branch = nn.Sequential(
                conv_bn_relu(channels, width, 1),
                conv_bn_relu(width, width, 3, stride, GROUPS),
                conv_bn(width, 2 * width, 1),
            )
            blocks.append(Residual(branch, channels, 2 * width, stride))
            channels = 2 * width
        body[f"stage{stage + 1}"] = nn.Sequential(*blocks)
    return Classifier(nn.Sequential(body), channels, num_classes)
