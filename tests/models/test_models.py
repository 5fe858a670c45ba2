"""Every registered architecture: parameters, layers, one step."""

import itertools
import math
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from renorm.core.errors import RenormError
from renorm.data.batches import memory_layout
from renorm.execution import cost_model
from renorm.models import build, create, describe, list_archs
from renorm.norms import NormSpec, list_norms
from renorm.norms.deconvolution import Deconvolution
from renorm.norms.registry import is_batch_norm
from renorm.study import config, grid
from renorm.training.device import configure

# batch norm with 10 and 100 classes, deconvolution with 10 and 100 classes
PARAMETERS = {
    "vgg16": (14_728_266, 14_774_436, 14_719_818, 14_765_988),
    "resnet18": (11_173_962, 11_220_132, 11_169_162, 11_215_332),
    "preact_resnet18": (11_171_146, 11_217_316, 11_169_162, 11_215_332),
    "densenet121": (6_956_298, 7_048_548, 6_883_018, 6_975_268),
    "resnext29_32x4d": (4_774_218, 4_866_468, 4_761_610, 4_853_860),
    "mobilenet_v2": (2_296_922, 2_412_212, 2_279_378, 2_394_668),
    "dpn92": (34_236_634, 34_467_124, 34_179_970, 34_410_460),
    "pnasnet_a": (130_646, 146_576, 128_226, 144_156),
    "senet18": (11_260_354, 11_306_524, 11_258_242, 11_304_412),
    "efficientnet_b0": (2_912_089, 2_940_979),
}
# batch norms and convolutions of the batch-norm network
LAYERS = {
    "vgg16": (13, 13),
    "resnet18": (20, 20),
    "preact_resnet18": (16, 20),
    "densenet121": (120, 120),
    "resnext29_32x4d": (31, 31),
    "mobilenet_v2": (57, 57),
    "dpn92": (95, 95),
    "pnasnet_a": (23, 23),
    "senet18": (17, 36),
    "efficientnet_b0": (51, 83),
}
SMALL = ("linear", "mlp", "simple_cnn", "tiny_vgg", "tiny_resnet")
HEAVY = ("vgg11_imagenet",)  # 129 million parameters: with the normalisers only that the shipped study puts in
# The opt-in relatives of deconvolution: six more steps of the same code in every network.
RELATIVES = tuple(norm for norm in list_norms() if norm.startswith("deconv_") and norm != "deconv_stem")
FULL = os.environ.get("RENORM_FULL") == "1"


def on_paper(arch, norm, classes=10):
    """The network without memory behind it."""
    with torch.device("meta"):
        return create(arch, norm, classes)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("arch", PARAMETERS)
def test_parameters_are_the_published(arch):
    expected = PARAMETERS[arch]
    counted = [parameters(on_paper(arch, norm, c)) for norm in ("batch_norm", "deconv") for c in (10, 100)]
    assert counted[: len(expected)] == list(expected)


def test_parameters_of_the_variants():
    assert parameters(on_paper("efficientnet_b0", "deconv_stem")) == 2_912_057
    assert parameters(on_paper("tiny_vgg", "batch_norm")) < 30_000
    assert parameters(on_paper("tiny_resnet", "batch_norm")) < 30_000


@pytest.mark.parametrize("arch", LAYERS)
def test_number_of_layers(arch):
    layers = list(on_paper(arch, "batch_norm").modules())
    assert (sum(map(is_batch_norm, layers)), sum(isinstance(m, nn.Conv2d) for m in layers)) == LAYERS[arch]


@pytest.mark.parametrize("arch", list_archs())
def test_deconvolution_and_batch_norm_do_not_mix(arch):
    deconvolved = list(on_paper(arch, "deconv").modules())
    assert not any(map(is_batch_norm, deconvolved))
    assert all(isinstance(m, Deconvolution) for m in deconvolved if isinstance(m, nn.Conv2d | nn.Linear))
    assert all(m.bias is not None for m in deconvolved if isinstance(m, Deconvolution))
    assert not any(isinstance(m, Deconvolution) for m in on_paper(arch, "batch_norm").modules())
    stem = [m for m in on_paper(arch, "deconv_stem").modules() if isinstance(m, Deconvolution)]
    assert len(stem) == (1 if arch == "linear" else 2)


@pytest.mark.parametrize("arch", list_archs())
def test_description(arch):
    description = describe(arch)
    assert description.name == arch
    assert description.title
    paths = (
        dict(build(arch, 10).named_modules())
        if arch.startswith("tiny")
        else dict(on_paper(arch, "batch_norm").named_modules())
    )
    assert all(path in paths for path in description.stem)


SETTINGS = {
    "vgg16": {"features.0": (15, True, 27)},
    "resnet18": {"body.stem.conv": (5, False, 27)},
    "densenet121": {"body.stem": (5, False, 27)},
    "preact_resnet18": {"body.stem": (10, True, 27)},
    "senet18": {"body.stem.conv": (15, True, 27)},
    "resnet18_imagenet": {"conv1": (15, True, 147)},
    "resnext29_32x4d": {"body.stem.conv": (10, True, 3), "body.stage1.0.branch.1.conv": (3, False, 36)},
    "mobilenet_v2": {
        "body.stem.conv": (10, True, 27),
        "body.blocks.3.depthwise.conv": (1, False, 9),
        "body.blocks.3.project.conv": (1, False, 24),
        "body.blocks.3.expand.conv": (5, False, 24),
    },
}


@pytest.mark.parametrize("arch", SETTINGS)
def test_settings_of_single_layers(arch):
    model = on_paper(arch, "deconv")
    for path, expected in SETTINGS[arch].items():
        layer = model.get_submodule(path)
        assert (layer.iterations, layer.counter is not None, layer.features) == expected


def test_the_user_s_settings_win():
    spec = NormSpec("deconv", iterations=7, overrides={"features.0": {"iterations": 2}})
    model = create("tiny_vgg", spec, 10)
    assert model.features[0].iterations == 2
    assert model.features[0].counter is None
    assert model.features[4].iterations == 7


def product():
    """Every architecture with every normaliser, but the costly ones where the shipped study has them only."""
    study = config.load(Path(__file__).parents[2] / "config.yaml", {"only": "all"})
    shipped = {(cell.arch, cell.norm) for cell in grid.cells(study)}
    for arch, norm in itertools.product(list_archs(), list_norms()):
        costly = arch in HEAVY or (norm in RELATIVES and arch not in SMALL)
        if FULL or not costly or (arch, norm) in shipped:
            yield arch, norm


@pytest.mark.parametrize(("arch", "norm"), list(product()))
def test_a_training_step(arch, norm):
    """Two images, small, but of a size from which every layer still has something to take statistics of.

    EfficientNet's gradients pass float32's range where none goes through the statistics of images of 8 pixels.
    """
    torch.manual_seed(0)
    size = max(32 if norm in RELATIVES else 8, describe(arch).min_size)
    model = create(arch, norm, 5, size)
    images = torch.randn(2, 3, size, size).contiguous(memory_format=memory_layout(torch.device("cpu")))
    out = model(images)
    nn.functional.cross_entropy(out, torch.arange(2)).backward()
    assert out.shape == (2, 5)
    assert out.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.cuda
@pytest.mark.parametrize("norm", ["batch_norm", "deconv"])
@pytest.mark.parametrize("arch", list_archs())
def test_a_deterministic_step_on_a_gpu(determinism, arch, norm):
    """Every operation has a deterministic form at the size that the network was made for, else torch refuses it."""
    device, size = torch.device("cuda"), describe(arch).size
    configure(config.Recipe(deterministic=True).resolved(norm, arch), 1, device)

    def gradients() -> list[torch.Tensor]:
        torch.manual_seed(0)
        model, images = create(arch, norm, 10, size).to(device), torch.randn(4, 3, size, size).to(device)
        nn.functional.cross_entropy(model(images), torch.arange(4, device=device)).backward()
        return [p.grad for p in model.parameters()]

    for first, second in zip(gradients(), gradients(), strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("arch", [arch for arch in list_archs() if describe(arch).min_size <= 28])
def test_other_images(arch):
    with torch.device("meta"):
        model = create(arch, "batch_norm", 7, 28, 1)
        assert model.eval()(torch.empty(3, 1, 28, 28)).shape == (3, 7)


def test_vgg_of_imagenet_without_its_pooling_is_the_same_to_the_last_bit():
    torch.manual_seed(0)
    model = build("vgg11_imagenet", 5, 224)
    images = torch.randn(2, 3, 224, 224).contiguous(memory_format=memory_layout(torch.device("cpu")))

    def outcome() -> list[torch.Tensor]:
        model.zero_grad()
        torch.manual_seed(1)  # of the dropout
        out = model(images)
        nn.functional.cross_entropy(out, torch.arange(2)).backward()
        return [out, *(p.grad.clone() for p in model.parameters())]

    assert isinstance(model.avgpool, nn.Identity)
    ours, model.avgpool = outcome(), nn.AdaptiveAvgPool2d((7, 7))
    assert all(map(torch.equal, ours, outcome()))
    smaller = build("vgg11_imagenet", 5, 64)
    assert isinstance(smaller.avgpool, nn.AdaptiveAvgPool2d)
    assert [*smaller.state_dict()] == [*model.state_dict()]


def test_errors_are_clear():
    with pytest.raises(RenormError, match="did you mean 'resnet18'"):
        build("resnet_18", 10)
    with pytest.raises(RenormError, match="28 pixels are too small, 32 at least"):
        build("vgg16", 10, 28)


def test_normalisers_start_from_the_same_weights():
    states = []
    for norm in ("batch_norm", "deconv"):
        torch.manual_seed(1)
        model = create("tiny_resnet", norm, 10)
        states.append([m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)])
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


@pytest.mark.parametrize("arch", list_archs())
def test_room_on_the_disk_is_asked_for_as_many_parameters_as_there_are(arch):
    with torch.device("meta"):
        model = create(arch, NormSpec(name="batch_norm"), 1000 if arch.endswith("_imagenet") else 100)
    assert math.ceil(parameters(model) / 1e6) == cost_model.PARAMETERS[arch]
