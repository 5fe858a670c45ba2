"""The truncated inverse square root and its derivative by way of the eigenvalues.

The iteration of newton_schulz.py is a polynomial p of A/‖A‖. With A = U Λ Uᵀ it is p of each eigenvalue, and the
derivative in a direction G is U (Γ ∘ UᵀGU) Uᵀ with the divided differences Γᵢⱼ = (p(λᵢ) − p(λⱼ))/(λᵢ − λⱼ) (Higham
2008, Functions of Matrices, theorem 3.11). That is the same truncated result, not one better converged: p is evaluated
by the iteration itself, on numbers, and so is Γ, by its product rule and without a division that could cancel.

On a CPU eigenvalues and vectors of a 576² matrix cost as much as ten products, and what follows five, however many the
steps; the iteration costs 28 at five steps. On a GPU it is the other way round, and the host would be waited for.

The decomposition is one of float64: float32's error in it, which 15 steps amplify ten-thousandfold, is larger than that
of the products it saves.
"""

import torch
from torch import Tensor

from renorm.norms.newton_schulz import frobenius
from renorm.norms.products import few_launches, symmetric_product


def pays(a: Tensor, iterations: int) -> bool:
    """Whether this way is the faster one (measured on one thread), and open to `a`."""
    fast = not few_launches(a.device) and a.dim() == 2 and len(a) >= 128 and iterations >= 5
    return fast and bool(a.isfinite().all())


def forward(a: Tensor, iterations: int) -> tuple[Tensor, list[Tensor]]:
    """For symmetric positive definite `a` (F, F): D ≈ a^(−1/2), and what `backward` needs."""
    norm = frobenius(a)
    values, vectors = torch.linalg.eigh(a.double())
    w, z = _steps(values / norm, iterations)
    vectors = vectors.to(a.dtype)
    d = symmetric_product(vectors * (z[-1].to(a.dtype) / norm.sqrt()), vectors.mT)
    return d, [vectors, torch.stack(w[:-1]).to(a.dtype), torch.stack(z[:-1]).to(a.dtype)]


def backward(a: Tensor, saved: list[Tensor], rows: Tensor, grad: Tensor, inner: Tensor) -> Tensor:
    """dL/dA, symmetric, for dL/dD = rowsᵀ·grad and ⟨dL/dD, D⟩ = `inner`."""
    vectors, w, z = saved
    norm = frobenius(a)
    low_rank = len(rows) < len(a)
    inside = (rows @ vectors).mT @ (grad @ vectors) if low_rank else vectors.mT @ (rows.mT @ grad) @ vectors
    inside = (inside + inside.mT).mul_(_divided_differences(w, z))
    e = symmetric_product(vectors, inside @ vectors.mT).mul_(0.5 / norm.sqrt())
    # A enters through A/‖A‖ and through the final division by √‖A‖
    along = (e * a).sum() / norm + 0.5 * inner
    return e.sub_(a * (along / norm)).div_(norm)


def _steps(w: Tensor, iterations: int) -> tuple[list[Tensor], list[Tensor]]:
    """[w₀ … w_n] and [z₀ … z_n] of the iteration on numbers."""
    ws, zs = [w], [torch.ones_like(w)]
    for _ in range(iterations):
        t = 1.5 - 0.5 * ws[-1]
        ws.append(ws[-1] * t * t)
        zs.append(zs[-1] * t)
    return ws, zs


def _divided_differences(ws: Tensor, zs: Tensor) -> Tensor:
    """Γ (F, F) of w₀ ↦ z_n, for w and z (steps, F) before each step; w′ = 2.25 w − 1.5 w² + 0.25 w³, z′ = t z."""
    dw = ws.new_ones(ws.shape[1], ws.shape[1])
    dz = -0.5 * dw
    for before, w, z in zip(ws, ws[1:], zs[1:], strict=False):
        dw.mul_(_cubic_difference(before))
        dz.mul_((1.5 - 0.5 * w)[:, None]).addcmul_(dw, z, value=-0.5)
    return dz


def _cubic_difference(w: Tensor) -> Tensor:
    """(F, F): w′[i, j] = 2.25 − 1.5 (wᵢ + wⱼ) + 0.25 (wᵢ² + wᵢwⱼ + wⱼ²), as a product of rank 3."""
    one, bend = torch.ones_like(w), w * (0.25 * w - 1.5)
    return torch.stack([2.25 + bend, one, 0.25 * w], 1) @ torch.stack([one, bend, w])
