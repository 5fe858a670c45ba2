"""Handwritten digits that ship inside scikit-learn: real images without a download."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from renorm.data.registry import RawImages, register_dataset


@register_dataset
def digits(root: Path, download: bool) -> RawImages:
    """1,797 digits of 8×8 pixels in 17 grey levels (Alpaydin and Kaynak 1998), as 32×32 with three equal channels.

    Enlarged by repetition, since that is exact on every machine. Every fifth image is a test image (360; 1,437 train).
    `root` and `download` are not used.
    """
    source = load_digits()
    grey = (source.images * (255 / 16)).round().astype(np.uint8)
    images = np.repeat(np.repeat(grey, 4, axis=1), 4, axis=2)[:, None].repeat(3, axis=1)
    labels = source.target.astype(np.int64)
    test = np.arange(len(labels)) % 5 == 0
    return RawImages(images[~test], labels[~test], images[test], labels[test], classes=10)
