"""A study's own files: every kind of name, their settings, their part in a cell's identity, and their mistakes."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from renorm import data, models, norms
from renorm.core import plugins
from renorm.core.errors import RenormError
from renorm.judging import judge
from renorm.runs import finished, ro_crate, run_record
from renorm.runs.collect import collect
from renorm.study import config, grid

MINE = '''
import numpy as np
import torch
from torch import nn

from helper import WIDTH
from renorm.data.registry import RawImages, register_dataset
from renorm.models.registry import register_arch
from renorm.norms.registry import is_batch_norm, register_norm
from renorm.study.fields import Positive
from renorm.study.parts import Rated, Settings
from renorm.training.augmentations import register_augmentation
from renorm.training.losses import register_loss
from renorm.training.metrics import register_metric
from renorm.training.optimizers import register_optimizer
from renorm.training.schedules import register_schedule


@register_arch("My network")
def my_net(num_classes, image_size, in_channels):
    return nn.Sequential(nn.Conv2d(in_channels, WIDTH, 3), nn.BatchNorm2d(WIDTH), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Linear(WIDTH, num_classes))


class Scaling(Settings):
    factor: Positive = 1.0


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


@register_norm(settings=Scaling)
def my_norm(layer, settings):
    """A constant factor in place of batch norm."""
    return Scaled(settings.own.factor) if is_batch_norm(layer) else layer


@register_dataset
def stripes(root, download):
    """Horizontal and vertical stripes."""
    images = np.zeros((40, 1, 8, 8), np.uint8)
    labels = np.arange(40) % 2
    images[labels == 0, :, ::2] = 255
    images[labels == 1, :, :, ::2] = 255
    return RawImages(images[:30], labels[:30], images[30:], labels[30:], classes=2)


class SignSettings(Rated):
    scale: Positive = 1.0


@register_optimizer(settings=SignSettings)
def my_sgd(parameters, settings):
    """torch's SGD with a scaled rate."""
    return torch.optim.SGD(parameters, lr=settings.lr * settings.scale, weight_decay=settings.weight_decay)


@register_schedule
def halved(settings, step, steps, steps_per_epoch):
    """Half of the rate in the second half."""
    return 1.0 if 2 * step < steps else 0.5


@register_augmentation
def darker(settings, images, target, generator, classes):
    """Every image times a random number."""
    return images * torch.rand((len(images), 1, 1, 1), generator=generator), target


@register_loss
def my_loss(settings, logits, target):
    """Cross-entropy, doubled."""
    return 2 * nn.functional.cross_entropy(logits, target)


@register_metric
def zeros(logits, labels):
    """Share of images that are taken for class 0."""
    return (logits.argmax(1) == 0).double().mean()
'''
STUDY = {
    "study": "mine", "plugins": ["mine.py"], "metrics": {"zeros": {"direction": "lower", "kind": "share"}},
    "recipes": {"own": {
        "optimizer": {"name": "my_sgd", "lr": 0.05, "scale": 2.0}, "schedule": "halved", "loss": "my_loss",
        "augment": ["none", "darker"], "batch_size": 10, "metrics": ["zeros"],
        "norm_settings": {"my_norm": {"factor": 0.5}},
    }},
    "experiments": {"all_of_it": {"dataset": ["stripes"], "arch": ["my_net"], "norm": ["my_norm", "batch_norm"],
                                  "recipe": ["own"], "epochs": [1], "seeds": [1]}},
    "comparisons": [{"name": "mine", "baseline": "batch_norm", "method": "my_norm"}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "helper.py").write_text("WIDTH = 4\n")
    write(STUDY)
    yield tmp_path
    plugins.use([])
    # What ran in this process is known to its registries.
    for known, name in ((models.registry._ARCHS, "my_net"), (norms.registry._NORMS, "my_norm"),
                        (data.registry._READERS, "stripes")):  # fmt: skip
        known.pop(name, None)


def write(study: dict) -> None:
    with open("config.yaml", "w") as file:
        yaml.safe_dump(study, file)


def renorm(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "renorm", *arguments], capture_output=True, text=True, timeout=400,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_every_kind_of_name_trains_and_its_code_is_part_of_the_cell(folder):
    study = config.load("config.yaml")
    cell = next(iter(grid.cells(study)))
    assert grid.hyperparameters(study, cell)["norm"] == {"factor": 0.5}
    done = renorm("train", "--config", "config.yaml", "--dataset", "stripes", "--arch", "my_net", "--norm", "my_norm",
                  "--recipe", "own", "--epochs", "1", "--quiet", "--out", f"results/runs/{cell.path}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = run_record.read(folder / "results/runs" / cell.path / "run.json")
    assert set(record.code) == {"arch", "norm", "dataset", "optimizer", "schedule", "augment", "loss", "metric"}
    assert 0 <= record.metrics.final.value("test", "zeros") <= 1
    assert record.hyperparameters["optimizer"] == {"name": "my_sgd", "lr": 0.05, "weight_decay": 0.001, "scale": 2.0}
    assert finished.of(study, cell).record == record
    check_archive(folder, study)
    (folder / "helper.py").write_text("WIDTH = 4  # a comment\n")
    assert finished.of(study, cell).record == record
    (folder / "helper.py").write_text("WIDTH = 8\n")
    assert "the code of the architecture was" in finished.of(study, cell).problem


def check_archive(folder, study) -> None:
    """The crate has the plugin and what it imports, where its configuration says."""
    collect(study)
    (study.folder / "config.json").write_text(json.dumps(study.written_for(study.folder)))
    judge(study.folder)
    crate = ro_crate.archive(study.folder, folder / "unpacked")
    assert (crate / "mine.py").read_text() == MINE and (crate / "helper.py").exists()
    assert config.load(crate / "results/mine/config.json").plugins == [str(crate / "mine.py")]
    plugins.use(study.plugins)


def test_a_plugin_that_raises_while_it_is_used_is_one_line(folder):
    (folder / "mine.py").write_text(MINE.replace("    return nn.Sequential(", "    return nn.Squential("))
    line = next(n for n, text in enumerate(MINE.splitlines(), 1) if "nn.Sequential" in text)
    done = renorm("train", "--config", "config.yaml", "--dataset", "stripes", "--arch", "my_net", "--norm", "my_norm",
                  "--recipe", "own", "--epochs", "1", "--quiet", "--out", "run")  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"renorm: {folder / 'mine.py'}:{line}: AttributeError: module 'torch.nn' has no")
    assert len(done.stderr.splitlines()) == 1


def test_the_names_are_listed_with_their_lines(folder):
    assert "my_sgd   torch's SGD with a scaled rate." in renorm("list", "optimizers", "--config", "config.yaml").stdout


def complaint(study: dict) -> str:
    write(study)
    with pytest.raises(RenormError) as error:
        loaded = config.load("config.yaml")
        plugins.load()
        grid.cells(loaded)
    assert "\n" not in str(error.value)
    return str(error.value)


def changed(path: str, value) -> dict:
    nested = value
    for key in reversed(path.split(".")):
        nested = {key: nested}
    return config.deep_merge(STUDY, nested)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("plugins", ["main.py"], "main.py: no such file: correct its path"),
        ("plugins", "mine.py", "plugins: expected a list of files"),
        ("recipes.own.optimizer", {"scal": 1}, "recipes.own.optimizer.scal: unknown key: did you mean 'scale'?"),
        ("recipes.own.optimizer", {"scale": -1}, "recipes.own.optimizer.scale: Input should be greater than 0"),
        ("recipes.own.schedule", "halve", "recipes.own.schedule: unknown schedule 'halve': did you mean 'halved'?"),
        ("recipes.own.loss", "my_los", "recipes.own.loss: unknown loss 'my_los': did you mean 'my_loss'?"),
        ("recipes.own.metrics", ["zeroes"], "'zeroes' is not measured by a plugin (@register_metric): did you mean"),
        ("metrics", {"zeros": {"direction": "up"}}, "metrics.zeros.direction: unknown 'up'"),
        ("recipes.own.augment", ["none", "dark"], "unknown augment 'dark': did you mean 'darker'?"),
        ("recipes.own.norm_settings", {"my_nor": {}}, "unknown norm 'my_nor': did you mean 'my_norm'?"),
        ("recipes.own.norm_settings", {"my_norm": {"fact": 1}}, "norm_settings.my_norm: fact: unknown key"),
        ("experiments.all_of_it.arch", ["my_ned"], "unknown arch 'my_ned': did you mean 'my_net'?"),
    ],
)
def test_mistakes_in_the_configuration(folder, path, value, words):
    assert words in complaint(changed(path, value))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINE + "\n1 / 0\n", "mine.py:{last}: ZeroDivisionError: division by zero: correct the plugin"),
        (MINE + "\nimport no_such_module\n", "mine.py:{last}: ModuleNotFoundError: No module named 'no_such_module'"),
        (MINE + "\ndef broken(:\n", "mine.py:{last}: not readable as Python: invalid syntax"),
        (MINE.replace("my_net(", "vgg16("), "arch 'vgg16' is in"),
    ],
)
def test_mistakes_in_a_plugin_name_file_and_line(folder, text, words):
    (folder / "mine.py").write_text(text)
    plugins._IMPORTED.clear()
    assert words.format(last=len(text.splitlines())) in complaint(STUDY)


def test_a_package_that_is_installed_brings_its_names(folder, monkeypatch):
    package = folder / "site" / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text(
        "from renorm.models.registry import register_arch\n\n"
        "@register_arch('Theirs')\ndef their_net(c, s, n):\n    pass\n"
    )
    info = folder / "site" / "my_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[renorm.plugins]\nnets = my_package.nets\n")
    monkeypatch.setenv("PYTHONPATH", f"{folder / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert "Theirs" in renorm("list", "archs").stdout


def test_networks_of_torchvision_by_name_and_weights_from_a_file(folder):
    import torch

    from renorm.training.network import load_pretrained

    study = config.load("config.yaml")
    arch = {"arch": ["torchvision/resnet18"], "norm": ["batch_norm"]}
    write(changed("experiments.all_of_it", arch))
    study = config.load("config.yaml")
    (cell,) = grid.cells(study)
    assert cell.arch == "torchvision.resnet18"
    assert set(finished.identity(study, cell).code) >= {"arch"}  # of torchvision's own file
    words = "arch: unknown arch 'torchvision.resnet19': torchvision: did you mean 'resnet18'?"
    assert words in complaint(changed("experiments.all_of_it", {"arch": ["torchvision/resnet19"]}))
    net = models.build("torchvision.resnet18", 10, 32, 1)
    assert net(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
    torch.save(net.state_dict(), "weights.pth")
    other = models.build("torchvision/resnet18", 7, 32, 1)
    head = other.fc.weight.clone()
    load_pretrained(other, "weights.pth")
    assert torch.equal(other.conv1.weight, net.conv1.weight) and torch.equal(other.fc.weight, head)
    with pytest.raises(
        RenormError, match=r"pretrained: weights.pth: conv1.weight: expected .*3, 7, 7.*, found .*1, 7, 7"
    ):
        load_pretrained(models.build("torchvision.resnet18", 7, 32, 3), "weights.pth")
    with pytest.raises(RenormError, match="pretrained: config.yaml: is not a state dict"):
        load_pretrained(other, "config.yaml")
    with pytest.raises(RenormError, match="pretrained: none.pth: cannot be read"):
        load_pretrained(other, "none.pth")


def test_the_content_of_pretrained_weights_is_part_of_the_cell_and_their_place_is_not(folder):
    (folder / "weights.pth").write_bytes(b"one")
    write(changed("recipes.own.pretrained", "weights.pth"))
    study = config.load("config.yaml")
    cell = next(iter(grid.cells(study)))
    wanted = finished.identity(study, cell)
    (folder / "moved").mkdir()
    os.rename("weights.pth", "moved/weights.pth")
    write(changed("recipes.own.pretrained", "moved/weights.pth"))
    assert finished.identity(config.load("config.yaml"), cell).code == wanted.code
    (folder / "moved/weights.pth").write_bytes(b"other")
    assert finished.identity(config.load("config.yaml"), cell).code["pretrained"] != wanted.code["pretrained"]
