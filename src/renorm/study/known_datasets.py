"""What is known of the built-in data sets before they are prepared: sizes, and the published input normalisation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Images of a data set: how many to `train` and to `test`, `shape` (C, H, W), whether they are image files."""

    train: int
    test: int
    shape: tuple[int, int, int]
    streamed: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of both splits in memory as uint8; image files are not held in memory."""
        return 0 if self.streamed else (self.train + self.test) * self.shape[0] * self.shape[1] * self.shape[2]


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel, of pixels on the scale 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


SIZES = {
    "digits": Size(1_437, 360, (3, 32, 32)),
    "cifar10": Size(50_000, 10_000, (3, 32, 32)),
    "cifar100": Size(50_000, 10_000, (3, 32, 32)),
    "mnist": Size(60_000, 10_000, (1, 28, 28)),
    "fashion_mnist": Size(60_000, 10_000, (1, 28, 28)),
    "svhn": Size(73_257, 26_032, (3, 32, 32)),
    "stl10": Size(5_000, 8_000, (3, 96, 96)),
    "imagenet": Size(1_281_167, 50_000, (3, 224, 224), streamed=True),
}
# Classes of each; a network that guesses is right once in that many.
CLASSES = {
    "digits": 10, "cifar10": 10, "cifar100": 100, "mnist": 10, "fashion_mnist": 10, "svhn": 10, "stl10": 10,
    "imagenet": 1000,
}  # fmt: skip
# Assumed for a data set that is neither listed nor prepared: as large as the largest.
UNKNOWN = Size(1_300_000, 50_000, (3, 32, 32))

# The constants of the original's main.py (lines 60 to 100) and main_imagenet.py, which the published reproduction
# shares. Its standard deviations of CIFAR are means over images of each image's own deviation, not those of all
# pixels (0.247, 0.243, 0.262), so that its inputs are larger by a factor of 1.22 to 1.37. Fashion-MNIST is not
# normalised there.
PUBLISHED_NORMALISATION = {
    "cifar10": Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": Normalisation((0.5071, 0.4865, 0.4409), (0.2009, 0.1984, 0.2023)),
    "mnist": Normalisation((0.1307,), (0.3081,)),
    "fashion_mnist": Normalisation((0.0,), (1.0,)),
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
