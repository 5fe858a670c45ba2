"""Data sets that torchvision knows, read only after the checksums of their files were found right."""

import gzip
import socket
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from renorm.core.errors import RenormError
from renorm.data.registry import RawImages, register_dataset

# A machine behind a silent firewall must not hang for ever.
DOWNLOAD_TIMEOUT_S = 60

# MD5 of the unpacked files, which torchvision opens without a checksum.
UNPACKED = {
    ("MNIST", "train-images-idx3-ubyte"): "6bbc9ace898e44ae57da46a324031adb",
    ("MNIST", "train-labels-idx1-ubyte"): "a25bea736e30d166cdddb491f175f624",
    ("MNIST", "t10k-images-idx3-ubyte"): "2646ac647ad5339dbf082846283269ea",
    ("MNIST", "t10k-labels-idx1-ubyte"): "27ae3e4e09519cfbb04c329615203637",
    ("FashionMNIST", "train-images-idx3-ubyte"): "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ("FashionMNIST", "train-labels-idx1-ubyte"): "9018921c3c673c538a1fc5bad174d6f9",
    ("FashionMNIST", "t10k-images-idx3-ubyte"): "8181f5470baa50b63fa0f6fddb340f0a",
    ("FashionMNIST", "t10k-labels-idx1-ubyte"): "15d484375f8d13e6eb1aabb0c3f46965",
}


@register_dataset
def cifar10(root: Path, download: bool) -> RawImages:
    """CIFAR-10: 50,000 + 10,000 colour images of 32×32 in 10 classes (Krizhevsky 2009)."""
    return _cifar(datasets.CIFAR10, "cifar10", root, download)


@register_dataset
def cifar100(root: Path, download: bool) -> RawImages:
    """CIFAR-100: 50,000 + 10,000 colour images of 32×32 in 100 classes (Krizhevsky 2009)."""
    return _cifar(datasets.CIFAR100, "cifar100", root, download)


@register_dataset
def mnist(root: Path, download: bool) -> RawImages:
    """MNIST: 60,000 + 10,000 grey images of 28×28 in 10 classes (LeCun et al. 1998)."""
    return _mnist(datasets.MNIST, "mnist", root, download)


@register_dataset
def fashion_mnist(root: Path, download: bool) -> RawImages:
    """Fashion-MNIST: 60,000 + 10,000 grey images of 28×28 in 10 classes (Xiao et al. 2017)."""
    return _mnist(datasets.FashionMNIST, "fashion_mnist", root, download)


@register_dataset
def svhn(root: Path, download: bool) -> RawImages:
    """SVHN: 73,257 + 26,032 colour images of 32×32 of house-number digits, the digit 0 as class 0 (Netzer 2011)."""
    files = {split: datasets.SVHN.split_list[split] for split in ("train", "test")}
    sums = {root / file: md5 for _, file, md5 in files.values()}
    urls = " and ".join(url for url, _, _ in files.values())
    _obtain("svhn", root, sums, lambda: [datasets.SVHN(str(root), s, download=True) for s in files], urls, download)
    train, test = (datasets.SVHN(str(root), split) for split in files)
    images = [np.ascontiguousarray(split.data) for split in (train, test)]
    return RawImages(images[0], train.labels, images[1], test.labels, classes=10)


@register_dataset
def stl10(root: Path, download: bool) -> RawImages:
    """STL-10: the labelled 5,000 + 8,000 colour images of 96×96 in 10 classes (Coates et al. 2011)."""
    kind = datasets.STL10
    folder = root / kind.base_folder
    sums = {folder / file: md5 for file, md5 in kind.train_list[:2] + kind.test_list}
    _obtain("stl10", root, sums, lambda: kind(str(root), download=True), kind.url, download)
    # torchvision wants the 2.6 GB without labels beside them before it reads these four: read ours.
    parts = [np.fromfile(path, dtype=np.uint8) for path in sums]
    train_images, test_images = (
        np.ascontiguousarray(part.reshape(-1, 3, 96, 96).swapaxes(2, 3)) for part in (parts[0], parts[2])
    )
    train_labels, test_labels = (part.astype(np.int64) - 1 for part in (parts[1], parts[3]))
    return RawImages(train_images, train_labels, test_images, test_labels, classes=10)


def _cifar(kind, name: str, root: Path, download: bool) -> RawImages:
    folder = root / kind.base_folder
    sums = {folder / file: md5 for file, md5 in kind.train_list + kind.test_list}
    sums[folder / kind.meta["filename"]] = kind.meta["md5"]
    _obtain(name, root, sums, lambda: kind(str(root), download=True), kind.url, download)
    train, test = kind(str(root), train=True), kind(str(root), train=False)
    images = [np.ascontiguousarray(split.data.transpose(0, 3, 1, 2)) for split in (train, test)]
    labels = [np.asarray(split.targets, dtype=np.int64) for split in (train, test)]
    return RawImages(images[0], labels[0], images[1], labels[1], classes=len(train.classes))


def _mnist(kind, name: str, root: Path, download: bool) -> RawImages:
    folder = root / kind.__name__ / "raw"
    sums = {folder / file: md5 for file, md5 in kind.resources}
    unpacked = {path.with_suffix(""): UNPACKED[path.parts[-3], path.stem] for path in sums}
    if not any(path.exists() for path in sums) and all(path.exists() for path in unpacked):
        sums = unpacked
    _obtain(name, root, sums, lambda: kind(str(root), download=True), kind.mirrors[0], download)
    # torchvision checks the sums of the archives only, and trains on whatever lies unpacked beside them: read ours.
    parts = [_idx(path) for path in sums]
    train_images, train_labels, test_images, test_labels = parts
    return RawImages(train_images[:, None], train_labels.astype(np.int64), test_images[:, None],
                     test_labels.astype(np.int64), classes=10)  # fmt: skip


def _idx(path: Path) -> np.ndarray:
    """The uint8 array in an IDX file, gzipped or not: two zero bytes, type, number of axes, their lengths, values."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    shape = np.frombuffer(data, dtype=">i4", count=data[3], offset=4)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def _obtain(name: str, root: Path, sums: dict[Path, str], fetch, url: str, download: bool) -> None:
    """Make sure that every file is there with its checksum, or say in one line what to do."""
    missing = [path for path in sums if not path.is_file()]
    if missing and download:
        _download(name, root, fetch, url, missing)
        missing = [path for path in sums if not path.is_file()]
    if missing:
        raise RenormError(
            f"dataset {name}: {missing[0]} is missing ({len(missing)} of {len(sums)} files): download {url}, lay it "
            f"out as torchvision does under {root}, or set RENORM_DATA (data_dir) to the folder that has it"
        )
    for path, md5 in sums.items():
        if not check_integrity(str(path), md5):
            raise RenormError(
                f"dataset {name}: {path} has a wrong checksum (expected MD5 {md5}): it is damaged or another file; "
                f"remove it and download {url} again; nothing was trained on it"
            )


def _download(name: str, root: Path, fetch, url: str, missing: list[Path]) -> None:
    try:
        with _timeout(DOWNLOAD_TIMEOUT_S):
            fetch()
    except Exception as error:
        # torchvision raises urllib's, socket's and its own errors here; all mean the same to the user.
        raise RenormError(
            f"dataset {name}: {missing[0]} is missing and the download failed ({type(error).__name__}): fetch {url} "
            f"elsewhere, lay it out as torchvision does under {root}, or set RENORM_DATA (data_dir) to "
            f"the folder that has it"
        ) from None


@contextmanager
def _timeout(seconds: float):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
