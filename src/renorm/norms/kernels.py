"""Whether small matrices go through the Triton kernels of triton_iteration.py, and the operations that launch them.

The switch is the environment variable RENORM_KERNELS: `triton` (default) or `torch`, which takes torch's products
everywhere. The kernels were written without a GPU at hand: they equal the torch form in Triton's interpreter and
compile for the GPUs of today (tests/norms/test_kernels.py). Therefore every size of matrix is compared once per
process with the torch form on the device itself, before it is used; a kernel that does not compile there, or differs,
is named in a warning and the torch form is taken. The CPU never uses them.
"""

import importlib.util
import logging
import os
from functools import lru_cache

import torch
from torch import Tensor

from renorm.core.errors import RenormError
from renorm.norms import newton_schulz

log = logging.getLogger(__name__)
SWITCH, CHOICES = "RENORM_KERNELS", ("triton", "torch")
LARGEST = 128  # features; one thread block a matrix is too slow for larger ones
TOLERANCE = 1e-4  # of the largest entry; rounding gives 1e-6, TF32 or a race 1e-2 and more

_library = torch.library.Library("renorm", "DEF")
_library.define("inverse_root(Tensor a, int iterations) -> (Tensor, Tensor, Tensor, Tensor)")
_library.define("inverse_root_backward(Tensor grad, Tensor d, Tensor norms, Tensor w0, Tensor pairs) -> Tensor")


def choice() -> str:
    """The value of the switch; `RenormError` for one that is none."""
    value = os.environ.get(SWITCH, CHOICES[0])
    if value not in CHOICES:
        raise RenormError(f"{SWITCH}: {value!r}: expected {' or '.join(CHOICES)}")
    return value


def pays(a: Tensor, iterations: int) -> bool:
    """Whether `forward` takes `a`: float32 on a GPU (or on meta tensors, as there), up to 128 features."""
    device = a.device
    if device.type not in ("cuda", "meta") or a.dtype != torch.float32 or a.shape[-1] > LARGEST:
        return False
    if choice() != "triton" or not _installed():
        return False
    # Meta and fake tensors compute nothing, so there is nothing to compare
    return device.type == "meta" or type(a) is not Tensor or _trusted(device, a.shape[-1], iterations)


def forward(a: Tensor, iterations: int) -> tuple[Tensor, list[Tensor]]:
    """As `newton_schulz.forward`, by one launch."""
    d, *saved = torch.ops.renorm.inverse_root(a.contiguous(), iterations)
    return d, [d, *saved]


def backward(a: Tensor, saved: list[Tensor], rows: Tensor, grad: Tensor, inner: Tensor | None = None) -> Tensor:
    """As `newton_schulz.backward`, by a product and one launch, which finds `inner` itself."""
    return torch.ops.renorm.inverse_root_backward(torch.matmul(rows.mT, grad), *saved)


def differences(device: torch.device, size: int, iterations: int) -> tuple[float, float]:
    """Largest difference of D and of its gradient from the torch form on two random covariances, of the largest entry.

    Takes no number of torch's own generators.
    """
    source = torch.Generator().manual_seed(size)
    samples, rows, grad = (
        torch.randn(2, size, n, generator=source).to(device) for n in (4 * size, size // 2 + 1, size // 2 + 1)
    )
    a = samples @ samples.mT / samples.shape[-1]
    rows, grad = rows.mT.contiguous(), grad.mT.contiguous()
    expected, saved = newton_schulz.forward(a, iterations)
    inner = newton_schulz.frobenius_product(torch.matmul(grad, expected), rows)
    slope = newton_schulz.backward(a, saved, rows, grad, inner)
    d, kept = forward(a, iterations)
    pairs = (d, expected), (backward(a, kept, rows, grad), slope)
    first, second = (float((got - wanted).abs().amax() / wanted.abs().amax()) for got, wanted in pairs)
    return first, second


@lru_cache(maxsize=1)
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None


@lru_cache(maxsize=256)
def _trusted(device: torch.device, size: int, iterations: int) -> bool:
    """Whether the kernels give the torch form's result for matrices of `size` on `device`."""
    try:
        with torch.no_grad():
            found = differences(device, size, iterations)
    except Exception as error:  # of Triton, its compiler or the driver: whatever it is, the torch form works
        why = f"{type(error).__name__}: {error}"
    else:
        if all(difference <= TOLERANCE for difference in found):  # not max(), which passes over NaN
            return True
        why = f"D and its gradient differ by {found[0]:.1e} and {found[1]:.1e}"
    log.warning("%s: the Triton kernel for %d features is not used on %s: %s", SWITCH, size, device, why)
    return False


def _launch(a: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from renorm.norms import triton_iteration

    return triton_iteration.forward(a, iterations)


def _launch_backward(grad: Tensor, d: Tensor, norms: Tensor, w0: Tensor, pairs: Tensor) -> Tensor:
    from renorm.norms import triton_iteration

    return triton_iteration.backward(grad.contiguous(), d, norms, w0, pairs)


def _shapes(a: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    size = a.shape[-1]
    pairs = a.new_empty(*a.shape[:-2], iterations - 1, 2, size, size)
    return torch.empty_like(a), a.new_empty(a.shape[:-2]), torch.empty_like(a), pairs


def _shape_backward(grad: Tensor, d: Tensor, norms: Tensor, w0: Tensor, pairs: Tensor) -> Tensor:
    return torch.empty_like(d)


for _device in ("CUDA", "CPU"):  # CPU: of use in Triton's interpreter only
    _library.impl("inverse_root", _launch, _device)
    _library.impl("inverse_root_backward", _launch_backward, _device)
_library.impl("inverse_root", _shapes, "Meta")
_library.impl("inverse_root_backward", _shape_backward, "Meta")
