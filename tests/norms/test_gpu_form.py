"""The form that the layers take on a GPU, computed on the CPU: equal to the textbook, with few launches."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from renorm.norms import NormSpec, apply, kernels, products, running_together, spectral
from renorm.norms.patches import Patches, Pixels

from .counting import launches_of_a_step
from .test_deconv import CONVS, check, inputs

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def gpu_form(monkeypatch):
    monkeypatch.setattr(products, "NO_LAUNCHES", frozenset())
    assert not spectral.pays(torch.eye(200), 5)


@pytest.mark.parametrize("iterations", [5, 15])
@pytest.mark.parametrize("config", CONVS, ids=str)
def test_conv_is_the_textbook_s(config, iterations):
    torch.manual_seed(0)
    c, out, k, stride, padding, dilation, groups = config
    layer = nn.Conv2d(c, out, k, stride, padding, dilation, groups)
    check(layer, (7, c, 11, 10) if k != 8 else (7, c, 8, 8), NormSpec("deconv", iterations=iterations))


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize(("features", "block"), [(24, 512), (48, 16)])
def test_linear_is_the_textbook_s(features, block, iterations):
    torch.manual_seed(0)
    check(nn.Linear(features, 7), (40, features), NormSpec("deconv", block_fc=block, iterations=iterations))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)), stride=st.integers(1, 3), padding=st.integers(0, 2),
    dilation=st.integers(1, 2), groups=st.sampled_from([1, 1, 2, 4]), width=st.integers(1, 3),
    size=st.tuples(st.integers(7, 12), st.integers(7, 12)), batch=st.integers(1, 5), block=st.integers(1, 6),
    sampling=st.integers(1, 4), iterations=st.integers(1, 6), name=st.sampled_from(["deconv", "channel_deconv"]),
)  # fmt: skip
def test_any_shape_is_the_textbook_s(
    kernel, stride, padding, dilation, groups, width, size, batch, block, sampling, iterations, name
):
    torch.manual_seed(0)
    layer = nn.Conv2d(groups * width, 2 * groups, kernel, stride, padding, dilation, groups)
    spec = NormSpec(name, block=width if groups > 1 else block, sampling_stride=sampling, iterations=iterations)
    check(layer, (batch, groups * width, *size), spec)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "sampler", [Patches((3, 3), (3, 3), (1, 1), (1, 1)), Patches((3, 2), (2, 1), (0, 1), (1, 2)), Pixels(9), Pixels(1)]
)
def test_samples_are_those_of_the_cpu_in_another_order(sampler, layout, monkeypatch):
    x = torch.randn(3, 4, 8, 7, dtype=torch.float64).contiguous(memory_format=layout)
    found = sampler.gather(x, x.dtype)
    scattered = sampler.scatter(found.square(), x)
    found.add_(1)  # as its owner may: the input is not touched
    monkeypatch.setattr(products, "NO_LAUNCHES", frozenset({"cpu"}))
    expected = sampler.gather(x, x.dtype)
    torch.testing.assert_close(scattered, sampler.scatter(expected.square(), x))
    assert torch.equal((found - 1).sort(dim=1).values.round(decimals=9), expected.sort(dim=1).values.round(decimals=9))
    assert sampler.count(x) == found.shape[1]


def network():
    torch.manual_seed(0)
    shared = nn.Conv2d(6, 6, 1)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), shared, shared, nn.Flatten(), nn.Linear(384, 5)
    )
    return apply(model, NormSpec("deconv", block_fc=32))


def test_running_values_moved_together_are_those_moved_layer_by_layer():
    one, together = network(), network()
    for step in range(4):
        x = inputs((5, 3, 8, 8), torch.float32, seed=step)
        if step == 2:
            x[0, 0, 0, 0] = torch.nan  # moves nothing
        before = copy.deepcopy(together.state_dict())
        one(x)
        with running_together():
            together(x)
            assert all(torch.equal(a, b) for a, b in zip(before.values(), together.state_dict().values(), strict=True))
        assert torch.equal(one[0].running_mean, before["0.running_mean"]) is (step == 2)
        for a, b in zip(one.state_dict().values(), together.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_one_bad_layer_moves_nothing_and_the_others_move():
    model = network()
    with torch.no_grad():
        model[3].bias.fill_(torch.inf)  # the second call of the shared layer and the classifier see it
    before = copy.deepcopy(model.state_dict())
    with running_together():
        model(inputs((5, 3, 8, 8), torch.float32))
    after = model.state_dict()
    assert not torch.equal(after["0.running_mean"], before["0.running_mean"])
    assert torch.equal(after["6.running_mean"], before["6.running_mean"])
    assert after["3.running_deconv"].isfinite().all()


def test_a_forward_pass_that_fails_moves_nothing():
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(RuntimeError), running_together():
        model[0](inputs((5, 3, 8, 8), torch.float32))
        raise RuntimeError
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("conv", "most"),
    [(nn.Conv2d(128, 128, 3, padding=1), 75), (nn.Conv2d(64, 64, 1), 65), (nn.Conv2d(32, 32, 3, groups=32), 70)],
)
def test_launches_of_a_layer_s_step(conv, most, monkeypatch):
    monkeypatch.setenv(kernels.SWITCH, "torch")  # with kernels: test_kernels.py
    assert launches_of_a_step(conv).total() <= most
