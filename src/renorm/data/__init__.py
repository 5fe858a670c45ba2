"""A name → images and labels, checksummed; batches made on the training device, or decoded ahead of it."""

from renorm.data.batches import Augmentation, DeviceSplit
from renorm.data.pictures import PictureOptions
from renorm.data.prepared import Dataset, obtain, open_prepared, prepare
from renorm.data.registry import PictureTree, RawImages, list_datasets, register_dataset
from renorm.data.streamed import StreamedSplit, on_device, workers_watched

__all__ = [
    "Augmentation", "Dataset", "DeviceSplit", "PictureOptions", "PictureTree", "RawImages", "StreamedSplit",
    "list_datasets", "obtain", "on_device", "open_prepared", "prepare", "register_dataset",
    "workers_watched",
]  # fmt: skip
