"""The few building blocks that several architectures share. All in batch-norm form."""

from torch import Tensor, nn


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = False
) -> nn.Sequential:
    """`conv` (padded to keep the size at stride 1), then `bn`."""
    layer = nn.Sequential()
    layer.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)
    layer.bn = nn.BatchNorm2d(outputs)
    return layer


def conv_bn_relu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """`conv`, `bn`, `relu`."""
    layer = conv_bn(inputs, outputs, kernel, stride, groups)
    layer.relu = nn.ReLU(inplace=True)
    return layer


class Classifier(nn.Module):
    """Body, pooling over the whole map (4×4 or 8×8 for images of 32 pixels), one linear layer."""

    def __init__(self, body: nn.Module, features: int, num_classes: int):
        super().__init__()
        self.body = body
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.body(x)).flatten(1))


class SqueezeExcite(nn.Module):
    """A gate per channel from the pooled map (Hu et al. 2018): c1 to `hidden`, ReLU, c1 back, sigmoid."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU(inplace=True)
        self.excite = nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """The gates (N, C, 1, 1), to be multiplied by the caller."""
        return self.gate(self.excite(self.relu(self.squeeze(self.pool(x)))))
