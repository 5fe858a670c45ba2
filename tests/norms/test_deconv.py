"""The deconvolved layers against the textbook version in oracle.py."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from renorm.norms import NormSpec, apply

from . import oracle

torch.set_num_threads(1)


def ours(layer, x, cotangent, spec):
    """Output, gradients and buffers of our layer after one training step."""
    twin = apply(copy.deepcopy(layer), spec)
    x = x.clone().requires_grad_()
    out = twin(x)
    out.backward(cotangent)
    return twin, {
        "out": out.detach(),
        "x": x.grad,
        "weight": twin.weight.grad,
        "bias": twin.bias.grad,
        "running_mean": twin.running_mean,
        "running_deconv": twin.running_deconv,
    }


def textbook(layer, x, cotangent, spec):
    """The same by the oracle; buffers shaped as ours."""
    x = x.clone().requires_grad_()
    weight, bias = layer.weight.detach().clone().requires_grad_(), layer.bias.detach().clone().requires_grad_()
    if isinstance(layer, nn.Linear):
        block = oracle.block_of(layer.in_features, spec.block_fc)
        mean, d = oracle.statistics(x.reshape(1, -1, block), spec.eps, spec.iterations)
        out = oracle.linear(x, weight, bias, mean, d)
    else:
        only = spec.name == "channel_deconv"
        samples = oracle.conv_samples(
            x, layer, oracle.block_of(layer.in_channels, spec.block), spec.sampling_stride, only
        )
        mean, d = oracle.statistics(samples, spec.eps, spec.iterations)
        out = oracle.conv2d(x, weight, bias, layer, mean, d, only)
    out.backward(cotangent)
    mean, d = mean.detach(), d.detach()
    running_mean = spec.momentum * mean[..., None]
    running_deconv = (1 - spec.momentum) * torch.eye(d.shape[-1], dtype=d.dtype) + spec.momentum * d
    if len(d) == 1:
        running_mean, running_deconv = running_mean[0], running_deconv[0]
    return {
        "out": out.detach(),
        "x": x.grad,
        "weight": weight.grad,
        "bias": bias.grad,
        "running_mean": running_mean,
        "running_deconv": running_deconv,
    }


def inputs(shape, dtype, seed=0):
    """Correlated, off-centre values, as a ReLU network's are."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    if len(shape) == 4:
        x = x.cumsum(2) * 0.3 + x.cumsum(1) * 0.3 + x
    return (x + 0.5).relu().to(dtype)


def distance(a, b):
    """‖a − b‖ relative to ‖b‖."""
    return ((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30)).item()


def check(layer, shape, spec, floor=3e-6):
    """float64 equal to 1e-9; float32 no further from float64 than 1.5 times the textbook's own float32."""
    layer = layer.double()
    x = inputs(shape, torch.float64)
    cotangent = torch.randn(layer(x).shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    truth = textbook(layer, x, cotangent, spec)
    _, mine = ours(layer, x, cotangent, spec)
    for key, value in truth.items():
        assert mine[key].dtype == torch.float64
        assert distance(mine[key], value) < 1e-9, key
    single = copy.deepcopy(layer).float()
    low = textbook(single, x.float(), cotangent.float(), spec)
    _, mine = ours(single, x.float(), cotangent.float(), spec)
    for key, value in truth.items():
        assert mine[key].dtype == torch.float32
        assert distance(mine[key], value) <= max(1.5 * distance(low[key], value), floor), key


CONVS = [
    # in, out, kernel, stride, padding, dilation, groups
    (3, 8, 3, 1, 1, 1, 1),
    (6, 8, 3, 1, 1, 1, 1),
    (64, 16, 1, 1, 0, 1, 1),
    (128, 8, 1, 2, 0, 1, 1),
    (96, 8, 1, 1, 0, 1, 1),
    (80, 8, 3, 1, 1, 1, 1),
    (8, 8, 3, 2, 1, 1, 1),
    (4, 30, 5, 1, 2, 1, 1),
    (4, 6, 5, 2, 2, 1, 1),
    (3, 8, 7, 2, 3, 1, 1),
    (4, 4, 3, 1, 2, 2, 1),
    (4, 4, 3, 1, 3, 3, 1),
    (4, 4, (1, 3), (2, 1), (0, 1), 1, 1),
    (64, 64, 3, 1, 1, 1, 32),
    (64, 128, 3, 2, 1, 1, 32),
    (16, 16, 3, 1, 1, 1, 16),
    (16, 32, 7, 2, 3, 1, 16),
    (32, 32, 1, 1, 0, 1, 32),
    (12, 12, 1, 1, 0, 1, 4),
    (2, 5, 8, 1, 0, 1, 1),
]


@pytest.mark.parametrize("iterations", [5, 15])
@pytest.mark.parametrize("name", ["deconv", "channel_deconv"])
@pytest.mark.parametrize("config", CONVS, ids=str)
def test_conv_is_the_textbook_s(config, name, iterations):
    torch.manual_seed(0)
    c, out, k, stride, padding, dilation, groups = config
    layer = nn.Conv2d(c, out, k, stride, padding, dilation, groups)
    check(layer, (7, c, 11, 10) if k != 8 else (7, c, 8, 8), NormSpec(name, iterations=iterations))


@pytest.mark.parametrize("iterations", [1, 2, 5, 15])
@pytest.mark.parametrize(("features", "block"), [(24, 512), (48, 16), (20, 8)])
def test_linear_is_the_textbook_s(features, block, iterations):
    torch.manual_seed(0)
    check(nn.Linear(features, 7), (40, features), NormSpec("deconv", block_fc=block, iterations=iterations))
    check(nn.Linear(features, 90), (5, 4, features), NormSpec("deconv", block_fc=block, iterations=iterations))


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 1, 2, 4]),
    width=st.integers(1, 3),
    size=st.tuples(st.integers(7, 12), st.integers(7, 12)),
    batch=st.integers(1, 5),
    block=st.integers(1, 6),
    sampling=st.integers(1, 4),
    iterations=st.integers(1, 6),
    name=st.sampled_from(["deconv", "channel_deconv"]),
)
def test_any_shape_is_the_textbook_s(
    kernel, stride, padding, dilation, groups, width, size, batch, block, sampling, iterations, name
):
    torch.manual_seed(0)
    layer = nn.Conv2d(groups * width, 2 * groups, kernel, stride, padding, dilation, groups)
    if groups > 1:
        block = width
    spec = NormSpec(name, block=block, sampling_stride=sampling, iterations=iterations)
    check(layer, (batch, groups * width, *size), spec)
