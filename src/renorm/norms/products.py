"""Matrix products of the deconvolved layers: in full float32, and those whose result is symmetric by half."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

LEAF = 144  # rows from which on halving no longer pays; measured on one thread, MKL, AVX-512


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Autocast and TF32 (CUDA), bf16 and TF32 (CPU) off for matrix products within; the settings come back after.

    Five steps of the iteration amplify a product's rounding error about a thousandfold: with TF32's 1e-3 nothing of
    the result would be left.
    """
    backend = torch.backends.cuda.matmul if device.type == "cuda" else torch.backends.mkldnn.matmul
    before = backend.fp32_precision
    if before != "ieee":
        backend.fp32_precision = "ieee"
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if before != "ieee":
            backend.fp32_precision = before


def symmetric_product(a: Tensor, b: Tensor) -> Tensor:
    """a·b, of which it is known that it is symmetric: on a CPU the blocks below the diagonal, mirrored.

    Two thirds of the time at 576. Batches, and other devices, where many small products lose, take the whole product.
    """
    if a.dim() > 2 or a.device.type != "cpu":
        return torch.matmul(a, b)
    out = a.new_empty(a.shape[0], a.shape[0])
    _lower_blocks(out, a, b)
    return out


def gram(samples: Tensor) -> Tensor:
    """samples·samplesᵀ."""
    return symmetric_product(samples, samples.mT)


def gram_bfloat16(samples: Tensor) -> Tensor:
    """The same for values that bfloat16 holds: summed in float32 wherever it runs, on a GPU at bfloat16's speed."""
    if samples.device.type != "cuda":
        return gram(samples)
    low = samples.bfloat16()
    return (torch.mm if low.dim() == 2 else torch.bmm)(low, low.mT, out_dtype=torch.float32).to(samples.dtype)


def _lower_blocks(out: Tensor, a: Tensor, b: Tensor) -> None:
    half = len(a) // 2
    if len(a) <= LEAF:
        torch.mm(a, b, out=out)
        return
    _lower_blocks(out[:half, :half], a[:half], b[:, :half])
    _lower_blocks(out[half:, half:], a[half:], b[:, half:])
    torch.mm(a[half:], b[:, :half], out=out[half:, :half])
    out[:half, half:] = out[half:, :half].mT
