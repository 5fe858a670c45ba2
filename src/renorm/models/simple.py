"""The small networks: one wide convolution, a multi-layer perceptron, one linear layer."""

from torch import nn

from renorm.models.registry import register_arch
from renorm.norms.variants import VARIANTS

WIDTH = 32


@register_arch("Simple CNN", source="Jiang et al., Reproducibility Report / Network Deconvolution, table 1")
def simple_cnn(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    """One convolution as wide as the image, the normaliser, a linear classifier; nothing nonlinear in between."""
    model = nn.Sequential()
    model.conv = nn.Conv2d(in_channels, WIDTH, image_size)
    model.bn = nn.BatchNorm2d(WIDTH)
    model.flatten = nn.Flatten()
    model.head = nn.Linear(WIDTH, num_classes)
    return model


# Whitening all pixels of an image together is what makes one step of size 1 the solution of a linear regression
# (Ye et al., preprint, section 3.3); the default blocks of the greatest common divisor would be 16 of 784 pixels.
WHOLE_IMAGE = {"block_fc": 1024, "only": ("deconv", *VARIANTS)}


@register_arch(
    "MLP", source="Ye et al., preprint 2019, figure 4 (c, d)", deconv_overrides={"hidden.0.linear": WHOLE_IMAGE}
)
def mlp(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    """Three hidden layers of 128 with sigmoid."""
    features, hidden = in_channels * image_size**2, []
    for _ in range(3):
        layer = nn.Sequential()
        layer.linear = nn.Linear(features, 128)
        layer.bn = nn.BatchNorm1d(128)
        layer.sigmoid = nn.Sigmoid()
        hidden.append(layer)
        features = 128
    model = nn.Sequential()
    model.flatten = nn.Flatten()
    model.hidden = nn.Sequential(*hidden)
    model.head = nn.Linear(features, num_classes)
    return model


@register_arch("Linear", source="Ye et al., preprint 2019, figure 4 (a, b)", deconv_overrides={"head": WHOLE_IMAGE})
def linear(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    """One linear layer on the pixels; in batch-norm form the pixels are normalised first."""
    features = in_channels * image_size**2
    model = nn.Sequential()
    model.flatten = nn.Flatten()
    model.bn = nn.BatchNorm1d(features)
    model.head = nn.Linear(features, num_classes)
    return model
