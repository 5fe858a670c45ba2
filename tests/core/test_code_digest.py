"""Digests change with the meaning of code, and with nothing else."""

import ast
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renorm.core import code_digest, plugins
from renorm.core.errors import RenormError

NETWORK = '''
"""A network."""
import math
from torch import nn
from renorm.models.registry import register_arch

WIDTH = 4

@register_arch("Mine")
def mine(num_classes, image_size, in_channels):
    """Small."""
    # A comment.
    return nn.Sequential(nn.Conv2d(in_channels, WIDTH, 3), nn.Linear(WIDTH, num_classes), name=f"net {WIDTH} wide")
'''
SAME = {
    "comment": NETWORK.replace("# A comment.", "# Another one."),
    "no comment": NETWORK.replace("    # A comment.\n", ""),
    "docstring": NETWORK.replace("Small.", "Small, as in the paper."),
    "no docstring": NETWORK.replace('    """Small."""\n', "").replace('"""A network."""\n', ""),
    "formatting": NETWORK.replace("(in_channels, WIDTH, 3)", "(\n  in_channels,\n  WIDTH,\n  3,\n)"),
    "quotes": NETWORK.replace('"Mine"', "'Mine'"),
    "parentheses": NETWORK.replace("WIDTH = 4", "WIDTH = (4)"),
    "sorted imports": NETWORK.replace("import math\nfrom torch import nn\n", "from torch import nn\nimport math\n"),
    "spelling of a number": NETWORK.replace("WIDTH = 4", "WIDTH = 0x4"),
    "cut of an f-string": NETWORK.replace('f"net {WIDTH} wide"', '"net " f"{WIDTH}" " wide"'),
}
OTHER = {
    "constant": NETWORK.replace("WIDTH = 4", "WIDTH = 64"),
    "type of a constant": NETWORK.replace("WIDTH = 4", "WIDTH = 4.0"),
    "argument": NETWORK.replace("WIDTH, 3)", "WIDTH, 5)"),
    "order": NETWORK.replace("nn.Conv2d(in_channels, WIDTH, 3), nn.Linear(WIDTH, num_classes)",
                             "nn.Linear(WIDTH, num_classes), nn.Conv2d(in_channels, WIDTH, 3)"),
    "f-string": NETWORK.replace("net {WIDTH} wide", "net {WIDTH!r} wide"),
    "decorator": NETWORK.replace('("Mine")', '("Mine", min_size=8)'),
}  # fmt: skip


@pytest.mark.parametrize("change", SAME)
def test_what_means_the_same_has_the_same_digest(change):
    assert SAME[change] != NETWORK
    assert code_digest.of_source(SAME[change]) == code_digest.of_source(NETWORK)


@pytest.mark.parametrize("change", OTHER)
def test_what_means_another_thing_has_another_digest(change):
    assert OTHER[change] != NETWORK
    assert code_digest.of_source(OTHER[change]) != code_digest.of_source(NETWORK)


def test_every_normaliser_survives_a_formatter(root):
    """`ast.unparse` writes a file anew, without comments, in one layout."""
    for path in sorted((root / "src/renorm/norms").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert code_digest.of_source(ast.unparse(ast.parse(text))) == code_digest.of_source(text), path


@given(st.integers(), st.integers())
def test_two_constants_have_two_digests(one, other):
    digests = [code_digest.of_source(f"x = {value}") for value in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


def test_the_digest_is_the_same_on_every_python():
    """Written down, so that a run on any supported version of Python compares with it."""
    assert code_digest.of_source(NETWORK) == "5dbb897cab42d34d"


def test_only_shipped_modules_are_named(root):
    for package, names in plugins.SHIPPED.items():
        assert sorted(names.split()) == sorted(path.stem for path in (root / "src/renorm" / package).glob("*.py"))


@pytest.fixture
def package(root, tmp_path, monkeypatch):
    """A copy of the three packages, to be edited."""
    source = tmp_path / "renorm"
    for name in (*plugins.FOLDERS, "training"):
        shutil.copytree(root / "src/renorm" / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(plugins, "SOURCE", source)
    monkeypatch.setattr(code_digest, "SOURCE", source)
    plugins._shipped.cache_clear()
    yield source
    plugins._shipped.cache_clear()


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
    plugins._shipped.cache_clear()


def digest(arch="mine", norm="none") -> dict[str, str]:
    return code_digest.dropped_in(dataset="digits", arch=arch, norm=norm)


def test_a_cell_of_shipped_code_has_no_dropped_in_digest(package):
    assert digest("tiny_vgg", "deconv") == {}


def test_shipped_code_changes_the_built_in_digest_of_the_cells_that_use_it(package):
    before = {norm: code_digest.built_in(arch="tiny_vgg", norm=norm) for norm in ("batch_norm", "deconv")}
    path = package / "norms/newton_schulz.py"  # imported by whitening, which deconvolution imports
    put(path, path.read_text() + "\nEXTRA = 1\n")
    after = {norm: code_digest.built_in(arch="tiny_vgg", norm=norm) for norm in before}
    assert after["batch_norm"] == before["batch_norm"] and after["deconv"] != before["deconv"]
    assert digest("tiny_vgg", "deconv") == {}


def test_a_dropped_in_network_and_what_it_imports_are_its_identity(package):
    put(package / "models/mine.py", NETWORK.replace("import math", "from renorm.models import mine_layers"))
    put(package / "models/mine_layers.py", "SIZE = 1\n")
    before = digest()
    assert set(before) == {"arch"}
    put(package / "models/mine_layers.py", "SIZE = 1  # pixels\n")
    assert digest() == before
    put(package / "models/mine_layers.py", "SIZE = 22\n")
    assert digest() != before and digest("tiny_vgg") == {}


def test_declared_files_are_digested(package):
    put(package / "models/mine.py", NETWORK.replace('("Mine")', '("Mine", files=("mine.pt", "mine_data"))'))
    with pytest.raises(RenormError, match=r"mine\.pt: cannot be read"):
        digest()
    put(package / "models/mine.pt", b"weights")
    put(package / "models/mine_data/a/1.png", b"image")
    seen = [digest()]
    put(package / "models/mine.pt", b"other weights")
    seen.append(digest())
    put(package / "models/mine_data/a/2.png", b"image")
    seen.append(digest())
    (package / "models/mine_data/a/2.png").rename(package / "models/mine_data/a/3.png")
    seen.append(digest())
    assert len({found["arch"] for found in seen}) == 4


def test_declared_files_must_be_written_out(package):
    put(package / "models/mine.py", NETWORK.replace('("Mine")', '("Mine", files=PATHS)'))
    with pytest.raises(RenormError, match=r"mine\.py:9: files: write the paths out"):
        plugins.definitions("arch")


def test_a_file_that_is_no_python_is_one_line():
    with pytest.raises(RenormError, match=r"^mine\.py:2: not readable as Python: "):
        code_digest.of_source("x = 1\nx = = 2\n", "mine.py")


def test_no_torch_is_imported():
    code = (
        "import sys; from renorm.core import code_digest; code_digest.built_in(arch='vgg16', norm='deconv');"
        "code_digest.dropped_in(arch='vgg16', norm='deconv'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
