"""ImageNet forms, from torchvision itself."""

from torch import nn

from renorm.models.registry import first_convolution, register_arch

# The authors' stem freezes on one GPU only: `DataParallel`'s replicas lose its count of steps (docs/fidelity.md)
STEM = {"freeze": True, "iterations": 15}


def _from_zoo(name: str, path: str, num_classes: int, in_channels: int) -> nn.Module:
    """torchvision's network; its first convolution, at `path`, drawn anew for another number of input channels."""
    # Imported where it is used: with it comes torch's compiler, and both take longer than torch itself.
    from torchvision import models as zoo

    model = getattr(zoo, name)(num_classes=num_classes)
    conv = model.get_submodule(path)
    if conv.in_channels != in_channels:
        model.set_submodule(path, first_convolution(conv, in_channels))
    return model


@register_arch(
    "VGG-11 (ImageNet form)",
    source="Simonyan and Zisserman 2015, table 1, column A",
    size=224,
    min_size=32,
    deconv_overrides={"features.0": STEM},
    stem=("features.0", "features.1"),
)
def vgg11_imagenet(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    model = _from_zoo("vgg11_bn", "features.0", num_classes, in_channels)
    if image_size // 32 == 7:
        # The maps are 7×7 already, and pooling them to 7×7 has no deterministic gradient on a GPU.
        model.avgpool = nn.Identity()
    return model


@register_arch(
    "ResNet-18 (ImageNet form)",
    source="He et al. 2016, Deep Residual Learning, table 1",
    size=224,
    deconv_overrides={"conv1": STEM},
    stem=("conv1", "bn1"),
)
def resnet18_imagenet(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _from_zoo("resnet18", "conv1", num_classes, in_channels)


@register_arch(
    "DenseNet-121 (ImageNet form)",
    source="Huang et al. 2017, Densely Connected Convolutional Networks, table 1",
    size=224,
    min_size=29,
    deconv_overrides={"features.conv0": STEM},
    stem=("features.conv0", "features.norm0"),
)
def densenet121_imagenet(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    return _from_zoo("densenet121", "features.conv0", num_classes, in_channels)
