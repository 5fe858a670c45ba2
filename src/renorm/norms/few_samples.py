"""The same truncated iteration where there are fewer samples than features.

With P the centred samples (features, s), covariance + eps·I = eps·I + P Pᵀ/s, and every polynomial of it has the form

    a·I + P V Pᵀ/s,   (a, V)·(b, U) = (ab, aU + bV + V K U),   K = PᵀP/s

with V of s×s: the whole iteration runs on matrices of the size of the batch. A convolution as wide as the image has
3072 features and a batch of 128 a single patch an image: 128³ instead of 3072³. Gradients by autograd.

The small matrices are float64: on the range of P, D is the difference of a = up to 1/√eps and P V Pᵀ/s of equal size.
"""

from typing import Any

import torch
from torch import Tensor

from renorm.norms.patches import Sampler
from renorm.norms.products import exact_products, few_launches
from renorm.norms.whitening import centred, refuse_double_backward


def pays(device: torch.device, samples: int, features: int) -> bool:
    """Whether this way is the faster one: on a GPU, where it is 200 small operations, for very large matrices only."""
    return 3 * samples <= features and not (few_launches(device) and features <= 1024)


class CentredSamples(torch.autograd.Function):
    """x, sampler, features, bfloat16 -> centred samples (features, s), mean (features, 1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sampler: Sampler, features: int, bfloat16: bool):
        samples, mean = centred(x, sampler, 1, features, bfloat16)
        ctx.sampler = sampler
        ctx.save_for_backward(x)
        return samples, mean

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_mean: Tensor):
        refuse_double_backward()
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        (x,) = ctx.saved_tensors
        grad = grad + (grad_mean / grad.shape[-1] - grad.mean(-1, keepdim=True))
        return ctx.sampler.scatter(grad, x).to(x.dtype), None, None, None


def whiten_rows(samples: Tensor, rows: Tensor, eps: float, iterations: int) -> tuple[Tensor, Tensor]:
    """rows·D and, without gradient, D ≈ (P Pᵀ/s + eps·I)^(−1/2), for centred samples P."""
    with exact_products(samples.device):
        p = samples.double() * samples.shape[-1] ** -0.5
        a, v = _inverse_root(p, eps, iterations)
        wide = rows.double()
        white = a * wide + torch.matmul(torch.matmul(torch.matmul(wide, p), v), p.mT)
        with torch.no_grad():
            d = torch.matmul(torch.matmul(p, v).to(rows.dtype), p.mT.to(rows.dtype))
            d.diagonal().add_(a)
    return white.to(rows.dtype), d


def _inverse_root(p: Tensor, eps: float, iterations: int) -> tuple[Tensor, Tensor]:
    """(a, V) of D = a·I + p V pᵀ ≈ (p pᵀ + eps·I)^(−1/2); the one-variable iteration of newton_schulz.py."""
    k = torch.matmul(p.mT, p)
    norm = (k.pow(2).sum() + 2 * eps * k.trace() + eps**2 * len(p)).sqrt()
    w = eps / norm, torch.eye(len(k), dtype=k.dtype, device=k.device) / norm
    z = _half_step(w)
    for _ in range(iterations - 1):
        t = _half_step(w)
        w = _symmetric(_times(_times(w, t, k), t, k))
        z = _times(_half_step(w), z, k)
    return z[0] / norm.sqrt(), z[1] / norm.sqrt()


def _half_step(w: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """T = 1.5 I − 0.5 W."""
    return 1.5 - 0.5 * w[0], -0.5 * w[1]


def _times(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], k: Tensor) -> tuple[Tensor, Tensor]:
    (a, v), (b, u) = x, y
    return a * b, a * u + b * v + torch.matmul(torch.matmul(v, k), u)


def _symmetric(x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return x[0], 0.5 * (x[1] + x[1].mT)
