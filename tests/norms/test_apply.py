"""Putting a normaliser into any network."""

import pytest
import torch
from torch import nn
from torchvision import models as zoo

from renorm.core.errors import RenormError
from renorm.norms import NormSpec, apply, list_norms, register_norm
from renorm.norms.deconv import DeconvConv2d, DeconvLinear
from renorm.norms.deconvolution import Deconvolution


def block():
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))


def test_names():
    assert {"none", "batch_norm", "deconv", "channel_deconv", "deconv_stem", "group_norm"} <= set(list_norms())
    with pytest.raises(RenormError, match="did you mean 'deconv'"):
        apply(block(), "deconf")
    with pytest.raises(RenormError, match="twice"):
        register_norm(next(f for f in [lambda: 0] if not setattr(f, "__name__", "deconv")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"block": 0}, "block = 0"),
        ({"iterations": True}, "iterations = True"),
        ({"eps": 0}, "eps = 0"),
        ({"momentum": 2}, "momentum = 2"),
        ({"block": "4"}, "block = '4' is not a whole number from 1"),
        ({"eps": "x"}, "eps = 'x' is not a number above 0"),
        ({"eps": float("nan")}, "eps = nan"),
        ({"eps": True}, "eps = True"),
        ({"momentum": None}, "momentum = None is not a number within 0 and 1"),
        ({"overrides": {"0": {"blok": 3}}}, "did you mean 'block'"),
        ({"overrides": {"0": {"freeze": "yes"}}}, "overrides '0': freeze = 'yes' is not true or false"),
        ({"overrides": {"0": {"only": "deconv"}}}, "only = 'deconv' is not a list of norms"),
        ({"overrides": {"0": 3}}, "overrides: '0': 3: give a layer path and its settings"),
        ({"overrides": ["0"]}, r"norm: overrides = \['0'\]: give a mapping"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(RenormError, match=message):
        NormSpec("deconv", **settings)


def test_an_override_must_match_a_layer():
    with pytest.raises(RenormError, match="no layer matches 'conv7'"):
        apply(block(), NormSpec("deconv", overrides={"conv7": {"iterations": 3}}))
    model = apply(block(), NormSpec("deconv", iterations=4, overrides={"0": {"iterations": 3, "freeze": True}}))
    assert (model[0].iterations, model[4].iterations) == (3, 4)
    model = apply(block(), NormSpec("deconv", overrides={"0": {"iterations": 3, "only": ("channel_deconv",)}}))
    assert model[0].iterations == 5


def test_in_place_keeping_weights_and_mode():
    model = block().eval()
    conv, linear = model[0], model[4]
    assert apply(model, "deconv") is model
    assert model[0].weight is conv.weight
    assert model[4].bias is linear.bias
    assert model[0].bias is not None
    assert not any(m.training for m in model.modules())
    assert isinstance(apply(nn.Linear(3, 4), "deconv"), DeconvLinear)


def test_shared_layers_stay_shared_and_nothing_is_replaced_twice():
    conv = nn.Conv2d(3, 3, 1)
    model = apply(nn.ModuleDict({"a": conv, "b": nn.Sequential(conv, nn.Sequential(conv))}), "deconv")
    assert isinstance(model["a"], DeconvConv2d)
    assert model["a"] is model["b"][0] is model["b"][1][0]
    twin = model["a"]
    assert apply(model, "deconv")["a"] is twin


@pytest.mark.parametrize("name", list_norms())
def test_a_step_and_a_state_round_trip(name):
    torch.manual_seed(0)
    model = apply(
        nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 96, 3, padding=1, groups=8),
            nn.BatchNorm2d(96),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.BatchNorm1d(96),
            nn.Linear(96, 4),
        ),
        name,
    )
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        x = torch.randn(6, 3, 8, 8)
        nn.functional.cross_entropy(model(x), torch.arange(6) % 4).backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())
        optimiser.step()
    copy = apply(model, "batch_norm")
    state = {key: value.clone() for key, value in model.state_dict().items()}
    assert all(value.isfinite().all() for value in state.values())
    before = model.eval()(x)
    with torch.no_grad():
        for value in model.state_dict().values():
            value.zero_()
    copy.load_state_dict(state)
    assert torch.equal(copy.eval()(x), before)


def test_one_seed_one_start():
    weights = []
    for name in ("batch_norm", "deconv", "channel_deconv"):
        torch.manual_seed(3)
        weights.append([m.weight for m in apply(block(), name).modules() if isinstance(m, nn.Conv2d | nn.Linear)])
    assert all(torch.equal(a, b) for other in weights[1:] for a, b in zip(weights[0], other, strict=True))


ZOO = {
    "alexnet": 64,
    "squeezenet1_1": 48,
    "mobilenet_v3_small": 32,
    "shufflenet_v2_x0_5": 32,
    "regnet_x_400mf": 32,
    "mnasnet0_5": 32,
    "convnext_tiny": 32,
    "googlenet": 32,
}


@pytest.mark.parametrize("arch", ZOO)
def test_torchvision_networks_take_it(arch):
    torch.manual_seed(0)
    options = {"init_weights": False, "aux_logits": False} if arch == "googlenet" else {}
    model = apply(getattr(zoo, arch)(num_classes=4, **options), "deconv")
    assert any(isinstance(m, Deconvolution) for m in model.modules())
    out = model(torch.randn(2, 3, ZOO[arch], ZOO[arch]))
    out.square().mean().backward()
    assert out.isfinite().all()


def test_a_vision_transformer_takes_it():
    model = apply(zoo.VisionTransformer(16, 8, 1, 2, 16, 32, num_classes=3), "deconv")
    nn.init.normal_(model.heads.head.weight)  # is zero at first, and would pass no gradient on
    model(torch.randn(2, 3, 16, 16)).square().sum().backward()
    for layer in (model.heads.head, model.encoder.layers[0].mlp[0], model.conv_proj):
        assert isinstance(layer, Deconvolution)
        assert layer.weight.grad.isfinite().all() and layer.weight.grad.abs().sum() > 0
