"""Mean, covariance and whitened weight as differentiable functions with hand-written gradients."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from renorm.errors import RenormError
from renorm.norms import newton_schulz, spectral
from renorm.norms.patches import Features, Patches, Pixels
from renorm.norms.products import exact_products, symmetric_product


class PatchStats(torch.autograd.Function):
    """Mean and covariance of the samples in a layer's input (Ye et al. 2020, algorithm 1, lines 2 to 7).

    x, sampler, groups, features, eps -> mean (features, 1), covariance + eps·I (features, features); a leading axis of
    `groups` in both if groups > 1. The rows of the gathered matrix are split as (features, blocks): row
    feature·blocks + block. All blocks count as samples of one covariance.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, sampler: Patches | Pixels | Features, groups: int, features: int, eps):
        with exact_products(x.device):
            samples, mean = centred(x, sampler, groups, features)
            covariance = symmetric_product(samples, samples.mT).div_(samples.shape[-1])
            covariance.diagonal(dim1=-2, dim2=-1).add_(eps)
        ctx.sampler = sampler
        ctx.save_for_backward(x, samples)
        return mean, covariance

    @staticmethod
    def backward(ctx: FunctionCtx, grad_mean: Tensor, grad_covariance: Tensor):
        refuse_double_backward()
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        x, samples = ctx.saved_tensors
        with exact_products(x.device):
            n = samples.shape[-1]
            symmetric = (grad_covariance + grad_covariance.mT).div_(n)
            # The centred samples sum to zero but for rounding; the gradient of a singular covariance (1e7 and more)
            # makes that rest count, so it is taken out here, in a vector, and not by another pass over the gradient
            rest = torch.matmul(symmetric, samples.mean(-1, keepdim=True))
            grad = newton_schulz.fma(1.0, grad_mean / n - rest, 1.0, symmetric, samples)
        return ctx.sampler.scatter(grad, x).to(x.dtype), None, None, None, None


class WhitenRows(torch.autograd.Function):
    """The truncated D ≈ covariance^(−1/2), and weight rows times D; D itself is a buffer's value, without gradient.

    covariance (features, features), rows (m, features), iterations -> rows·D, D; all with a leading axis if grouped.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, covariance: Tensor, rows: Tensor, iterations: int):
        with exact_products(rows.device):
            ctx.form = spectral if spectral.pays(covariance, iterations) else newton_schulz
            d, saved = ctx.form.forward(covariance, iterations)
            whitened = torch.matmul(rows, d)
        ctx.save_for_backward(covariance, rows, d, *saved)
        ctx.mark_non_differentiable(d)
        return whitened, d

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor, _: Tensor):
        refuse_double_backward()
        covariance, rows, d, *saved = ctx.saved_tensors
        with exact_products(rows.device):
            grad_rows = torch.matmul(grad, d)
            if not ctx.needs_input_grad[0]:
                return None, grad_rows, None
            inner = (grad_rows * rows).sum((-2, -1), keepdim=True)
            return ctx.form.backward(covariance, saved, rows, grad, inner), grad_rows, None


def centred(x: Tensor, sampler: Patches | Pixels | Features, groups: int, features: int) -> tuple[Tensor, Tensor]:
    """The gathered samples less their mean (features, samples), and the mean (features, 1); float32 at least.

    Centred before the product: a mean that is folded into the covariance afterwards cancels three digits.
    """
    samples = sampler.gather(x, torch.promote_types(x.dtype, torch.float32))
    if not isinstance(sampler, Features):
        samples = samples.view(groups, features, -1) if groups > 1 else samples.view(features, -1)
    mean = samples.mean(-1, keepdim=True)
    return samples.sub_(mean), mean


def refuse_double_backward() -> None:
    """Raise if this backward pass is itself recorded: the hand-written gradients have no gradient."""
    if torch.is_grad_enabled():
        raise RenormError("deconvolution: gradients of gradients are not supported (create_graph=True)")
