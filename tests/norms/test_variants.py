"""The relatives of network deconvolution, step by step against versions written with the oracle's plain functions."""

import copy

import pytest
import torch
from torch import nn

from renorm.norms import NormSpec, apply, fold, list_norms
from renorm.norms.variants import VARIANTS

from . import oracle
from .test_deconv import distance, inputs

torch.set_num_threads(1)


def test_every_relative_has_its_name():
    assert {name for name in list_norms() if name.startswith("deconv_")} == {*VARIANTS, "deconv_stem"}


def conv_layer():
    torch.manual_seed(0)
    return nn.Conv2d(8, 6, 3, padding=1).double()


class Plain:
    """One deconvolved convolution in plain steps; `statistics(samples, step)` -> mean, D."""

    def __init__(self, layer, statistics, block=8, stride=3):
        self.layer, self.statistics, self.block, self.stride = layer, statistics, block, stride
        features = block * 9
        self.running_mean = torch.zeros(features, dtype=torch.float64)
        self.running_deconv = torch.eye(features, dtype=torch.float64)

    def __call__(self, x, step, w, b):
        samples = oracle.conv_samples(x, self.layer, self.block, self.stride)
        mean, d = self.statistics(samples, step)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean[0].detach()
        self.running_deconv = 0.9 * self.running_deconv + 0.1 * d[0].detach()
        return oracle.conv2d(x, w, b, self.layer, mean, d)


def same_steps(name, plain, steps, twin=None):
    """Output, gradients and buffers of `name` and of the plain version, over several batches."""
    layer = plain.layer
    twin = twin or apply(copy.deepcopy(layer), NormSpec(name))
    for step in range(steps):
        x = inputs((9, 8, 12, 10), torch.float64, seed=step)
        mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        w, b = (p.detach().clone().requires_grad_() for p in (layer.weight, layer.bias))
        out, truth = twin(mine), plain(theirs, step, w, b)
        cotangent = torch.randn(out.shape, dtype=torch.float64)
        twin.zero_grad()
        out.backward(cotangent)
        truth.backward(cotangent)
        pairs = [(out, truth), (mine.grad, theirs.grad), (twin.weight.grad, w.grad), (twin.bias.grad, b.grad),
                 (twin.running_mean[:, 0], plain.running_mean),
                 (twin.running_deconv, plain.running_deconv)]  # fmt: skip
        for place, (a, b) in enumerate(pairs):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=lambda m, p=place, s=step: f"{p} in {s}: {m}")
    return twin


def exact(samples, step):
    return oracle.statistics(samples, 1e-5, 5)


def test_the_plain_version_itself_is_deconv():
    same_steps("deconv", Plain(conv_layer(), exact), 2)


def test_every_other_batch_renews_d_and_each_its_mean():
    kept = []

    def statistics(samples, step):
        if step % 2 == 0:
            mean, d = exact(samples, step)
            kept[:] = [d.detach()]
            return mean, d
        return samples.mean(1), kept[0]

    same_steps("deconv_every", Plain(conv_layer(), statistics), 5)


def test_detached_statistics_are_constants():
    same_steps("deconv_detached", Plain(conv_layer(), lambda samples, step: exact(samples.detach(), step)), 2)


def test_bfloat16_rounds_the_centred_samples():
    def statistics(samples, step):
        mean = samples.mean(1)
        centred = samples - mean[:, None]
        rounded = centred + (centred.bfloat16() - centred).detach()
        covariance = rounded.mT @ rounded / samples.shape[1] + 1e-5 * torch.eye(samples.shape[2], dtype=torch.float64)
        return mean, oracle.inverse_square_root(covariance, 5)

    # The plain gradient of the mean also sees the rounded samples' sum, which is not zero: ours leaves that out
    layer = conv_layer()
    twin, plain = apply(copy.deepcopy(layer), "deconv_bf16"), Plain(layer, statistics)
    x = inputs((9, 8, 12, 10), torch.float64)
    torch.testing.assert_close(twin(x), plain(x, 0, layer.weight, layer.bias), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(twin.running_deconv, plain.running_deconv, rtol=1e-9, atol=1e-9)
    other = apply(copy.deepcopy(layer), "deconv")
    other(x)
    distance = (twin.running_deconv - other.running_deconv).norm() / (other.running_deconv - torch.eye(72)).norm()
    assert 1e-6 < distance < 1e-2


def test_the_gradient_through_rounded_samples_is_that_of_the_exact_ones_nearly():
    grads = {}
    for name in ("deconv", "deconv_bf16"):
        x = inputs((9, 8, 12, 10), torch.float64).requires_grad_()
        twin = apply(conv_layer(), name)
        twin(x).square().mean().backward()
        grads[name] = x.grad, twin.weight.grad
    for a, b in zip(*grads.values(), strict=True):
        assert 0 < (a - b).norm() / b.norm() < 0.02


def test_a_quarter_of_the_block():
    torch.manual_seed(0)
    twin = apply(copy.deepcopy(conv_layer()), NormSpec("deconv_small_block", block=8))
    same_steps("deconv_small_block", Plain(conv_layer(), exact, block=2), 2, twin)
    assert apply(nn.Linear(64, 3), NormSpec("deconv_small_block", block_fc=64)).features == 16
    assert apply(nn.Conv2d(3, 3, 1), NormSpec("deconv_small_block", block=2)).features == 1


def test_twice_the_stride():
    same_steps("deconv_wide_stride", Plain(conv_layer(), exact, stride=6), 2)


def test_three_times_the_steps_come_nearer_to_the_root():
    twin = same_steps(
        "deconv_converged", Plain(conv_layer(), lambda samples, step: oracle.statistics(samples, 1e-5, 15)), 2
    )
    x, error = inputs((9, 8, 12, 10), torch.float64), {}
    samples = oracle.conv_samples(x, twin, 8, 3)[0]
    covariance = torch.cov(samples.T, correction=0) + 1e-5 * torch.eye(72, dtype=torch.float64)
    for name in ("deconv", "deconv_converged"):
        layer = apply(conv_layer(), NormSpec(name, momentum=1.0))
        layer(x)
        d = layer.running_deconv
        error[name] = (d @ covariance @ d - torch.eye(72)).norm()
    assert error["deconv_converged"] < 0.1 * error["deconv"]


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["deconv", *VARIANTS])
def test_a_gpu_takes_the_same_steps(name):
    """In float64; but for the sums of rounded samples, which a GPU has in float32."""
    layers = {device: apply(conv_layer(), name).to(device) for device in ("cpu", "cuda")}
    for step in range(3):
        found = {}
        for device, layer in layers.items():
            x = inputs((9, 8, 12, 10), torch.float64, seed=step).to(device).requires_grad_()
            layer.zero_grad()
            out = layer(x)
            out.square().mean().backward()
            tensors = out, x.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_deconv
            found[device] = [tensor.detach().cpu() for tensor in tensors]
        for a, b in zip(found["cuda"], found["cpu"], strict=True):
            assert distance(a, b) < (0.02 if name == "deconv_bf16" else 1e-8)


def kept_network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=3), nn.Conv2d(6, 4, 1), nn.Flatten(), nn.Linear(64, 3)
    )
    return apply(model, NormSpec("deconv_every", overrides={"0": {"freeze": True}}))


def take(model, optimizer, first, last):
    for step in range(first, last):
        optimizer.zero_grad()
        model(inputs((6, 3, 8, 8), torch.float32, seed=step)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("stop", [3, 105])
def test_a_kept_d_is_resumed_bit_for_bit(stop):
    whole = kept_network()
    optimizer = torch.optim.SGD(whole.parameters(), 1e-4, momentum=0.9)
    take(whole, optimizer, 0, stop)
    state = copy.deepcopy([whole.state_dict(), optimizer.state_dict()])
    take(whole, optimizer, stop, stop + 12)
    again = kept_network()
    optimizer = torch.optim.SGD(again.parameters(), 1e-4, momentum=0.9)
    again.load_state_dict(state[0])
    optimizer.load_state_dict(state[1])
    take(again, optimizer, stop, stop + 12)
    assert all(value.isfinite().all() for value in whole.state_dict().values())
    for (name, a), b in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_freezing_and_keeping_go_together():
    model = kept_network()
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    take(model, optimizer, 0, 101)
    assert model[0].frozen
    assert not model[2].frozen
    before = [layer.running_deconv.clone() for layer in (model[0], model[2])]
    take(model, optimizer, 101, 103)
    assert torch.equal(model[0].running_deconv, before[0])
    assert not torch.equal(model[2].running_deconv, before[1])


def test_a_bad_batch_does_not_spoil_the_kept_d():
    layer = apply(nn.Linear(4, 3), "deconv_every")
    layer(torch.full((20, 4), torch.nan))
    assert torch.equal(layer.kept_deconv, torch.eye(4))
    assert layer(torch.randn(20, 4)).isfinite().all()


def test_a_layer_that_stands_twice_renews_between():
    layer = apply(nn.Conv2d(3, 3, 3, padding=1), "deconv_every")
    x = torch.randn(4, 3, 8, 8)
    for _ in range(6):
        layer(layer(x)).square().mean().backward()
    assert int(layer.steps) == 12


@pytest.mark.parametrize("name", VARIANTS)
def test_export_and_few_samples(name):
    torch.manual_seed(0)
    model = apply(nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Linear(4, 2)), name)
    for seed in range(3):
        x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        model(x).square().mean().backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())
    torch.testing.assert_close(fold(model)(x), model.eval()(x), rtol=1e-4, atol=1e-5)
