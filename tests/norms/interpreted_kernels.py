"""The Triton kernels in Triton's interpreter, on the CPU: test_kernels.py runs this file in a process of its own.

Triton must be imported after TRITON_INTERPRET is set, and what it defines then is of no use for anything else.
"""

import random

import pytest
import torch
from torch import nn

from renorm.norms import NormSpec, apply, kernels, newton_schulz, products, triton_iteration

from .test_deconv import inputs

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def deep_tiles(monkeypatch):
    monkeypatch.setattr(triton_iteration, "DEPTH", 64)  # fewer tiles to interpret; 16 is tested below


def case(seed: int) -> tuple[int, int, int, int]:
    """Matrices, features, steps and rows of the weight."""
    choose = random.Random(seed)
    size = choose.choice([1, 2, 7, 9, 15, 16, 17, 25, 32, 33, 49, 64, 65])
    return choose.randint(1, 3) if size < 40 else 1, size, 1 + seed % 4, choose.randint(1, 40)


@pytest.mark.parametrize("seed", range(8))
def test_value_and_gradient_are_those_of_the_torch_form(seed):
    matrices, size, steps, m = case(seed)
    torch.manual_seed(seed)
    samples = torch.randn(matrices, size, 2 * size + 3, dtype=torch.float64)
    a = samples @ samples.mT / samples.shape[-1] + 1e-3 * torch.eye(size, dtype=torch.float64)
    rows, grad = torch.randn(2, matrices, m, size, dtype=torch.float64)
    if matrices == 1:
        a, rows, grad = a[0], rows[0], grad[0]
    d, saved = newton_schulz.forward(a, steps)
    inner = newton_schulz.frobenius_product(grad @ d, rows)
    slope = newton_schulz.backward(a, saved, rows, grad, inner)
    found, kept = kernels.forward(a.float(), steps)
    found_slope = kernels.backward(a.float(), kept, rows.float(), grad.float())
    close(found, d)
    close(found_slope, slope)
    assert torch.equal(found_slope, found_slope.mT)  # PatchStats relies on it


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def test_the_depth_of_a_tile_changes_rounding_only(monkeypatch):
    monkeypatch.setattr(triton_iteration, "DEPTH", 16)
    assert max(kernels.differences(torch.device("cpu"), 20, 2)) < 1e-5


def test_what_is_not_finite_stays_so():
    a = torch.eye(5)
    a[1, 2] = a[2, 1] = torch.nan
    assert kernels.forward(a, 2)[0].isnan().all()


@pytest.mark.parametrize("conv", [nn.Conv2d(24, 8, 1), nn.Conv2d(4, 8, 3, padding=1, groups=2)], ids=str)
def test_a_layer_s_step_is_that_of_the_torch_form(conv, monkeypatch):
    monkeypatch.setattr(products, "NO_LAUNCHES", frozenset())
    results = []
    for wanted in (True, False):
        monkeypatch.setattr(kernels, "pays", lambda a, iterations, wanted=wanted: wanted)
        layer = apply(nn.Sequential(conv), NormSpec("deconv", block=12, iterations=3))
        x = inputs((6, conv.in_channels, 9, 9), torch.float32).requires_grad_()
        out = layer(x)
        out.square().sum().backward()
        results.append([out, x.grad, layer[0].weight.grad, layer[0].bias.grad, layer[0].running_deconv])
        layer.zero_grad()
    for kernel, torch_form in zip(*results, strict=True):
        close(kernel, torch_form)
