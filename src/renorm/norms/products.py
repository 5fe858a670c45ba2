"""Matrix products of the deconvolved layers: in full float32, and those whose result is symmetric by half."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache

import torch
from torch import Tensor

NO_LAUNCHES = frozenset({"cpu"})  # devices on which an operation costs what it does, and its start nothing
LEAF = 144  # rows from which on halving no longer pays; measured on one thread, MKL, AVX-512


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Autocast and TF32 (CUDA), bf16 and TF32 (CPU) off for matrix products within; the settings come back after.

    Five steps of the iteration amplify a product's rounding error about a thousandfold: with TF32's 1e-3 nothing of
    the result would be left.
    """
    backend = torch.backends.cuda.matmul if device.type == "cuda" else torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = backend.fp32_precision
    if before != "ieee":
        backend.fp32_precision = "ieee"
    try:
        with without_autocast(device):
            yield
    finally:
        if before != "ieee":
            backend.fp32_precision = before


def without_autocast(device: torch.device) -> AbstractContextManager:
    """Autocast off within, where it is on: entering torch's context costs as much as a small product's launch."""
    kind = device.type
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()


def few_launches(device: torch.device) -> bool:
    """Whether the layers take the form with the fewest operations, however much each does: anywhere but on a CPU."""
    return device.type not in NO_LAUNCHES


def fma(beta: float, c: Tensor, alpha: float, a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """beta·c + alpha·a·b in one product; c is broadcast, and not read if beta is 0."""
    return (torch.addmm if a.dim() == 2 else torch.baddbmm)(c, a, b, beta=beta, alpha=alpha, out=out)


def identity(like: Tensor) -> Tensor:
    """I (F, F) of the dtype and device of `like` (…, F, n), which nobody may change: it is kept."""
    place = like.shape[-2], like.dtype, like.device
    return _identity(*place) if type(like) is Tensor else _identity.__wrapped__(*place)  # fake tensors are not kept


@lru_cache(maxsize=64)
def _identity(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.eye(size, dtype=dtype, device=device)


def symmetric_product(a: Tensor, b: Tensor) -> Tensor:
    """a·b, of which it is known that it is symmetric: on a CPU the blocks below the diagonal, mirrored.

    Two thirds of the time at 576. Batches, and other devices, where many small products lose, take the whole product.
    """
    if a.dim() > 2 or few_launches(a.device):
        return torch.matmul(a, b)
    out = a.new_empty(a.shape[0], a.shape[0])
    _lower_blocks(out, a, b)
    return out


def covariance(samples: Tensor, eps: float, bfloat16: bool) -> Tensor:
    """samples·samplesᵀ/n + eps·I of centred (…, F, n). `bfloat16`: the samples are values that bfloat16 holds.

    Those are summed in float32 wherever it runs, on a GPU at bfloat16's speed.
    """
    n = samples.shape[-1]
    if few_launches(samples.device) and not bfloat16:
        return fma(eps, identity(samples), 1 / n, samples, samples.mT)
    out = (_gram_bfloat16(samples) if bfloat16 else symmetric_product(samples, samples.mT)).div_(n)
    out.diagonal(dim1=-2, dim2=-1).add_(eps)
    return out


def _gram_bfloat16(samples: Tensor) -> Tensor:
    if samples.device.type != "cuda":
        return symmetric_product(samples, samples.mT)
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
