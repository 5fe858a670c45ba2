import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms

from renorm.data.batches import PADDING, Augmentation, DeviceSplit, evaluation_batch, memory_layout
from renorm.data.prepared import Split

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    return Split(rng.integers(0, 256, (50, 3, 32, 32), dtype=np.uint8), rng.integers(0, 10, 50))


def on_cpu(split, limit=None):
    return DeviceSplit(split, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), CPU, limit)


def test_crop_and_flip_equal_torchvisions_on_pil_images(split):
    """Image by image against torchvision's own functions with the offsets that were drawn."""
    device_split, draws = on_cpu(split), Augmentation.draw(50, seed=1, epoch=2, kind="crop_flip")
    x, y = device_split.augmented(draws, 10, 37)
    normalise = transforms.Normalize((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    for row in range(27):
        number = draws.order[10 + row]
        image = transforms.functional.pad(Image.fromarray(split.images[number].transpose(1, 2, 0)), PADDING)
        top, left = int(draws.top[10 + row]), int(draws.left[10 + row])
        image = transforms.functional.crop(image, top, left, 32, 32)
        if draws.flip[10 + row]:
            image = transforms.functional.hflip(image)
        torch.testing.assert_close(x[row], normalise(transforms.functional.to_tensor(image)), rtol=0, atol=2e-6)
        assert y[row] == split.labels[number]


def test_the_draws_have_torchvisions_distribution():
    draws = Augmentation.draw(200_000, seed=3, epoch=1, kind="crop_flip")
    for offsets in (draws.top, draws.left):
        counts = torch.bincount(offsets, minlength=9).double()
        assert len(counts) == 9
        # Chi-squared with 8 degrees of freedom: 26.1 is passed by chance once in a thousand.
        assert ((counts - 200_000 / 9) ** 2 / (200_000 / 9)).sum() < 26.1
    assert abs(draws.flip.double().mean() - 0.5) < 0.005
    pairs = torch.stack([draws.top.double(), draws.left.double(), draws.flip.double()])
    assert torch.corrcoef(pairs).fill_diagonal_(0).abs().max() < 0.01


def test_an_epoch_shows_every_image_once():
    draws = Augmentation.draw(1000, seed=3, epoch=1, kind="none")
    assert draws.order.sort().values.tolist() == list(range(1000))


def test_draws_follow_from_seed_and_epoch_alone():
    torch.manual_seed(0)
    first = Augmentation.draw(100, 1, 1, "crop_flip")
    torch.rand(17)
    again = Augmentation.draw(100, 1, 1, "crop_flip")
    for field in ("order", "top", "left", "flip"):
        assert torch.equal(getattr(first, field), getattr(again, field))
    for other in (Augmentation.draw(100, 2, 1, "crop_flip"), Augmentation.draw(100, 1, 2, "crop_flip")):
        for field in ("order", "top", "left", "flip"):
            assert not torch.equal(getattr(first, field), getattr(other, field))


@pytest.mark.parametrize("kind", ["none", "crop", "crop_flip"])
def test_each_kind_does_what_its_name_says(split, kind):
    draws = Augmentation.draw(50, 1, 1, kind)
    assert bool(draws.flip.any()) == (kind == "crop_flip")
    assert bool((draws.top != PADDING).any()) == (kind != "none")
    if kind == "none":
        x, _ = on_cpu(split).augmented(draws, 0, 50)
        torch.testing.assert_close(x, on_cpu(split).normalised(torch.from_numpy(split.images)[draws.order]))


def test_a_subset_is_the_first_images(split):
    small = on_cpu(split, limit=7)
    assert len(small) == 7
    assert torch.equal(small.images, torch.from_numpy(split.images[:7]))


def test_padding_is_black_before_normalisation():
    white = Split(np.full((1, 3, 32, 32), 255, np.uint8), np.zeros(1, np.int64))
    draws = Augmentation(*(torch.tensor([v]) for v in (0, 0, 0)), torch.tensor([False]))
    x, _ = on_cpu(white).augmented(draws, 0, 1)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    torch.testing.assert_close(x[0, :, 0, 0], -mean / std)
    torch.testing.assert_close(x[0, :, 4, 4], (1 - mean) / std)
    expected = F.pad(torch.ones(1, 28, 28), (4, 0, 4, 0))
    assert torch.equal((x[0, :1] > 0).float(), expected)


def test_batches_lie_as_the_device_likes_them(split):
    """With the channels of a pixel together on a CPU, which is not how they are stored."""
    ready = on_cpu(split)
    for images, _ in (ready.plain(0, 5), ready.augmented(ready.draw(1, 1, "crop_flip"), 0, 5)):
        assert images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    assert memory_layout(torch.device("cuda")) is torch.contiguous_format


def test_large_images_are_tested_in_smaller_batches_on_a_gpu(split):
    cuda = torch.device("cuda")
    sizes = {(28, 28): 2000, (32, 32): 2000, (64, 64): 500, (96, 96): 222, (224, 224): 40, (2000, 2000): 1}
    assert {size: evaluation_batch(*size, cuda) for size in sizes} == sizes
    # A processor's metrics are sums over batches: other batches would change their last digits.
    assert {evaluation_batch(*size, CPU) for size in sizes} == {on_cpu(split).evaluation_batch} == {500}
