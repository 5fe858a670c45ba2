"""What will run on a GPU, on fake CUDA tensors: they compute shapes and devices only, and need no GPU.

Any operation that mixes devices, and any that makes the host wait for a value of the device, raises. torch's backward
engine does not run on them: the gradients written by hand are called themselves.
"""

import os

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from renorm.data.batches import DeviceSplit
from renorm.data.prepared import Split
from renorm.models import build, create, describe, list_archs
from renorm.norms import NormSpec, apply, keep_folded, list_norms, running_together
from renorm.norms.decorrelated_bn import InverseRoot
from renorm.norms.few_samples import CentredSamples
from renorm.norms.patches import Features, Patches, Pixels
from renorm.norms.whitening import FoldMean, PatchMean, PatchStats, WhitenRows
from renorm.training import losses, optimizers
from renorm.training.trainer import Trainer

CUDA = torch.device("cuda", 0)
# A fake operation takes a millisecond of the CPU: the large networks, of the same layers, with RENORM_FULL=1
QUICK = ("linear", "mlp", "simple_cnn", "tiny_vgg", "tiny_resnet", "pnasnet_a")
ARCHS = list_archs() if os.environ.get("RENORM_FULL") == "1" else QUICK


@pytest.fixture
def fake():
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


def image_split(n=12, size=16):
    images = np.zeros((n, 3, size, size), np.uint8)
    return Split(images, np.zeros(n, np.int64))


def on_gpu(*shape, **options):
    return torch.randn(*shape, device=CUDA, **options)


def require_gpu(*tensors):
    assert tensors and all(tensor.device == CUDA for tensor in tensors)


def test_a_wait_of_the_host_and_mixed_devices_are_found(fake):
    with pytest.raises(DataDependentOutputException):
        on_gpu(3).sum().item()
    with pytest.raises(RuntimeError, match=r"(?i)device"):
        on_gpu(3) + torch.randn(3)


@pytest.mark.parametrize("augment", ["crop_flip", "crop", "none"])
def test_batches(fake, augment):
    split = DeviceSplit(image_split(), (0.5,) * 3, (0.2,) * 3, CUDA)
    draws = split.draw(1, 2, augment)
    for batch in (split.augmented(draws, 4, 9), split.plain(0, 5)):
        require_gpu(*batch)
        assert batch[0].shape == (5, 3, 16, 16) and batch[0].is_contiguous()


@torch.no_grad()
def forward(model, shape, classes):
    """The forward pass of a training step, and that of an evaluation."""
    with running_together():
        logits = model.train()(on_gpu(*shape))
    assert logits.shape == (shape[0], classes)
    require_gpu(logits, *model.state_dict().values())
    for layer in model.modules():
        layer._constant = None  # the one value that is waited for, once an epoch: whether an input was constant
    model.eval()
    with keep_folded(model):
        require_gpu(model(on_gpu(*shape)))


@pytest.mark.parametrize("arch", ARCHS)
def test_every_network(fake, arch):
    size = max(describe(arch).min_size, 16)
    with CUDA:
        model = create(arch, "deconv", 10, size, 3)
    forward(model, (4, 3, size, size), 10)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("norm", list_norms())
def test_every_normaliser(fake, norm, frozen):
    if frozen and norm not in ("deconv", "deconv_every"):
        pytest.skip("freezes nothing, or as deconv does")
    with CUDA:
        model = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, 2, groups=8),
            nn.BatchNorm2d(32), nn.Conv2d(32, 96, 1), nn.BatchNorm2d(96), nn.Conv2d(96, 1536, 7), nn.Flatten(),
            nn.BatchNorm1d(1536), nn.Linear(1536, 10),
        )  # fmt: skip
        model = apply(model, NormSpec(norm, overrides={"3": {"freeze": frozen}}))
    if frozen:
        model[3].counter._value = 500
    forward(model, (4, 3, 16, 16), 10)


class Context:
    """What autograd hands to a hand-written gradient."""

    def __init__(self, *needed: bool):
        self.needs_input_grad = needed

    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors):
        pass

    def set_materialize_grads(self, value):
        pass


def backward(function, *arguments):
    """Forward and backward of `function`; the gradients of its tensors."""
    context = Context(*(isinstance(argument, torch.Tensor) for argument in arguments))
    with torch.no_grad():
        out = function.forward(context, *arguments)
        out = out if isinstance(out, tuple) else (out,)
        grads = function.backward(context, *(torch.empty_like(tensor) for tensor in out))
    pairs = [(a, g) for a, g in zip(arguments, grads if isinstance(grads, tuple) else (grads,), strict=True)
             if isinstance(a, torch.Tensor)]  # fmt: skip
    assert all(grad.shape == argument.shape for argument, grad in pairs)
    require_gpu(*out, *(grad for _, grad in pairs))


SAMPLERS = [Patches((3, 3), (3, 3), (1, 1), (1, 1)), Patches((3, 3), (2, 2), (0, 0), (1, 1)), Pixels(9)]


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_gradients_of_the_statistics(fake, sampler, groups):
    taps = 1 if isinstance(sampler, Pixels) else 9
    for dtype in (torch.float32, torch.bfloat16):
        x = on_gpu(4, 16, 12, 12, dtype=dtype)
        backward(PatchStats, x, sampler, groups, 16 * taps // (groups if groups > 1 else 2), 1e-5, False)
        backward(PatchMean, x, sampler, groups, 16 * taps // groups)
    backward(CentredSamples, x, sampler, 16 * taps, False)
    backward(PatchStats, on_gpu(12, 32), Features(16), 1, 16, 1e-5, False)


@pytest.mark.parametrize("groups", [(), (4,)])
def test_gradients_of_the_whitening(fake, groups):
    for iterations in (1, 2, 5):
        backward(WhitenRows, on_gpu(*groups, 18, 18), on_gpu(*groups, 5, 18), iterations)
    backward(InverseRoot, on_gpu(*groups, 8, 8))


@pytest.mark.parametrize(("channels", "groups", "kernel"), [(16, 1, 3), (128, 1, 1), (128, 1, 3), (16, 4, 3)])
def test_gradients_of_the_folded_weight(fake, channels, groups, kernel):
    layer = apply(nn.Conv2d(channels, 8, kernel, groups=groups, device=CUDA), "deconv")
    rows = layer._to_rows(layer.weight.detach())
    backward(FoldMean, rows, layer.running_mean, layer.bias.detach(), layer)


@pytest.mark.parametrize("kind", ["cross_entropy", "mse"])
@pytest.mark.parametrize(
    "options",
    [
        {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
        {"name": "adam", "lr": 1e-3, "weight_decay": 0.0},
    ],
    ids=lambda options: options["name"],
)
def test_loss_metrics_and_update(fake, options, kind):
    with CUDA:
        model = build("tiny_vgg", 10)
    optimizer = optimizers.create(model.parameters(), options)
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
    if options["name"] == "adam":  # of the fused update of SGD torch has no fake form
        optimizer.step()
    logits, y = on_gpu(8, 10), torch.randint(10, (8,), device=CUDA)
    loss = losses.loss(kind, logits, y)
    sums = torch.zeros(4, dtype=torch.float64, device=CUDA)
    trainer = Trainer.__new__(Trainer)
    trainer.step = 3
    trainer._count(sums, logits, y, loss)
    require_gpu(loss, sums, *model.parameters(), *(t for ts in optimizer.state_dict().values() for t in ts))
