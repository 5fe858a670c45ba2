"""The truncated inverse square root and its derivative, by hand.

The coupled Newton-Schulz iteration (Higham 2008, Functions of Matrices, eq. 6.35; Ye et al. 2020, section 3.5)

    Y₀ = A/‖A‖, Z₀ = I;  T = ½(3I − Z Y);  Y ← Y T;  Z ← T Z;  A^(−1/2) ≈ Z/√‖A‖

is written in the one variable W = Z Y, since all its matrices are polynomials of A and commute:

    T = ½(3I − W);  W ← W T²;  Z ← T Z

with three products a step, none for the first Z and none for the last W: 12 products instead of 15 at five steps.
The result is the same truncated polynomial of A, whether or not it has converged.

All functions take one matrix (F, F) or a batch (groups, F, F). spectral.py has the same result another way.
"""

import torch
from torch import Tensor


def frobenius(a: Tensor) -> Tensor:
    """‖A‖ of each matrix, shaped to divide it. Summed in float64: squares of 1e20 overflow float32."""
    return torch.linalg.vector_norm(a, dim=(-2, -1), keepdim=True, dtype=torch.float64).to(a.dtype)


def forward(a: Tensor, iterations: int) -> tuple[Tensor, list[Tensor]]:
    """For symmetric positive definite `a`: D ≈ a^(−1/2), and W₀ … W_{n−1}, Z₁ … Z_{n−1} of the n steps."""
    norm = frobenius(a)
    w = a / norm
    z = w * -0.5
    z.diagonal(dim1=-2, dim2=-1).add_(1.5)
    ws, zs = [w], []
    for _ in range(iterations - 1):
        # Made symmetric in every step: rounding would grow in the part that does not commute with A, and `backward`,
        # which relies on symmetry, would then be the gradient of another function (100 times the error at 15 steps)
        half = fma(0.75, v := times_t(w, w), -0.25, v, w)
        w = half + half.mT
        ws.append(w)
        zs.append(z)
        z = fma(1.5, z, -0.5, w, z)
    return z / norm.sqrt(), ws + zs


def backward(a: Tensor, saved: list[Tensor], rows: Tensor, grad: Tensor, inner: Tensor) -> Tensor:
    """dL/dA, symmetric, for G = dL/dD = rowsᵀ·grad and ⟨G, D⟩ = `inner`.

    D is a polynomial of the symmetric A, so its derivative is self-adjoint and every gradient on the way may be
    symmetrised. With E = dL/dW after a step, the adjoint of the cubic W ← W T² is K + Kᵀ with H = T E and
    K = T (H + ½Hᵀ − 1.5 E): two products. The Z chain costs two more a step: 16 products instead of 26 at five steps,
    and fewer when the gradient's rank is small and G is kept as left·right.
    """
    ws, zs = saved[: (len(saved) + 1) // 2], saved[(len(saved) + 1) // 2 :]
    left, right = rows.mT, grad
    if rows.shape[-2] * 3 >= rows.shape[-1] * 2:  # from two thirds of full rank on, factors cost more
        left, right = torch.matmul(left, right), None
    norm = frobenius(a)
    g, e = left / norm.sqrt(), None
    for step in reversed(range(len(ws))):
        w = ws[step]
        n = None if e is None else _cubic(w, e)
        n = _accumulate(n, g, right, zs[step - 1] if step else None)
        e = n + n.mT
        if step:
            g = fma(1.5, g, -0.5, w, g)
    # A enters through W₀ = A/‖A‖ and through the final division by √‖A‖
    along = (e * a).sum((-2, -1), keepdim=True) / norm + 0.5 * inner
    return (e - along * (a / norm)) / norm


def times_t(x: Tensor, w: Tensor) -> Tensor:
    """x·T = 1.5 x − 0.5 x·W."""
    return fma(1.5, x, -0.5, x, w)


def fma(beta: float, c: Tensor, alpha: float, a: Tensor, b: Tensor) -> Tensor:
    """beta·c + alpha·a·b in one product."""
    return (torch.addmm if a.dim() == 2 else torch.baddbmm)(c, a, b, beta=beta, alpha=alpha)


def _cubic(w: Tensor, e: Tensor) -> Tensor:
    """K above, by which dL/dW before a step is K + Kᵀ."""
    h = fma(1.5, e, -0.5, w, e)
    s = h.add(h.mT, alpha=0.5).sub_(e, alpha=1.5)
    return fma(1.5, s, -0.5, w, s)


def _accumulate(n: Tensor | None, g: Tensor, right: Tensor | None, z: Tensor | None) -> Tensor:
    """n − ¼ G·Zᵀ, where n may be absent, G is g or g·right, and Z may be the identity (None)."""
    if right is not None:
        z = right if z is None else right @ z.mT
        return _minus_quarter(n, g, z)
    if z is None:
        return g * -0.25 if n is None else n.add(g, alpha=-0.25)
    return _minus_quarter(n, g, z.mT)


def _minus_quarter(n: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    return torch.matmul(a, b).mul_(-0.25) if n is None else fma(1.0, n, -0.25, a, b)
