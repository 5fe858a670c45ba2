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

from renorm.norms.products import few_launches, fma, identity


def frobenius(a: Tensor) -> Tensor:
    """‖A‖ without dimensions, or of each matrix (groups, 1, 1); summed in float64: squares of 1e20 overflow float32."""
    if a.dim() == 2:
        return torch.linalg.vector_norm(a, dtype=torch.float64)
    return torch.linalg.vector_norm(a, dim=(-2, -1), keepdim=True, dtype=torch.float64).to(a.dtype)


def forward(a: Tensor, iterations: int) -> tuple[Tensor, list[Tensor]]:
    """For symmetric positive definite `a`: D ≈ a^(−1/2), and what `backward` needs.

    That is ‖A‖, √‖A‖, W₀ and, for each further step, a pair of W above −2Z (…, 2F, F): one product by T moves both on.
    """
    norm, size = frobenius(a), a.shape[-1]
    root, w = norm.sqrt(), a / norm
    kept = [norm, root, w]
    if iterations == 1:
        return torch.add(w, identity(w), alpha=-3).mul_(-0.5).div_(root), kept
    pair = a.new_empty(*a.shape[:-2], 2 * size, size)
    torch.add(w, identity(w), alpha=-3, out=pair[..., size:, :])
    v = times_t(w, w)
    for step in range(1, iterations):
        # W is made symmetric in every step: rounding would grow in the part that does not commute with A, and
        # `backward`, which relies on symmetry, would be the gradient of another function (100 times the error at 15)
        half = fma(0.75, v, -0.25, v, w)
        w = torch.add(half, half.mT, out=pair[..., :size, :])
        kept.append(pair)
        if step < iterations - 1:
            pair = times_t(pair, w)
            v = pair[..., :size, :]
    z = pair[..., size:, :]
    return fma(-0.75, z, 0.25, z, w).div_(root), kept


def backward(a: Tensor, saved: list[Tensor], rows: Tensor, grad: Tensor, inner: Tensor) -> Tensor:
    """dL/dA, symmetric, for G = dL/dD = rowsᵀ·grad and ⟨G, D⟩ = `inner`.

    D is a polynomial of the symmetric A, so its derivative is self-adjoint and every gradient on the way may be
    symmetrised. With E = dL/dW after a step, the adjoint of the cubic W ← W T² is N + Nᵀ with H = ½(E − W E),
    S = H + ½Hᵀ and N = 1.5 S − ½W S: two products. The Z chain costs two more a step: 16 products instead of 26 at five
    steps, and fewer on a CPU when the gradient's rank is small and G is kept as left·right.
    """
    if few_launches(a.device):
        return _backward_stacked(saved, rows, grad, inner)
    (norm, root, w0, *pairs), size = saved, a.shape[-1]
    left, right = rows.mT, None if rows.shape[-2] * 3 >= rows.shape[-1] * 2 else grad
    if right is None:  # from two thirds of full rank on, factors cost more
        left = torch.matmul(left, grad)
    g, e = left / root, None
    for pair in reversed(pairs):
        w, z = pair[..., :size, :], pair[..., size:, :]
        n = None if e is None else _cubic(w, e)
        n = _plus(n, 0.125, g, (z if right is None else torch.matmul(z, right.mT)).mT)
        e = n + n.mT
        g = fma(1.5, g, -0.5, w, g)
    n = None if e is None else _cubic(w0, e)
    if right is not None:
        n = _plus(n, -0.25, g, right)
    elif n is None:
        n = g * -0.25
    else:
        n.add_(g, alpha=-0.25)
    return _through_norm(n + n.mT, w0, inner, norm)


def _backward_stacked(saved: list[Tensor], rows: Tensor, grad: Tensor, inner: Tensor) -> Tensor:
    """`backward` with fewer launches: what N gets along the Z chain is summed within the product that it needs anyway.

    That is (W −2Zᵀ)·(S above −¼Gᵀ), of twice the depth, with the kept pairs as they are and G transposed, below S.
    """
    (norm, root, w0, *pairs), size = saved, rows.shape[-1]
    stacks = [rows.new_empty(*w0.shape[:-2], 2 * size, size) for _ in range(2)]
    g, e = stacks[0][..., size:, :], None
    fma(0.0, w0, -0.25, grad.mT, rows, out=g).div_(root)
    for pair in reversed(pairs):
        w = pair[..., :size, :]
        if e is None:
            n = fma(0.0, w0, -0.5, pair[..., size:, :].mT, g)
        else:
            s = _symmetrised(w, e, out=stacks[0][..., :size, :])
            n = fma(1.5, s, -0.5, pair.mT, stacks[0])
        e = n + n.mT
        stacks.reverse()
        g = fma(1.5, g, -0.5, g, w, out=stacks[0][..., size:, :])
    n = g if e is None else _cubic(w0, e).add_(g)
    return _through_norm(n + n.mT, w0, inner, norm)


def _through_norm(e: Tensor, w0: Tensor, inner: Tensor, norm: Tensor) -> Tensor:
    """dL/dA of e = dL/dW₀: A enters through W₀ = A/‖A‖ and through the final division by √‖A‖."""
    along = torch.add(frobenius_product(e, w0), inner, alpha=0.5)
    return torch.addcmul(e, w0, along, value=-1).div_(norm)


def times_t(x: Tensor, w: Tensor) -> Tensor:
    """x·T = 1.5 x − 0.5 x·W."""
    return fma(1.5, x, -0.5, x, w)


def frobenius_product(a: Tensor, b: Tensor) -> Tensor:
    """⟨a, b⟩: of two matrices without dimensions, of two batches (groups, 1, 1)."""
    if a.dim() > 2:
        return (a * b).sum((-2, -1), keepdim=True)
    return torch.dot(a.reshape(-1), b.reshape(-1)) if few_launches(a.device) else (a * b).sum()


def _cubic(w: Tensor, e: Tensor) -> Tensor:
    """N above, by which dL/dW before a step is N + Nᵀ."""
    s = _symmetrised(w, e)
    return fma(1.5, s, -0.5, w, s)


def _symmetrised(w: Tensor, e: Tensor, out: Tensor | None = None) -> Tensor:
    """S above."""
    h = fma(0.5, e, -0.5, w, e)
    return torch.add(h, h.mT, alpha=0.5, out=out)


def _plus(n: Tensor | None, alpha: float, a: Tensor, b: Tensor) -> Tensor:
    """n + alpha·a·b, where n may be absent."""
    if n is None:
        return fma(0.0, a.new_empty(()).expand(*a.shape[:-1], b.shape[-1]), alpha, a, b)
    return fma(1.0, n, alpha, a, b)
