"""The deconvolved layers over time: evaluation, freezing, states, export, degenerate input."""

import copy
import logging

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

from renorm.core.errors import RenormError
from renorm.norms import NormSpec, apply, deconvolution, fold, keep_folded
from renorm.norms.deconv import DeconvConv2d, DeconvLinear

from . import oracle

FREEZE = NormSpec("deconv", overrides={"*": {"freeze": True}})


def network(spec="deconv", seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.Flatten(), nn.Linear(384, 5)
    )
    return apply(model, spec)


@torch.enable_grad()
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


def test_folded_weight_is_kept_where_asked_only():
    conv, x = trained().eval()[0], torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = conv(x)
        assert conv.folded_running()[0] is not conv.folded_running()[0]
        with keep_folded(conv):
            assert torch.equal(conv(x), expected)
            assert conv.folded_running()[0] is conv.folded_running()[0]
        conv.weight.mul_(2)
        assert not torch.equal(conv(x), expected)
        with keep_folded(conv):
            assert not torch.equal(conv(x), expected)
    with keep_folded(conv):
        assert conv(x).requires_grad  # fine-tuning in evaluation mode
    with torch.inference_mode():
        conv(x)


def exponential_average(model):
    for p in model.parameters():
        p.data.copy_(0.5 * p.data)  # how packages for averaged weights swap them in before an evaluation


def pruned(model):
    prune.l1_unstructured(model[0], "weight", 0.5)
    prune.remove(model[0], "weight")


def from_vector(model):
    nn.utils.vector_to_parameters(2 * nn.utils.parameters_to_vector(model.parameters()), model.parameters())


def data_replaced(model):
    model[0].weight.data = 3 * model[0].weight.data


def running_values_replaced(model):
    model[0].running_deconv.data.mul_(0.5)


@pytest.mark.parametrize("change", [exponential_average, pruned, from_vector, data_replaced, running_values_replaced])
@torch.no_grad()
def test_changes_of_any_kind_count_in_evaluation(change):
    model, x = trained().eval(), torch.randn(4, 3, 8, 8)
    before = model(x)
    change(model)
    right = network(seed=9)
    right.load_state_dict(model.state_dict())
    assert torch.equal(model(x), right.eval()(x))
    assert not torch.equal(model(x), before)


@torch.no_grad()
def test_functional_call_with_values_freed_at_once():
    model, right, x = trained().eval(), network().eval(), torch.randn(1, 3, 8, 8)
    for _ in range(50):
        values = {name: torch.randn_like(p) for name, p in model.named_parameters()}
        answer = torch.func.functional_call(model, values, (x,))
        right.load_state_dict(model.state_dict() | values)
        assert torch.equal(answer, right(x))


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


def test_one_sample():
    layer = apply(nn.Linear(4, 3), "deconv")
    assert layer(torch.randn(1, 4)).isfinite().all()


@pytest.mark.parametrize(
    ("plain", "shape", "message"),
    [
        (nn.Linear(4, 3), (0, 4), "empty batch"),
        (nn.Linear(4, 3), (2, 5), r"input \(2, 5\): expected \(…, 4\)"),
        (nn.Conv2d(3, 4, 3), (0, 3, 8, 8), "empty batch"),
        (nn.Conv2d(3, 4, 3), (2, 3, 2, 8), r"input \(2, 3, 2, 8\): smaller than the kernel \(3, 3\)"),
        (nn.Conv2d(3, 4, 3, dilation=2, padding=1), (2, 3, 2, 8), "smaller than the kernel"),
        (nn.Conv2d(3, 4, 3, padding="valid"), (2, 3, 2, 8), "smaller than the kernel"),
        (nn.Conv2d(3, 4, 3), (3, 8, 8), r"expected \(N, 3, H, W\); one image needs an axis more"),
        (nn.Conv2d(3, 4, 3), (2, 4, 8, 8), r"expected \(N, 3, H, W\)"),
    ],
)
def test_inputs_without_statistics_are_one_readable_error(plain, shape, message):
    layer = apply(plain, NormSpec("deconv"))
    with pytest.raises(RenormError, match=message) as caught:
        layer(torch.randn(shape))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("name", ["deconv", "freeze", "deconv_every", "iterative_norm", "switchable_whitening"])
def test_checkpointed_layers_count_a_step_and_move_their_running_values_once(name, reentrant):
    spec = FREEZE if name == "freeze" else NormSpec(name)
    plain = network(spec)
    recomputed = copy.deepcopy(plain)
    if name == "freeze":  # across the freeze, without a hundred steps
        for model in (plain, recomputed):
            for layer in (model[0], model[3], model[5]):
                layer.steps.fill_(99)
    for _ in range(4):
        x = torch.randn(2, 3, 8, 8, requires_grad=True)
        for model, call in ((plain, plain), (recomputed, lambda x: checkpoint(recomputed, x, use_reentrant=reentrant))):
            model.zero_grad()
            call(x).square().mean().backward()
        for a, b in zip(plain.parameters(), recomputed.parameters(), strict=True):
            assert torch.equal(a.grad, b.grad)
        for (key, a), b in zip(plain.named_buffers(), recomputed.buffers(), strict=True):
            assert torch.equal(a, b) or "1." in key, key  # torch's own batch norm moves its twice


@pytest.mark.parametrize("name", ["deconv_every", "iterative_norm"])
def test_compiled_training_has_the_same_losses(name):
    torch._dynamo.reset()
    eager = network(NormSpec(name, overrides={"0": {"freeze": True}}))
    other = copy.deepcopy(eager)
    compiled = torch.compile(other, backend="eager")
    optimizers = [torch.optim.SGD(model.parameters(), 0.01) for model in (eager, other)]
    for _ in range(3):
        x, losses = torch.randn(4, 3, 8, 8), []
        for call, optimizer in zip((eager, compiled), optimizers, strict=True):
            optimizer.zero_grad()
            losses.append(call(x).square().mean())
            losses[-1].backward()
            optimizer.step()
        assert torch.equal(*losses)
    for a, b in zip(eager.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with torch.no_grad():
        torch.testing.assert_close(compiled.eval()(x), eager.eval()(x))


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


@pytest.mark.parametrize("spec", ["deconv", "deconv_bf16"])
def test_a_layer_is_cast_as_any_module(spec):
    layer = network(spec)[0]
    assert layer.bfloat16() is layer and layer.weight.dtype == layer.running_deconv.dtype == torch.bfloat16
