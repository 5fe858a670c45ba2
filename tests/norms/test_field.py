"""The other normalisers against plain versions."""

import pytest
import torch
from torch import nn

from renorm.core.errors import RenormError
from renorm.norms import NormSpec, apply


def put(name, channels, **settings):
    return apply(nn.Sequential(nn.BatchNorm2d(channels)), NormSpec(name, **settings)).double()[0]


def correlated(n, c, h=6, w=5):
    x = torch.randn(n, c, h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x + 0.5 * x.roll(1, 1) + 0.3


def grouped(x, size):
    return x.transpose(0, 1).reshape(-1, size, x.shape[0] * x[0, 0].numel())


def test_batch_norm_is_torch_s():
    layer = nn.BatchNorm2d(4)
    assert apply(nn.Sequential(layer), "batch_norm")[0] is layer
    assert isinstance(apply(nn.Sequential(layer), "none")[0], nn.Identity)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (96, 32), (48, 16), (32, 8), (3, 1)])
def test_group_norm(channels, groups):
    x = correlated(2, channels)
    torch.testing.assert_close(put("group_norm", channels)(x), nn.functional.group_norm(x, groups))


def test_layer_and_instance_norm():
    x = correlated(2, 6)
    torch.testing.assert_close(put("layer_norm", 6)(x), nn.functional.layer_norm(x, x.shape[1:]))
    torch.testing.assert_close(put("instance_norm", 6)(x), nn.functional.instance_norm(x))
    vector = torch.randn(3, 6, 1, 1, dtype=torch.float64)
    assert torch.equal(put("instance_norm", 6)(vector), vector)


def test_decorrelated_bn_is_zca():
    layer, x = put("decorrelated_bn", 32), correlated(8, 32)
    samples = grouped(x, 16)
    centred = samples - samples.mean(-1, keepdim=True)
    covariance = centred @ centred.mT / centred.shape[-1] + 1e-5 * torch.eye(16, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors @ torch.diag_embed(values**-0.5) @ vectors.mT
    torch.testing.assert_close(grouped(layer(x), 16), root @ centred)
    torch.testing.assert_close(layer.running_whitening, 0.9 * torch.eye(16, dtype=torch.float64) + 0.1 * root)
    torch.testing.assert_close(layer.running_mean, 0.1 * samples.mean(-1, keepdim=True))
    expected = layer.running_whitening @ (samples - layer.running_mean)
    torch.testing.assert_close(grouped(layer.eval()(x), 16), expected)


def test_decorrelated_bn_whitens():
    out = grouped(put("decorrelated_bn", 16)(correlated(50, 16)), 16)[0]
    torch.testing.assert_close(out @ out.T / out.shape[1], torch.eye(16, dtype=torch.float64), rtol=1e-3, atol=1e-3)


def test_iterative_norm_is_its_recurrence():
    layer, x = put("iterative_norm", 24, block=8), correlated(8, 24)
    samples = grouped(x, 8)
    expected = []
    for group in samples:
        centred = group - group.mean(-1, keepdim=True)
        covariance = centred @ centred.T / centred.shape[1] + 1e-5 * torch.eye(8, dtype=torch.float64)
        p = torch.eye(8, dtype=torch.float64)
        for _ in range(5):
            p = 0.5 * (3 * p - p @ p @ p @ (covariance / covariance.trace()))
        expected.append(p / covariance.trace().sqrt() @ centred)
    torch.testing.assert_close(grouped(layer(x), 8), torch.stack(expected))


def test_switchable_whitening_is_its_mixture():
    layer, x = put("switchable_whitening", 8, block=4, iterations=5), correlated(3, 8)
    with torch.no_grad():
        layer.mean_mix.copy_(torch.tensor([1.0, 0.2, -0.3, 0.5, 0.1]))
        layer.covariance_mix.copy_(torch.tensor([0.1, 0.4, 0.3, -0.5, 0.7]))
    a, b = layer.mean_mix.softmax(0), layer.covariance_mix.softmax(0)
    eye, out = torch.eye(4, dtype=torch.float64), torch.empty_like(x)
    for n in range(3):
        for g in range(2):
            batch = x[:, 4 * g : 4 * g + 4].transpose(0, 1).flatten(1)
            own, everything = x[n, 4 * g : 4 * g + 4].flatten(1), x[n].flatten()
            means = [m.mean(1, keepdim=True) for m in (batch, own, batch, own)] + [everything.mean()]
            full = [torch.cov(s, correction=0) + 1e-5 * eye for s in (batch, own)]
            layer_part = (everything.var(correction=0) + 1e-5) * eye
            parts = [*full, full[0] * eye, full[1] * eye, layer_part]
            mean, sigma = (sum(w * p for w, p in zip(m, q, strict=True)) for m, q in ((a, means), (b, parts)))
            p = eye
            for _ in range(5):
                p = 0.5 * (3 * p - p @ p @ p @ (sigma / sigma.trace()))
            out[n, 4 * g : 4 * g + 4] = (p / sigma.trace().sqrt() @ (own - mean)).view(4, *x.shape[2:])
    torch.testing.assert_close(layer(x), out)
    assert layer.eval()(x).isfinite().all()


@pytest.mark.parametrize("name", ["decorrelated_bn", "iterative_norm", "switchable_whitening"])
def test_gradients(name):
    layer = put(name, 4, block=4)
    x = correlated(3, 4, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["decorrelated_bn", "iterative_norm", "switchable_whitening"])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
def test_degenerate_input_stays_finite(name, scale):
    layer = put(name, 32).float()
    x = (torch.randn(4, 32, 3, 3) * scale).requires_grad_()
    out = layer(x)
    out.square().mean().backward()
    assert out.isfinite().all()
    assert x.grad.isfinite().all()
    assert all(t.isfinite().all() for t in layer.state_dict().values())


@pytest.mark.parametrize("name", ["decorrelated_bn", "iterative_norm", "switchable_whitening"])
@pytest.mark.parametrize("bad", [torch.inf, torch.nan])
def test_a_batch_that_is_not_finite_makes_the_loss_nan_and_spoils_nothing_else(name, bad):
    """As the loop expects of a run that diverges; the running statistics stay."""
    layer = put(name, 32)
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    x = correlated(4, 32)
    x[1, 20, 0, 0] = bad
    x.requires_grad_()
    loss = layer(x).square().mean()
    loss.backward()
    assert loss.isnan()
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("name", ["decorrelated_bn", "iterative_norm", "switchable_whitening"])
@pytest.mark.parametrize(("shape", "message"), [((0, 8, 3, 3), "empty batch"), ((2, 7, 3, 3), r"expected \(N, 8, …\)")])
def test_inputs_without_statistics_are_one_readable_error(name, shape, message):
    with pytest.raises(RenormError, match=message):
        put(name, 8).float()(torch.randn(shape))


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["decorrelated_bn", "iterative_norm", "switchable_whitening"])
def test_a_gpu_does_the_same(name):
    found = []
    for device in ("cpu", "cuda"):
        layer, x = put(name, 32).to(device), correlated(8, 32).to(device).requires_grad_()
        out = layer(x)
        out.pow(3).mean().backward()
        found.append([tensor.detach().cpu() for tensor in (out, x.grad, *layer.state_dict().values())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)
