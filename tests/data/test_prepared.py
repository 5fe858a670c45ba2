import hashlib
import json
import os
import random
import re
import shutil

import numpy as np
import pytest

from renorm import data
from renorm.core import files
from renorm.core.errors import RenormError


def test_digits_are_real_and_fixed(prepared_digits):
    digits = data.open_prepared(prepared_digits / "digits", "digits")
    assert digits.train.images.shape == (1437, 3, 32, 32)
    assert digits.test.images.shape == (360, 3, 32, 32)
    assert (digits.classes, digits.channels, digits.image_size) == (10, 3, 32)
    # The sum of all grey levels in scikit-learn's file is 561,718; its first image is a zero.
    from sklearn.datasets import load_digits

    assert load_digits().images.sum() == 561_718
    assert digits.test.labels[0] == 0
    assert np.array_equal(digits.test.images[0, 0, ::4, ::4], (load_digits().images[0] * 255 / 16).round())
    assert digits.checksum == "6100f1900d274ee5+303da2a2f74414e9"


def test_mean_and_deviation_are_the_training_images(prepared_digits):
    digits = data.open_prepared(prepared_digits / "digits", "digits")
    scaled = digits.train.images.astype(np.float64) / 255
    np.testing.assert_allclose(digits.mean, scaled.mean(axis=(0, 2, 3)), atol=1e-9)
    np.testing.assert_allclose(digits.std, scaled.std(axis=(0, 2, 3)), atol=1e-9)


def test_prepared_twice_is_the_same_file(tmp_path):
    for name in ("a", "b"):
        data.prepare("digits", tmp_path, tmp_path / name)
    for file in ("train.npz", "test.npz", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(RenormError, match=r"unknown dataset 'cifar11': did you mean 'cifar10'\?"):
        data.prepare("cifar11", tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion_mnist", "svhn", "stl10", "imagenet"])
def test_missing_and_no_network_is_one_line(tmp_path, name):
    with pytest.raises(RenormError) as caught:
        data.prepare(name, tmp_path / "raw", tmp_path / "out", download=False)
    line = str(caught.value)
    assert "\n" not in line
    for word in (f"dataset {name}", str(tmp_path / "raw"), "is missing", "download ", "RENORM_DATA"):
        assert word in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["cifar10", "mnist", "svhn", "stl10"])
def test_a_file_with_a_wrong_checksum_is_never_read(tmp_path, name):
    from torchvision import datasets

    if name == "cifar10":
        kind, folder = datasets.CIFAR10, tmp_path / datasets.CIFAR10.base_folder
        names = [file for file, _ in kind.train_list + kind.test_list] + [kind.meta["filename"]]
    elif name == "mnist":
        folder, names = tmp_path / "MNIST" / "raw", [file for file, _ in datasets.MNIST.resources]
    elif name == "svhn":
        folder, names = tmp_path, ["train_32x32.mat", "test_32x32.mat"]
    else:
        folder, names = tmp_path / "stl10_binary", [f"{s}_{part}.bin" for s in ("train", "test") for part in "Xy"]
    folder.mkdir(parents=True, exist_ok=True)
    for file in names:
        # A pickle that would tell on itself if it were loaded.
        (folder / file).write_bytes(b"cos\nmkdir\n(V" + str(tmp_path / "loaded").encode() + b"\ntR.")
    with pytest.raises(RenormError, match="wrong checksum .* nothing was trained on it"):
        data.prepare(name, tmp_path, tmp_path / "out")
    assert not (tmp_path / "loaded").exists()
    assert not (tmp_path / "out").exists()


def test_svhn_reads_the_digit_0_as_class_0(tmp_path, monkeypatch):
    """Its files number the classes 1 to 10, images last; 10 is the digit 0."""
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    rng, lists = np.random.default_rng(0), {}
    images = {split: rng.integers(0, 256, (32, 32, 3, 4), dtype=np.uint8) for split in ("train", "test")}
    for split, x in images.items():
        file = tmp_path / f"{split}_32x32.mat"
        savemat(file, {"X": x, "y": np.array([[10], [1], [9], [10]], np.uint8)})
        lists[split] = ["", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", lists)
    svhn = data.obtain("svhn", tmp_path, tmp_path / "out", download=False)
    for split in ("train", "test"):
        assert getattr(svhn, split).labels.tolist() == [0, 1, 9, 0]
        assert np.array_equal(getattr(svhn, split).images, images[split].transpose(3, 2, 0, 1))


def test_stl10_stands_upright_and_does_without_the_unlabelled(tmp_path, monkeypatch):
    """Its files hold columns first and classes from 1."""
    from torchvision.datasets import STL10

    folder, rng = tmp_path / "stl10_binary", np.random.default_rng(0)
    folder.mkdir()
    images = {split: rng.integers(0, 256, (3, 3, 96, 96), dtype=np.uint8) for split in ("train", "test")}
    for split, x in images.items():
        (folder / f"{split}_X.bin").write_bytes(x.transpose(0, 1, 3, 2).tobytes())
        (folder / f"{split}_y.bin").write_bytes(bytes([10, 1, 2]))
        found = [[f.name, hashlib.md5(f.read_bytes()).hexdigest()] for f in sorted(folder.glob(f"{split}_*"))]
        monkeypatch.setattr(STL10, f"{split}_list", [*found, ["unlabeled_X.bin", "0"]] if split == "train" else found)
    stl10 = data.obtain("stl10", tmp_path, tmp_path / "out", download=False)
    assert stl10.image_size == 96
    for split in ("train", "test"):
        assert getattr(stl10, split).labels.tolist() == [9, 0, 1]
        assert np.array_equal(getattr(stl10, split).images, images[split])


@pytest.fixture
def copy(prepared_digits, tmp_path):
    return shutil.copytree(prepared_digits / "digits", tmp_path / "digits")


def test_any_changed_byte_is_found(copy):
    """100 random changes to any of the three files: an error, or exactly the data as they were."""
    whole = data.open_prepared(copy, "digits")
    rng = random.Random(0)
    for _ in range(100):
        file = copy / rng.choice(["train.npz", "test.npz", "manifest.json"])
        good = file.read_bytes()
        bad = bytearray(good)
        at = rng.randrange(len(bad))
        if rng.random() < 0.3:
            del bad[at:]
        else:
            bad[at] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        try:
            read = data.open_prepared(copy, "digits")
        except RenormError as error:
            assert "\n" not in str(error)
        else:
            # White space of the manifest is all that may differ.
            assert file.name == "manifest.json"
            assert (read.mean, read.std, read.checksum) == (whole.mean, whole.std, whole.checksum)
        file.write_bytes(good)


def test_another_data_set_in_its_place_is_found(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    files.write_sealed(copy / "manifest.json", manifest | {"dataset": "cifar10"})
    with pytest.raises(RenormError, match="holds 'cifar10', not 'digits'"):
        data.open_prepared(copy, "digits")


def test_a_vanished_file_is_named(copy):
    (copy / "test.npz").unlink()
    with pytest.raises(RenormError, match=r"test.npz: cannot be read: No such file"):
        data.open_prepared(copy, "digits")


def test_what_is_not_prepared_names_the_command(copy):
    for folder in (copy, copy.parent / "nowhere"):
        (copy / "manifest.json").unlink(missing_ok=True)
        words = f"{folder}: data set digits is not prepared: `renorm prepare digits --out {folder}`"
        with pytest.raises(RenormError, match=re.escape(words)):
            data.open_prepared(folder, "digits")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "counts", "shape", "mean"),
    [
        # Means as commonly printed for these sets.
        ("cifar10", (50_000, 10_000), (3, 32, 32), (0.4914, 0.4822, 0.4465)),
        ("cifar100", (50_000, 10_000), (3, 32, 32), (0.5071, 0.4865, 0.4409)),
        ("mnist", (60_000, 10_000), (1, 28, 28), (0.1307,)),
        ("fashion_mnist", (60_000, 10_000), (1, 28, 28), (0.2860,)),
    ],
)
def test_real_data(tmp_path, name, counts, shape, mean):
    real = data.obtain(name, os.environ["RENORM_DATA"], tmp_path, download=False)
    assert (len(real.train.labels), len(real.test.labels)) == counts
    assert real.train.images.shape[1:] == shape
    np.testing.assert_allclose(real.mean, mean, atol=1e-4)
    assert np.bincount(real.test.labels).min() > 0
    assert len(np.bincount(real.test.labels)) == real.classes


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def test_mnist_without_archives_is_read(tmp_path, monkeypatch):
    """As torchvision accepts it: the four unpacked files alone, their checksums verified."""
    from renorm.data import torchvision_sets

    folder, rng = tmp_path / "MNIST/raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    arrays, sums = {}, {}
    for split, n in (("train", 5), ("t10k", 3)):
        arrays[split] = rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n).astype(np.uint8)
        for part, array in zip(("images-idx3-ubyte", "labels-idx1-ubyte"), arrays[split], strict=True):
            (folder / f"{split}-{part}").write_bytes(idx(array))
            sums["MNIST", f"{split}-{part}"] = hashlib.md5(idx(array)).hexdigest()
    with pytest.raises(RenormError, match="wrong checksum"):
        data.prepare("mnist", tmp_path, tmp_path / "out", download=False)
    monkeypatch.setattr(torchvision_sets, "UNPACKED", sums)
    mnist = data.obtain("mnist", tmp_path, tmp_path / "out", download=False)
    assert np.array_equal(mnist.train.images[:, 0], arrays["train"][0])
    assert mnist.test.labels.tolist() == arrays["t10k"][1].tolist()
