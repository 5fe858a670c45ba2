"""The way by eigenvalues against the textbook's iteration, and when it is taken."""

import pytest
import torch
from torch import nn

from renorm.norms import apply, newton_schulz, spectral

from . import oracle
from .test_deconv import distance, inputs

torch.set_num_threads(1)


def truth(a, rows, grad, iterations):
    a = a.clone().requires_grad_()
    d = oracle.inverse_square_root(a, iterations)
    (gradient,) = torch.autograd.grad(rows @ d, a, grad)
    return d.detach(), (gradient + gradient.mT) / 2


def computed(form, a, rows, grad, iterations):
    d, saved = form.forward(a, iterations)
    return d, form.backward(a, saved, rows, grad, ((grad @ d) * rows).sum((-2, -1), keepdim=True))


@pytest.mark.parametrize("iterations", [1, 2, 5, 15])
@pytest.mark.parametrize(("features", "rows"), [(150, 20), (150, 400), (320, 64)])
def test_both_ways_are_the_textbook_s(features, rows, iterations):
    x = inputs((features, 4 * features), torch.float64)
    x -= x.mean(1, keepdim=True)
    a = x @ x.T / x.shape[1] + 1e-5 * torch.eye(features, dtype=torch.float64)
    w, g = (torch.randn(rows, features, dtype=torch.float64) for _ in range(2))
    expected = truth(a, w, g, iterations)
    textbook = truth(a.float(), w.float(), g.float(), iterations)
    for form in (newton_schulz, spectral):
        double = computed(form, a, w, g, iterations)
        single = computed(form, a.float(), w.float(), g.float(), iterations)
        for value, mine, low, other in zip(expected, double, single, textbook, strict=True):
            assert distance(mine, value) < 1e-9, form.__name__
            assert distance(low, value) <= max(1.5 * distance(other, value), 3e-6), form.__name__


def test_equal_eigenvalues_divide_nothing_by_zero():
    a, g = 2.0 * torch.eye(140, dtype=torch.float64), torch.randn(140, 140, dtype=torch.float64)
    expected = truth(a, torch.eye(140, dtype=torch.float64), g, 5)
    for value, mine in zip(expected, computed(spectral, a, torch.eye(140, dtype=torch.float64), g, 5), strict=True):
        torch.testing.assert_close(mine, value)


def test_it_is_taken_for_large_matrices_on_a_cpu_that_are_finite():
    a = torch.eye(128)
    assert spectral.pays(a, 5)
    assert not spectral.pays(a, 4)
    assert not spectral.pays(torch.eye(127), 5)
    assert not spectral.pays(a.expand(2, 128, 128), 5)
    assert not spectral.pays(a.to("meta"), 5)
    assert not spectral.pays(a * torch.nan, 5)


def test_a_wide_layer_survives_a_bad_batch():
    layer = apply(nn.Linear(130, 3), "deconv")
    layer(torch.randn(600, 130))
    before = layer.running_deconv.clone()
    assert layer(torch.full((600, 130), torch.inf)).isnan().all()
    assert torch.equal(layer.running_deconv, before)
