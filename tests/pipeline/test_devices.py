"""On which device the cells of a study are trained, as the real Snakemake would start them."""

import re

import pytest

from .conftest import STUDY

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def checkout(make_checkout, tmp_path_factory):
    return make_checkout(tmp_path_factory.mktemp("devices"))


@pytest.mark.parametrize(
    ("keys", "given"),
    [
        # Planned as a processor's work, so that no GPU may be used that happens to be there.
        ({"device": "auto", "gpu": 0}, "--device cpu .* --gpus 1 --gpu-slots 0 "),
        ({"device": "auto", "gpu": 1, "gpu_slots": 3}, "--device auto .* --gpus 1 --gpu-slots 3 "),
        ({"device": "cuda", "gpu": 2}, "--device cuda .* --gpus 2 --gpu-slots 0 "),
        ({"device": "cpu", "gpu": 2}, "--device cpu .* --gpus 1 "),
    ],
)
def test_a_cell_is_trained_where_it_was_planned(checkout, keys, given):
    checkout.write(STUDY | keys)
    commands = re.findall(r"renorm train .*", checkout.snakemake("--dry-run", "--printshellcmds"))
    assert len(commands) == 3
    assert all(re.search(given, command) for command in commands), commands
