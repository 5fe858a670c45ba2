"""Layers and networks beside those of the authors' code (docs/fidelity.md), where RENORM_REFERENCE names a checkout.

    RENORM_REFERENCE=../deconvolution pytest tests/models/test_fidelity.py

All in float64, where both compute the same numbers in another order.
"""

import copy
import importlib
import importlib.util
import os
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from renorm.models import create
from renorm.norms import NormSpec, apply
from renorm.norms.registry import is_batch_norm
from renorm.training import optimizers, schedules

REFERENCE = os.environ.get("RENORM_REFERENCE")
pytestmark = pytest.mark.skipif(not REFERENCE, reason="needs a checkout of the authors' code: set RENORM_REFERENCE")

# architecture -> module and class of the authors' code, batch. One image in nine is a sample of a squeeze-and-excite
# layer's statistics: with a single sample the networks are chaotic, in both codes.
NETWORKS = {
    "vgg11": ("vgg", "VGG", 8),
    "vgg16": ("vgg", "VGG", 8),
    "resnet18": ("resnet", "ResNet18", 8),
    "preact_resnet18": ("preact_resnet", "PreActResNet18", 8),
    "densenet121": ("densenet", "DenseNet121", 8),
    "resnext29_32x4d": ("resnext", "ResNeXt29_32x4d", 8),
    "mobilenet_v2": ("mobilenetv2", "MobileNetV2", 8),
    "dpn92": ("dpn", "DPN92", 8),
    "pnasnet_a": ("pnasnet", "PNASNetA", 8),
    "senet18": ("senet", "SENet18", 32),
    "efficientnet_b0": ("efficientnet", "EfficientNetB0", 8),
}
STEPS, RATE = 3, 0.1


def original(module: str):
    """A module of the authors' package of networks, imported under another name."""
    if "reference_models" not in sys.modules:
        path = Path(REFERENCE) / "models"
        spec = importlib.util.spec_from_file_location(
            "reference_models", path / "__init__.py", submodule_search_locations=[str(path)]
        )
        sys.modules["reference_models"] = package = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(package)
    return importlib.import_module(f"reference_models.{module}")


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.sampled_from([1, 3, 5]), stride=st.integers(1, 2), dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 1, 4, 8]), width=st.integers(1, 4), block=st.sampled_from([2, 8, 64]),
    sampling=st.integers(1, 3), iterations=st.sampled_from([1, 3, 5, 10]), batch=st.integers(1, 6),
    size=st.integers(9, 12),
)  # fmt: skip
def test_a_convolution(kernel, stride, dilation, groups, width, block, sampling, iterations, batch, size):
    torch.manual_seed(0)
    channels, padding = 8 * width, kernel // 2
    theirs = original("deconv").FastDeconv(
        channels, 16, kernel, stride, padding, dilation, groups, block=block, sampling_stride=sampling,
        n_iter=iterations,
    ).double()  # fmt: skip
    plain = nn.Conv2d(channels, 16, kernel, stride, padding, dilation, groups).double()
    with torch.no_grad():
        plain.weight.copy_(theirs.weight)
        plain.bias.copy_(theirs.bias)
    spec = NormSpec("deconv", block=block, sampling_stride=sampling, iterations=iterations)
    same_layer(apply(plain, spec), theirs, torch.randn(batch, channels, size, size).relu().double())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([12, 32, 48]), st.sampled_from([8, 32, 512]), st.integers(2, 60), st.sampled_from([1, 5, 10]))
def test_a_linear_layer(features, block, batch, iterations):
    torch.manual_seed(0)
    theirs = original("deconv").Delinear(features, 10, block=block, n_iter=iterations).double()
    plain = nn.Linear(features, 10).double()
    with torch.no_grad():
        plain.weight.copy_(theirs.weight)
        plain.bias.copy_(theirs.bias)
    ours = apply(plain, NormSpec("deconv", block_fc=block, iterations=iterations))
    same_layer(ours, theirs, torch.randn(batch, features).relu().double())


def same_layer(ours, theirs, x):
    """Output, gradients and running values of a training step, and the output of an evaluation after it."""
    outputs, gradients = [], []
    for layer in (ours, theirs):
        leaf = x.clone().requires_grad_()
        out = layer(leaf)
        out.square().mean().backward()
        outputs.append(out)
        gradients.append((leaf.grad, layer.weight.grad, layer.bias.grad))
    close(*outputs)
    for pair in zip(*gradients, strict=True):
        close(*pair)
    close(ours.running_mean.flatten(), theirs.running_mean.flatten())
    close(ours.running_deconv, theirs.running_deconv)
    close(ours.eval()(x), theirs.eval()(x))


def close(ours, theirs):
    assert ours.shape == theirs.shape
    assert (ours - theirs).norm() <= 1e-8 * theirs.norm() + 1e-12


def network(arch: str, deconvolved: bool) -> nn.Module:
    """The authors' network with the settings of main.py and of their README's commands."""
    module, name, _ = NETWORKS[arch]
    layers = original("deconv")
    options = {"num_classes": 10, "deconv": None, "delinear": None, "channel_deconv": None}
    if deconvolved:
        settings = {"bias": True, "eps": 1e-5, "n_iter": 5}
        options["deconv"] = partial(layers.FastDeconv, block=64, sampling_stride=3, **settings)
        options["delinear"] = partial(layers.Delinear, block=512, **settings)
    build = getattr(original(module), name)
    return build(arch.upper(), **options) if module == "vgg" else build(**options)


def convolutions_in_order(model: nn.Module, x: torch.Tensor) -> list[nn.Module]:
    """Convolutions and linear layers in the order of their first call."""
    found: list[nn.Module] = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, _: None if layer in found else found.append(layer))
        for layer in model.modules()
        if hasattr(layer, "weight") and not is_batch_norm(layer)
    ]
    with torch.no_grad():
        copy_of_buffers = copy.deepcopy(model.state_dict())
        model(x)
        model.load_state_dict(copy_of_buffers)
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
def take_over(ours: nn.Module, theirs: nn.Module, x: torch.Tensor) -> None:
    """Our weights and biases in their layers, matched by shape in the order of execution."""
    left = convolutions_in_order(ours, x)
    for layer in convolutions_in_order(theirs, x):
        match = next(other for other in left if other.weight.shape == layer.weight.shape)
        left.remove(match)
        layer.weight.copy_(match.weight)
        if layer.bias is not None:
            layer.bias.copy_(match.bias)
        assert (layer.bias is None) == (match.bias is None)
        assert getattr(layer, "n_iter", None) == getattr(match, "iterations", None)
        assert getattr(layer, "freeze", False) == getattr(match, "freeze", False)
    assert not left
    for layer in (*ours.modules(), *theirs.modules()):
        if hasattr(layer, "counter"):  # the passes that found the order do not count
            layer.counter = 0 if isinstance(layer.counter, int) else layer.counter
            if hasattr(layer, "steps"):
                layer.steps.zero_()


@pytest.mark.parametrize("deconvolved", [False, True], ids=["BN", "ND"])
@pytest.mark.parametrize("arch", NETWORKS)
def test_losses_of_three_steps(arch, deconvolved):
    """With the published optimiser and schedule, and the loss of an evaluation after them."""
    torch.manual_seed(0)
    batch = NETWORKS[arch][2]
    norm = ("deconv_stem" if arch == "efficientnet_b0" else "deconv") if deconvolved else "batch_norm"
    ours, theirs = create(arch, norm, 10).double().train(), network(arch, deconvolved).double().train()
    batches = [(torch.randn(batch, 3, 32, 32).double(), torch.randint(10, (batch,))) for _ in range(STEPS)]
    take_over(ours, theirs, batches[0][0])
    mine = optimizers.create(ours.parameters(), {"name": "sgd", "lr": RATE, "momentum": 0.9, "weight_decay": 1e-3})
    other = torch.optim.SGD(theirs.parameters(), RATE, momentum=0.9, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(other, 10)
    for step, (x, y) in enumerate(batches):
        mine.lr = schedules.learning_rate(RATE, "cosine", step, 10, 10)
        found = []
        for model, optimizer in ((ours, mine), (theirs, other)):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        schedule.step()
        assert found[0] == pytest.approx(found[1], rel=1e-6), step
    with torch.no_grad():
        x, y = batches[0]
        ours.eval(), theirs.eval()
        assert F.cross_entropy(ours(x), y).item() == pytest.approx(F.cross_entropy(theirs(x), y).item(), rel=1e-6)
