"""Full float32 products around statistics and iteration, whatever the training loop has switched on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
