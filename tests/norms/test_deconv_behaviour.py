"""The deconvolved layers over time: evaluation, freezing, states, export, degenerate input."""

import copy
import logging

import pytest
import torch
from torch import nn

from renorm.core.errors import RenormError
from renorm.norms import NormSpec, apply, deconvolution, fold
from renorm.norms.deconv import DeconvConv2d, DeconvLinear

from . import oracle

FREEZE = NormSpec("deconv", overrides={"*": {"freeze": True}})


def network(spec="deconv", seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.Flatten(), nn.Linear(384, 5)
    )
    return apply(model, spec)


def trained(spec="deconv", steps=3):
    model = network(spec)
    for step in range(steps):
        torch.manual_seed(step)
        model(torch.randn(4, 3, 8, 8)).square().mean().backward()
    return model


def test_evaluation_folds_the_running_statistics():
    model = trained().double().eval()
    conv, x = model[0], torch.randn(2, 3, 8, 8, dtype=torch.float64)
    truth = oracle.conv2d(x, conv.weight, conv.bias, conv, conv.running_mean.T, conv.running_deconv[None])
    torch.testing.assert_close(conv(x), truth, rtol=1e-9, atol=1e-9)
    linear, z = model[5], torch.randn(2, 384, dtype=torch.float64)
    truth = oracle.linear(z, linear.weight, linear.bias, linear.running_mean.T, linear.running_deconv[None])
    torch.testing.assert_close(linear(z), truth, rtol=1e-9, atol=1e-9)


def test_running_values_move_by_momentum():
    layer = apply(nn.Linear(6, 2).double(), NormSpec("deconv", momentum=0.25))
    mean, d = torch.zeros(6, 1, dtype=torch.float64), torch.eye(6, dtype=torch.float64)
    for _ in range(3):
        x = torch.randn(20, 6, dtype=torch.float64)
        layer(x)
        new_mean, new_d = oracle.statistics(x[None], 1e-5, 5)
        mean, d = 0.75 * mean + 0.25 * new_mean.T, 0.75 * d + 0.25 * new_d[0]
    torch.testing.assert_close(layer.running_mean, mean)
    torch.testing.assert_close(layer.running_deconv, d)


def test_folded_weight_is_kept_in_evaluation_and_renewed_after_a_change():
    model = trained().eval()
    conv, x, state = model[0], torch.randn(2, 3, 8, 8), trained()[0].state_dict()
    with torch.no_grad():
        before = conv(x)
        kept = conv.folded_running()[0]
        assert conv.folded_running()[0] is kept
        conv.weight.mul_(2)
        assert not torch.equal(conv(x), before)
        conv.load_state_dict(state)
        torch.testing.assert_close(conv(x), before)
        conv.running_mean.add_(1)
        assert not torch.equal(conv(x), before)
    with torch.inference_mode():
        conv(x)
    assert conv(x).requires_grad  # fine-tuning in evaluation mode


def test_gradients_in_evaluation_mode():
    layer = apply(nn.Linear(4, 3).double(), "deconv")
    layer(torch.randn(20, 4, dtype=torch.float64))
    layer.eval()
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: torch.func.functional_call(layer, {"weight": w}, x), (x, layer.weight))


def test_freezes_when_100_steps_were_counted_and_starts_again_after_1000():
    layer = apply(nn.Linear(4, 3), NormSpec("deconv", overrides={"": {"freeze": True}}))
    changed = []
    for _ in range(1105):
        before = layer.running_mean.clone()
        layer(torch.randn(8, 4))
        changed.append(not torch.equal(layer.running_mean, before))
    assert changed == [step % 1000 <= 100 for step in range(1105)]
    assert int(layer.steps) == 105


def test_frozen_statistics_carry_no_gradient_to_the_input_s_statistics():
    model = trained(FREEZE, steps=101)
    conv, x = model[0], torch.randn(2, 3, 8, 8)
    assert conv.frozen
    torch.testing.assert_close(conv(x), copy.deepcopy(conv).eval()(x))


def test_state_goes_round_and_the_count_with_it():
    model = trained(FREEZE, steps=99)
    again = network(FREEZE, seed=9)
    again.load_state_dict(model.state_dict())
    for step in range(4):  # across the freeze
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        assert torch.equal(model(x), again(x)), step
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
    assert copy.deepcopy(model)[0].frozen


def test_export_holds_plain_layers_only():
    model = trained().eval()
    plain, x = fold(model), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(plain(x), model(x), rtol=1e-4, atol=1e-5)
    assert {type(m).__module__.split(".")[0] for m in plain.modules()} == {"torch"}
    assert isinstance(model[0], DeconvConv2d)
    assert isinstance(model[5], DeconvLinear)
    assert type(fold(model[5])) is nn.Linear


def test_gradients_of_gradients_are_refused():
    layer = apply(nn.Linear(4, 3), "deconv")
    x = torch.randn(20, 4, requires_grad=True)
    with pytest.raises(RenormError, match="gradients of gradients"):
        torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (1, 3, 8, 8)])
@pytest.mark.parametrize("name", ["deconv", "channel_deconv"])
def test_degenerate_scale_stays_finite(name, shape, scale):
    model = network(name)
    x = (torch.randn(shape) * scale).requires_grad_()
    out = model(x)
    out.square().mean().backward()
    tensors = [out, x.grad, *(p.grad for p in model.parameters()), *model.buffers()]
    assert all(t.isfinite().all() for t in tensors)


@pytest.mark.parametrize("value", [1.0, -1e6, 1e-6])
def test_constant_input_stays_finite_and_is_told_once(value, caplog, monkeypatch):
    monkeypatch.setattr(deconvolution, "_said", False)
    model = network()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            out = model(torch.full((4, 3, 8, 8), value))
            assert out.isfinite().all()
    told = [record for record in caplog.records if "constant" in record.message]
    assert len(told) <= 1
    apply(nn.Linear(4, 3), "deconv")(torch.full((9, 4), value))
    assert len([record for record in caplog.records if "constant" in record.message]) <= 1


@pytest.mark.parametrize("features", [4, 200])  # by iteration and by eigenvalues
def test_constant_input_is_amplified_by_one_over_the_root_of_eps_and_said_exactly_once(features, caplog, monkeypatch):
    monkeypatch.setattr(deconvolution, "_said", False)
    layers = [apply(nn.Linear(features, 3), NormSpec("deconv", momentum=1.0, iterations=12)) for _ in range(2)]
    with caplog.at_level(logging.DEBUG, logger="renorm.norms.deconvolution"):
        for layer in layers:
            for _ in range(2):
                x = torch.full((3 * features, features), 2.0, requires_grad=True)
                layer(x).square().mean().backward()
                assert x.grad.isfinite().all()
    for layer in layers:
        torch.testing.assert_close(layer.running_deconv.diagonal(), torch.full((features,), 316.23), rtol=1e-3, atol=0)
    assert [(r.levelno, "1/sqrt(eps) = 316" in r.message) for r in caplog.records] == [
        (logging.WARNING, True), (logging.DEBUG, True),
    ]  # fmt: skip


def test_one_sample_and_an_empty_batch():
    layer = apply(nn.Linear(4, 3), "deconv")
    assert layer(torch.randn(1, 4)).isfinite().all()
    with pytest.raises(RenormError, match="empty batch"):
        layer(torch.randn(0, 4))


def test_a_bad_batch_does_not_spoil_the_running_statistics():
    layer = apply(nn.Linear(4, 3), "deconv")
    layer(torch.randn(20, 4))
    before = layer.running_deconv.clone()
    layer(torch.full((20, 4), float("nan")))
    assert torch.equal(layer.running_deconv, before)
    assert layer.running_mean.isfinite().all()


def test_statistics_stay_float32_under_autocast_and_low_precision():
    plain, mixed = network(), network()
    x = torch.randn(16, 3, 8, 8).relu()
    plain(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mixed(x).dtype == torch.bfloat16
    assert mixed[0].running_deconv.dtype == torch.float32
    torch.testing.assert_close(mixed[0].running_deconv, plain[0].running_deconv)
    backend = torch.backends.mkldnn.matmul
    before = backend.fp32_precision
    try:
        backend.fp32_precision = "bf16"
        again = network()
        again(x)
        assert backend.fp32_precision == "bf16"
    finally:
        backend.fp32_precision = before
    torch.testing.assert_close(again[0].running_deconv, plain[0].running_deconv)


@pytest.mark.parametrize("padding", ["same", "valid", 1])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
def test_every_padding(mode, padding):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, (3, 2), padding=padding, padding_mode=mode)
    x = torch.randn(4, 3, 9, 9)
    twin = apply(copy.deepcopy(conv), "deconv")
    assert twin(x).shape == conv(x).shape
    twin.eval()
    torch.testing.assert_close(fold(twin)(x), twin(x))


def test_channels_last_is_the_same():
    torch.manual_seed(0)
    model = network()
    other, x = copy.deepcopy(model).to(memory_format=torch.channels_last), torch.randn(5, 3, 8, 8)
    out = other(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(out, model(x))
    torch.testing.assert_close(other[0].running_deconv, model[0].running_deconv)


def test_one_by_one_weights_do_not_turn_the_layout():
    layer = apply(nn.Conv2d(128, 8, 1), "deconv")
    assert layer.folded(torch.randn(2, 128, 4, 4))[0].is_contiguous()
    assert layer(torch.randn(2, 128, 4, 4)).is_contiguous()


@pytest.mark.cuda
def test_the_device_agrees_with_the_host_and_is_never_waited_for(precisions):
    precisions[0].fp32_precision = "ieee"  # TF32 would not agree
    model = network(FREEZE)
    other, x = copy.deepcopy(model).cuda(), torch.randn(8, 3, 8, 8)
    out = model(x)
    torch.testing.assert_close(other(x.cuda()).cpu(), out, rtol=1e-3, atol=1e-4)
    torch.cuda.set_sync_debug_mode("error")
    try:
        other(other[0].weight.new_ones(8, 3, 8, 8)).square().mean().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(other[3].running_mean.cpu().isfinite().all(), torch.tensor(True))
