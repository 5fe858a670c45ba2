"""A name → images and labels, checksummed; batches made on the training device, or decoded ahead of it."""

from renorm.data.batches import Augmentation, BatchedSplit, DeviceSplit
from renorm.data.image_files import ImageFileOptions
from renorm.data.prepared import Dataset, obtain, open_prepared, prepare
from renorm.data.registry import ImageFolders, RawImages, list_datasets, register_dataset
from renorm.data.streamed import StreamedSplit, on_device, workers_watched

__all__ = [
    "Augmentation", "BatchedSplit", "Dataset", "DeviceSplit", "ImageFileOptions", "ImageFolders", "RawImages",
    "StreamedSplit", "list_datasets", "obtain", "on_device", "open_prepared", "prepare", "register_dataset",
    "workers_watched",
]  # fmt: skip
