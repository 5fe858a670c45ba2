"""VGG in CIFAR form: 3×3 convolutions with bias, five pools, one linear layer."""

from typing import Any

from torch import nn

from renorm.models.registry import register_arch

PLANS = {
    "vgg11": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg13": (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg16": (64, 64, "M", 128, 128, "M", *(256,) * 3, "M", *(512,) * 3, "M", *(512,) * 3, "M"),
    "vgg19": (64, 64, "M", 128, 128, "M", *(256,) * 4, "M", *(512,) * 4, "M", *(512,) * 4, "M"),
}
PAPER = "Simonyan and Zisserman 2015, table 1"
DESCRIPTION: dict[str, Any] = {
    "source": PAPER,
    "min_size": 32,
    "deconv_overrides": {"features.0": {"freeze": True, "iterations": 15}},
    "stem": ("features.0", "features.1"),
}


def _vgg(plan: tuple, num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    layers: list[nn.Module] = []
    channels = in_channels
    for width in plan:
        if width == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        channels = width
    pools = sum(width == "M" for width in plan)
    model = nn.Sequential()
    model.features = nn.Sequential(*layers)
    model.flatten = nn.Flatten()
    model.head = nn.Linear(channels * (image_size // 2**pools) ** 2, num_classes)
    return model


@register_arch("VGG-11", **DESCRIPTION)
def vgg11(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _vgg(PLANS["vgg11"], num_classes, image_size, in_channels)


@register_arch("VGG-13", **DESCRIPTION)
def vgg13(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _vgg(PLANS["vgg13"], num_classes, image_size, in_channels)


@register_arch("VGG-16", **DESCRIPTION)
def vgg16(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _vgg(PLANS["vgg16"], num_classes, image_size, in_channels)


@register_arch("VGG-19", **DESCRIPTION)
def vgg19(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _vgg(PLANS["vgg19"], num_classes, image_size, in_channels)


@register_arch("Tiny VGG", **{**DESCRIPTION, "source": "", "min_size": 8})
def tiny_vgg(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    """Three convolutions, for demonstration and tests."""
    return _vgg((8, "M", 16, "M", 32, "M"), num_classes, image_size, in_channels)
