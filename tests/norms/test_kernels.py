"""The Triton kernels: equal to the torch form in emulation, compiled for GPUs that are not there, and the switch."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from renorm.core.errors import RenormError
from renorm.norms import kernels, newton_schulz

from .counting import launches_of_a_step

META, CPU = torch.device("meta"), torch.device("cpu")
ROOT = Path(__file__).parents[2]
COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from renorm.norms import triton_iteration as kernels

POINTERS = {"_forward": "a norms d w0 pairs", "_backward": "grad norms d w0 pairs scratch e"}
for name, size, capability in (("_forward", 9, 80), ("_backward", 48, 90)):
    shape = kernels.shape(size)
    options = {key: shape.pop(key) for key in ("num_warps", "num_stages")}
    constants = {"SIZE": size, "STEPS": 5} | shape
    signature = dict.fromkeys(POINTERS[name].split(), "*fp32") | dict.fromkeys(constants, "constexpr")
    source = ASTSource(getattr(kernels, name), signature, constants)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    # What a GPU of every kind has; products are not rounded to TF32; no load may bypass the barriers
    assert made.metadata.shared <= 48 * 1024, made.metadata.shared
    assert "tf32" not in made.asm["ptx"] and "ld.global.nc" not in made.asm["ptx"]
    assert made.asm["ptx"].count("bar.sync") and made.asm["cubin"]
"""


def run(*arguments: str, **environment: str) -> None:
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kernels_equal_the_torch_form_in_triton_s_interpreter():
    run(
        "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/norms/interpreted_kernels.py", TRITON_INTERPRET="1"
    )


def test_kernels_compile_for_gpus_of_compute_capability_8_and_9():
    run("-c", COMPILE)


def launched(conv: nn.Conv2d) -> int:
    """Launches of a step; 0 where the torch form was taken."""
    counts = launches_of_a_step(conv)
    assert ("renorm::inverse_root" in counts) is ("renorm::inverse_root_backward" in counts)
    return counts.total() if "renorm::inverse_root" in counts else 0


@pytest.mark.parametrize(
    ("conv", "most"), [(nn.Conv2d(256, 64, 1), 26), (nn.Conv2d(64, 64, 1), 20), (nn.Conv2d(32, 32, 3, groups=32), 22)]
)
def test_iteration_and_gradient_of_a_small_layer_are_a_launch_each(conv, most, monkeypatch):
    pytest.importorskip("triton")
    assert 0 < launched(conv) <= most
    monkeypatch.setenv(kernels.SWITCH, "torch")
    assert launched(conv) == 0


def test_large_matrices_and_other_dtypes_and_the_cpu_take_the_torch_form():
    pytest.importorskip("triton")
    assert kernels.pays(torch.empty(128, 128, device=META), 5)
    assert not kernels.pays(torch.empty(129, 129, device=META), 5)
    assert not kernels.pays(torch.empty(9, 9, device=META, dtype=torch.float64), 5)
    assert not kernels.pays(torch.empty(9, 9), 5)


def test_an_unknown_choice_is_named(monkeypatch):
    monkeypatch.setenv(kernels.SWITCH, "yes")
    with pytest.raises(RenormError, match="^RENORM_KERNELS: 'yes': expected triton or torch$"):
        kernels.choice()


@pytest.fixture
def trusted():
    kernels._trusted.cache_clear()
    yield kernels._trusted
    kernels._trusted.cache_clear()


@pytest.mark.parametrize("worst", [1e-2, float("nan")])
def test_a_kernel_that_differs_on_the_device_is_named_and_not_used(worst, trusted, monkeypatch, caplog):
    monkeypatch.setattr(kernels, "differences", lambda *of: (1e-7, worst))
    with caplog.at_level(logging.WARNING):
        assert not trusted(CPU, 9, 5) and not trusted(CPU, 9, 5)
    assert [record.getMessage() for record in caplog.records] == [
        f"RENORM_KERNELS: the Triton kernel for 9 features is not used on cpu: "
        f"D and its gradient differ by 1.0e-07 and {worst:.1e}"
    ]


def test_a_kernel_that_does_not_run_on_the_device_is_named_and_not_used(trusted, caplog):
    pytest.importorskip("triton")
    with caplog.at_level(logging.WARNING):
        assert not trusted(CPU, 9, 5)  # Triton compiles for no CPU
    assert "is not used on cpu: " in caplog.text


def test_a_kernel_that_agrees_is_used(trusted, monkeypatch):
    def backward(a, saved, rows, grad):
        inner = newton_schulz.frobenius_product(rows.mT @ grad, newton_schulz.forward(a, 5)[0])
        return newton_schulz.backward(a, saved, rows, grad, inner)

    monkeypatch.setattr(kernels, "forward", newton_schulz.forward)
    monkeypatch.setattr(kernels, "backward", backward)
    before = torch.random.get_rng_state()
    assert trusted(CPU, 9, 5)
    assert torch.equal(before, torch.random.get_rng_state())
