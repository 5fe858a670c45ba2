"""Mean, covariance and whitened weight as differentiable functions with hand-written gradients."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from renorm.core.errors import RenormError
from renorm.norms import newton_schulz, spectral
from renorm.norms.patches import Features, Sampler
from renorm.norms.products import exact_products, gram, gram_bfloat16


class PatchStats(torch.autograd.Function):
    """Mean and covariance of the samples in a layer's input (Ye et al. 2020, algorithm 1, lines 2 to 7).

    x, sampler, groups, features, eps, bfloat16 -> mean (features, 1), covariance + eps·I (features, features); a
    leading axis of `groups` in both if groups > 1. The rows of the gathered matrix are split as (features, blocks): row
    feature·blocks + block. All blocks count as samples of one covariance. `bfloat16`: the samples are rounded to it,
    which the gradient overlooks.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, sampler: Sampler, groups: int, features: int, eps: float, bfloat16: bool):
        with exact_products(x.device):
            samples, mean = centred(x, sampler, groups, features, bfloat16)
            covariance = (gram_bfloat16(samples) if bfloat16 else gram(samples)).div_(samples.shape[-1])
            covariance.diagonal(dim1=-2, dim2=-1).add_(eps)
        # The samples are as large as the input, which the layer keeps anyway, and gathered again in no time.
        ctx.gathering = sampler, groups, features, bfloat16
        ctx.save_for_backward(x)
        return mean, covariance

    @staticmethod
    def backward(ctx: FunctionCtx, grad_mean: Tensor, grad_covariance: Tensor):
        refuse_double_backward()
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None, None
        (x,) = ctx.saved_tensors
        with exact_products(x.device):
            samples, _ = centred(x, *ctx.gathering)
            n = samples.shape[-1]
            symmetric = (grad_covariance + grad_covariance.mT).div_(n)
            # The centred samples sum to zero but for rounding; the gradient of a singular covariance (1e7 and more)
            # makes that rest count, so it is taken out here, in a vector, and not by another pass over the gradient
            rest = torch.matmul(symmetric, samples.mean(-1, keepdim=True))
            grad = newton_schulz.fma(1.0, grad_mean / n - rest, 1.0, symmetric, samples)
        return ctx.gathering[0].scatter(grad, x).to(x.dtype), None, None, None, None, None


class PatchMean(torch.autograd.Function):
    """x, sampler, groups, features -> the mean of PatchStats alone."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, sampler: Sampler, groups: int, features: int):
        samples = gathered(x, sampler, groups, features)
        ctx.sampler, ctx.samples = sampler, samples.shape[-1]
        ctx.save_for_backward(x)
        return samples.mean(-1, keepdim=True)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor):
        refuse_double_backward()
        (x,) = ctx.saved_tensors
        grad = (grad / ctx.samples).expand(*grad.shape[:-1], ctx.samples)
        return ctx.sampler.scatter(grad, x).to(x.dtype), None, None, None


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


def gathered(x: Tensor, sampler: Sampler, groups: int, features: int) -> Tensor:
    """The samples (features, samples) or (groups, features, samples), float32 at least."""
    samples = sampler.gather(x, torch.promote_types(x.dtype, torch.float32))
    if isinstance(sampler, Features):
        return samples
    return samples.view(groups, features, -1) if groups > 1 else samples.view(features, -1)


def centred(x: Tensor, sampler: Sampler, groups: int, features: int, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """The gathered samples less their mean (features, samples), and the mean (features, 1); float32 at least.

    Centred before the product: a mean that is folded into the covariance afterwards cancels three digits.
    """
    samples = gathered(x, sampler, groups, features)
    mean = samples.mean(-1, keepdim=True)
    samples.sub_(mean)
    return samples.copy_(samples.bfloat16()) if bfloat16 else samples, mean


def refuse_double_backward() -> None:
    """Raise if this backward pass is itself recorded: the hand-written gradients have no gradient."""
    if torch.is_grad_enabled():
        raise RenormError("deconvolution: gradients of gradients are not supported (create_graph=True)")
