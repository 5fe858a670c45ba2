"""A name → uint8 images and labels, checksummed; batches made on the training device."""

from renorm.data.batches import Augmentation, DeviceSplit
from renorm.data.prepared import Dataset, obtain, open_prepared, prepare
from renorm.data.registry import RawImages, list_datasets, register_dataset

__all__ = [
    "Augmentation", "Dataset", "DeviceSplit", "RawImages", "list_datasets", "obtain", "open_prepared", "prepare",
    "register_dataset",
]  # fmt: skip
