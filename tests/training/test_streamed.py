"""Image files decoded while they are trained on: images, draws, damage, resume, and the networks of Table 2."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

from renorm import data
from renorm.core.errors import RenormError
from renorm.data import ImageFileOptions
from renorm.data.batches import derived_seed
from renorm.data.streamed import read_image
from renorm.study.cell import Cell
from renorm.study.config import Recipe
from renorm.training.job import Job, train
from renorm.training.trainer import Trainer

from ..data.trees import image_file, kaggle
from .cells import history_without_times, stop_after_each_step, without_times

CPU = torch.device("cpu")
FULL = os.environ.get("RENORM_FULL") == "1"
NORMALISE = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """12 training and 6 test images of about 50×40, to be seen at 32×32."""
    folder = tmp_path_factory.mktemp("images")
    data.prepare("imagenet", kaggle(folder / "raw"), folder / "imagenet", options=ImageFileOptions(True, image_size=32))
    return folder


def split(prepared, name="train", limit=None, workers=0):
    return data.on_device(data.open_prepared(prepared / "imagenet", "imagenet"), name, CPU, limit, workers)


def job(out, prepared, arch="tiny_vgg", norm="deconv", recipe=None, epochs=2, **more) -> Job:
    values = {"optimizer": {"lr": 0.01}, "batch_size": 4} | (recipe or {})
    cell = Cell("imagenet", arch, norm, "small", epochs, 1)
    return Job(cell, Recipe(**values).resolved(norm, arch), Path(out), Path("none"), prepared, device="cpu",
               download=False, quiet=True, **more)  # fmt: skip


def test_training_images_equal_torchvisions_classic_transforms(prepared):
    found = split(prepared)
    draws = found.draw(seed=1, epoch=2, kind="crop_flip")
    x, y = found.augmented(draws, 3, 10)
    steps = [transforms.RandomResizedCrop(32), transforms.RandomHorizontalFlip(), transforms.ToTensor(), NORMALISE]
    expected = ImageFolder(str(found.files.folder), transforms.Compose(steps))
    for row in range(3, 10):
        torch.manual_seed(derived_seed("picture", 1, 2, row))
        image, label = expected[int(draws.order[row])]
        torch.testing.assert_close(x[row - 3], image, rtol=0, atol=2e-6)
        assert y[row - 3] == label


def test_test_images_equal_torchvisions_classic_transforms(prepared):
    found = split(prepared, "test")
    x, y = found.plain(0, 6)
    steps = [transforms.Resize(37), transforms.CenterCrop(32), transforms.ToTensor(), NORMALISE]
    expected = list(ImageFolder(str(found.files.folder), transforms.Compose(steps)))
    torch.testing.assert_close(x, torch.stack([image for image, _ in expected]), rtol=0, atol=2e-6)
    assert y.tolist() == [label for _, label in expected]


def test_the_usual_size_is_cut_from_256():
    assert round(224 * data.streamed.MARGIN) == 256


@pytest.mark.parametrize("kind", ["crop_flip", "crop", "none"])
def test_workers_change_nothing(prepared, kind):
    """Nor do they draw from the generator that the network draws from."""
    one, several = split(prepared), split(prepared, workers=2)
    draws, rows = one.draw(5, 1, kind), [(0, 5), (5, 10), (10, 12)]
    state = torch.random.get_rng_state()
    for (start, stop), (x, y) in zip(rows, several.batches(draws, rows), strict=True):
        expected, labels = one.augmented(draws, start, stop)
        assert torch.equal(x, expected)
        assert torch.equal(y, labels)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_draws_follow_from_seed_epoch_and_row_alone(prepared):
    found = split(prepared)
    first, again = (found.draw(1, 1, "crop_flip") for _ in range(2))
    assert torch.equal(first.order, again.order)
    whole = found.augmented(first, 0, 12)[0]
    assert torch.equal(found.augmented(again, 5, 8)[0], whole[5:8])
    for other in (found.draw(2, 1, "crop_flip"), found.draw(1, 2, "crop_flip")):
        assert not torch.equal(other.order, first.order)
        same = replace(other, order=first.order)
        assert not torch.equal(found.augmented(same, 0, 12)[0], whole)


def test_a_subset_is_spread_over_the_classes(prepared):
    small = split(prepared, limit=6)
    assert len(small) == 6
    assert small.labels.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("P", "PNG"), ("LA", "PNG")]
)
def test_every_colour_model_becomes_rgb(tmp_path, mode, kind):
    """ImageNet has grey images, 22 in CMYK, and a PNG under the name of a JPEG."""
    path = tmp_path / "x.JPEG"
    Image.fromarray(np.full((8, 8), 77, np.uint8)).convert(mode).save(path, kind)
    image = read_image(path, path.stat().st_size)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - 77).max() <= 3


def damage(path: Path, kind: str) -> None:
    if kind == "truncated":
        # Of the same length, as a copy that broke off on a full disk may be.
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    elif kind == "another":
        path.write_bytes(path.read_bytes() + b"x")
    elif kind == "text":
        path.write_bytes(b"x" * path.stat().st_size)
    else:
        path.unlink()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("text", "cannot decode image"),
        ("another", "bytes and had"),
        ("gone", "cannot be read: No such file"),
    ],
)
def test_a_broken_image_is_one_line_that_names_it(tmp_path, kind, words, workers):
    raw = kaggle(tmp_path / "raw")
    data.prepare("imagenet", raw, tmp_path / "imagenet", options=ImageFileOptions(sample=True, image_size=32))
    path = raw / "ILSVRC/Data/CLS-LOC/train/n02102040/n02102040_2.JPEG"
    damage(path, kind)
    with pytest.raises(RenormError) as caught:
        train(job(tmp_path / "run", tmp_path, workers=workers))
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_image_is_found(tmp_path):
    path = image_file(tmp_path / "x.JPEG", 1)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RenormError, match="x.JPEG: cannot decode image .*[Tt]runcated"):
        read_image(path, len(content) // 2)


def test_a_killed_worker_is_one_line(tmp_path, prepared, monkeypatch):
    real_step = Trainer._train_step

    def step_and_kill(self, batch):
        real_step(self, batch)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    monkeypatch.setattr(Trainer, "_train_step", step_and_kill)
    with pytest.raises(RenormError, match="a process that decodes images was ended by the system") as caught:
        train(job(tmp_path, prepared, recipe={"batch_size": 1}, workers=1))
    assert "\n" not in str(caught.value)
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_told_from_other_errors():
    """On a GPU the thread that pins its batches ends first; the words are those of torch's DataLoader."""
    with pytest.raises(RenormError, match="a process that decodes images was ended"), data.workers_watched():
        raise RuntimeError("Pin memory thread exited unexpectedly")
    with pytest.raises(RuntimeError, match="another"), data.workers_watched():
        raise RuntimeError("another")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, prepared):
    out = tmp_path_factory.mktemp("whole")
    return out, train(job(out, prepared, workers=0))


def test_stopped_after_every_step(tmp_path, prepared, undisturbed, monkeypatch):
    """SIGTERM after each of 2 · 3 steps, decoded by workers ahead of the step: the run without either, bit for bit."""
    stop_after_each_step(monkeypatch)
    stops = 0
    while not (tmp_path / "run.json").exists():
        try:
            record = train(job(tmp_path, prepared, workers=1))
        except SystemExit as stop:
            assert stop.code == 128 + signal.SIGTERM
            stops += 1
        assert stops <= 7
    assert record.resumes == stops >= 5
    assert without_times(record) == without_times(undisturbed[1])
    assert history_without_times(tmp_path) == history_without_times(undisturbed[0])


def test_two_processes_share_the_images(tmp_path, prepared):
    one, two = (
        train(job(tmp_path / str(gpus), prepared, norm="none", epochs=1, gpus=gpus, threads=gpus, workers=1))
        for gpus in (1, 2)
    )
    for part in ("train", "test"):
        a, b = (run.metrics.final.splits[part] for run in (one, two))
        assert a.n == b.n
        assert a.values["loss"] == pytest.approx(b.values["loss"], rel=1e-5)


# What Table 2 of the original paper trains, for one step; the first alone unless everything is asked for.
TABLE_2 = [
    ("resnet18_imagenet", "deconv"), ("resnet18_imagenet", "batch_norm"), ("densenet121_imagenet", "deconv"),
    ("densenet121_imagenet", "batch_norm"), ("vgg11_imagenet", "deconv"), ("vgg11_imagenet", "batch_norm"),
    ("vgg11_imagenet", "none"),
]  # fmt: skip


@pytest.mark.parametrize(("arch", "norm"), TABLE_2 if FULL else TABLE_2[:1])
def test_the_networks_of_imagenet_take_a_step(tmp_path, prepared, arch, norm):
    """At 64×64: smaller, the deepest layers see a pixel each, and two images are no statistics."""
    options = ImageFileOptions(sample=True, image_size=64)
    data.prepare("imagenet", prepared / "raw", tmp_path / "imagenet", options=options)
    one_step = {"batch_size": 2, "train_images": 2, "test_images": 2, "norm": {"block_fc": 64}}
    record = train(job(tmp_path / "run", tmp_path, arch, norm, one_step, epochs=1, workers=0))
    assert record.status == "completed"
    assert record.metrics.final.splits["train"].n == 2


@pytest.mark.realdata
@pytest.mark.skipif(not FULL, reason="minutes of work: set RENORM_FULL=1")
@pytest.mark.parametrize(("arch", "norm"), TABLE_2)
def test_the_networks_of_imagenet_on_real_images(tmp_path, arch, norm):
    """Full size, all thousand classes."""
    data.prepare("imagenet", os.environ["RENORM_DATA"], tmp_path / "imagenet", options=ImageFileOptions(sample=True))
    one_step = {"batch_size": 4, "train_images": 4, "test_images": 10, "norm": {"block_fc": 64}}
    record = train(job(tmp_path / "run", tmp_path, arch, norm, one_step, epochs=1, workers=1, threads=2))
    assert record.status == "completed"
    assert record.metrics.final.splits["test"].n == 10
    assert record.data_sha256 == "c5dad6c70551aec2+e029ae81e42cd1ae"
