"""The names that are read from the source are the names that register themselves."""

import os
import shutil
import subprocess
import sys

from renorm.core import plugins


def test_datasets():
    from renorm import data

    assert list(plugins.names("dataset")) == data.list_datasets()


def test_archs():
    from renorm import models

    assert list(plugins.names("arch")) == models.list_archs()


def test_norms():
    from renorm import norms

    assert list(plugins.names("norm")) == norms.list_norms()


def test_no_torch_is_imported_for_the_names(root):
    code = "import sys; from renorm.runs import collect; from renorm.study import config; "
    code += "config.schema(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


OWN_NETWORK = """
from torch import nn
from renorm.models.registry import register_arch

@register_arch{mark}
def my_network(num_classes, image_size, in_channels):
    return nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(num_classes))
"""
OWN_NORM = """
from torch import nn
from renorm.norms.registry import is_batch_norm, register_norm

@register_norm
def my_norm(layer, settings):
    return nn.Tanh() if is_batch_norm(layer) else layer
"""
OWN_CODE = """
from renorm import models
from renorm.core import plugins
assert "my_network" in plugins.names("arch") and "my_norm" in plugins.names("norm")
print(models.create("my_network", "my_norm", 10, 8, 3)[1])
"""


def own_files(root, folder, mark: str):
    """A copy of the package with a file of somebody's own in two of its rooms, used."""
    package = folder / "renorm"
    shutil.copytree(root / "src" / "renorm", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "models" / "mine.py").write_text(OWN_NETWORK.format(mark=mark))
    (package / "norms" / "mine.py").write_text(OWN_NORM)
    env = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, "-c", OWN_CODE], capture_output=True, text=True, env=env)


def test_a_file_put_into_a_room_is_used(root, tmp_path):
    done = own_files(root, tmp_path, '("Mine")')
    assert done.stdout == "Tanh()\n", done.stderr


def test_an_architecture_without_a_title(root, tmp_path):
    done = own_files(root, tmp_path, "")
    assert done.stderr.splitlines()[-1].endswith(
        "architecture 'my_network' has no title: write @register_arch(\"Title\") above it"
    )
