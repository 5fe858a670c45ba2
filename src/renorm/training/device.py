"""The device of a training process: which one, how it computes, and what its errors mean."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from renorm.core.errors import RenormError
from renorm.training.allocator import keep_freed_memory


def device_named(name: str) -> torch.device:
    """The device that a configuration names.

    Args:
        name: "cpu", "cuda", or "auto" for CUDA where there is a device and the CPU elsewhere.

    Raises:
        RenormError: "cuda" where no CUDA device is available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise RenormError("device: 'cuda' was requested and there is no CUDA device here: use cpu or auto")
    return torch.device(name)


def threads_each(threads: int, processes: int) -> int:
    """CPU threads of each of `processes` processes that share `threads`; at least 1."""
    return max(1, threads // max(1, processes))


def configure(hyper: dict[str, Any], threads: int, device: torch.device) -> None:
    """Set threads, determinism and precision of this process; on a CPU its allocator too.

    Args:
        hyper: Resolved hyper-parameters; `deterministic` and `precision` are read.
        threads: CPU threads of this process.
        device: Where it computes.
    """
    torch.set_num_threads(threads)
    keep_freed_memory(device)
    if hyper["deterministic"]:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same as use_deterministic_algorithms(…), which would import torch's compiler as well.
    torch.set_deterministic_debug_mode("error" if hyper["deterministic"] else "default")
    # Nothing here reads memory before it was written, so that filling it all with NaN would be for nothing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # float32: no TF32 anywhere; the others leave convolutions in TF32, as PyTorch does by default, and products not.
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    convolutions.fp32_precision = "ieee" if hyper["precision"] == "float32" else "tf32"
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.benchmark = device.type == "cuda" and not hyper["deterministic"]


def wake(device: torch.device) -> None:
    """Load what every cell on the device loads once: its context, and the libraries of convolutions and products."""
    images, weight = torch.zeros(1, 8, 8, 8, device=device), torch.zeros(8, 8, 3, 3, device=device, requires_grad=True)
    maps = torch.nn.functional.conv2d(images, weight)
    product = maps.flatten(1) @ torch.zeros(maps.numel(), 1, device=device)
    (gradient,) = torch.autograd.grad(product.sum(), weight)
    gradient.sum().item()


def lacks_memory(error: RuntimeError) -> bool:
    """Whether the device's memory was too small: the allocator has a class for it, CUDA, cuDNN and cuBLAS a text."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "_ALLOC_FAILED" in text


@contextmanager
def memory_errors(what: str, batch_size: int) -> Iterator[None]:
    """One `RenormError` for the many errors that a device has for too little memory; others pass.

    Args:
        what: What was computed, the start of the message ("cell …").
        batch_size: Images per step, named in the message.
    """
    try:
        yield
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        place = "the device"
        if torch.cuda.is_initialized():  # there may not have been enough even for that
            place = f"a device of {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"
        raise RenormError(
            f"{what}: CUDA ran out of memory with batch_size {batch_size} on {place}: lower "
            "batch_size, run fewer cells per device, or use one with more memory"
        ) from None
