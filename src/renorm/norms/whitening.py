"""Mean, covariance and whitened weight as differentiable functions with hand-written gradients."""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from renorm.core.errors import RenormError
from renorm.norms import kernels, newton_schulz, spectral
from renorm.norms.patches import Features, Sampler
from renorm.norms.products import covariance, exact_products, fma


class PatchStats(torch.autograd.Function):
    """Mean and covariance of the samples in a layer's input (Ye et al. 2020, algorithm 1, lines 2 to 7).

    x, sampler, groups, features, eps, bfloat16 -> mean (features, 1), covariance + eps·I (features, features); a
    leading axis of `groups` in both if groups > 1. The rows of the gathered matrix are split as (features, blocks): row
    feature·blocks + block. All blocks count as samples of one covariance. `bfloat16`: the samples are rounded to it,
    which the gradient overlooks. The gradient that arrives for the covariance must be symmetric, as WhitenRows' is.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, sampler: Sampler, groups: int, features: int, eps: float, bfloat16: bool):
        with exact_products(x.device):
            samples, mean = centred(x, sampler, groups, features, bfloat16)
            found = covariance(samples, eps, bfloat16)
        # Samples as large as the input, which the layer keeps anyway, are gathered again in no time
        few = 4 * samples.numel() <= x.numel()
        ctx.gathering = sampler, groups, features, bfloat16
        ctx.save_for_backward(x, mean, *([samples] if few else []))
        return mean, found

    @staticmethod
    def backward(ctx: Any, grad_mean: Tensor, grad_covariance: Tensor):
        refuse_double_backward()
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None, None
        x, mean, *kept = ctx.saved_tensors
        with exact_products(x.device):
            sampler, groups, features, bfloat16 = ctx.gathering
            samples = kept[0] if kept else centred(x, sampler, groups, features, bfloat16, mean)[0]
            n = samples.shape[-1]
            # The centred samples sum to zero but for rounding; the gradient of a singular covariance (1e7 and more)
            # makes that rest count, so it is taken out here, in a vector, and not by another pass over the gradient
            shift = fma(1 / n, grad_mean, -2 / n, grad_covariance, samples.mean(-1, keepdim=True))
            grad = fma(1.0, shift, 2 / n, grad_covariance, samples)
        return sampler.scatter(grad, x).to(x.dtype), None, None, None, None, None


class PatchMean(torch.autograd.Function):
    """x, sampler, groups, features -> the mean of PatchStats alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sampler: Sampler, groups: int, features: int):
        samples = gathered(x, sampler, groups, features)
        ctx.sampler, ctx.samples = sampler, samples.shape[-1]
        ctx.save_for_backward(x)
        return samples.mean(-1, keepdim=True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor):
        refuse_double_backward()
        (x,) = ctx.saved_tensors
        grad = (grad / ctx.samples).expand(*grad.shape[:-1], ctx.samples)
        return ctx.sampler.scatter(grad, x).to(x.dtype), None, None, None


class WhitenRows(torch.autograd.Function):
    """The truncated D ≈ covariance^(−1/2), and weight rows times D; D itself is a buffer's value, without gradient.

    covariance (features, features), rows (m, features), iterations -> rows·D, D; all with a leading axis if grouped.
    """

    @staticmethod
    def forward(ctx: Any, covariance: Tensor, rows: Tensor, iterations: int):
        with exact_products(rows.device):
            ctx.form = form_of(covariance, iterations)
            d, saved = ctx.form.forward(covariance, iterations)
            whitened = torch.matmul(rows, d)
        ctx.save_for_backward(covariance, rows, d, *saved)
        ctx.mark_non_differentiable(d)
        ctx.set_materialize_grads(False)
        return whitened, d

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor):
        refuse_double_backward()
        covariance, rows, d, *saved = ctx.saved_tensors
        with exact_products(rows.device):
            grad_rows = torch.matmul(grad, d)
            if not ctx.needs_input_grad[0]:
                return None, grad_rows, None
            inner = None if ctx.form is kernels else newton_schulz.frobenius_product(grad_rows, rows)
            return ctx.form.backward(covariance, saved, rows, grad, inner), grad_rows, None


class FoldMean(torch.autograd.Function):
    """Whitened rows, mean, bias, layer -> weight and bias of the ordinary layer: w′ and b − w′·mean.

    rows (m, features), mean (features, 1), with a leading axis if grouped; bias (out).
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, mean: Tensor, bias: Tensor, layer) -> tuple[Tensor, Tensor]:
        ctx.layer = layer
        ctx.save_for_backward(rows, mean)
        weight = layer._from_rows(rows)
        with exact_products(rows.device):
            return weight, _less_mean(bias, weight, rows, mean, layer)

    @staticmethod
    def backward(ctx: Any, grad_weight: Tensor, grad_bias: Tensor):
        refuse_double_backward()
        rows, mean = ctx.saved_tensors
        per_output = rows.shape[:-2].numel() * rows.shape[-2] // len(grad_bias)
        column = grad_bias[:, None].expand(-1, per_output).reshape(*rows.shape[:-1], 1)
        with exact_products(rows.device):
            grad = fma(1.0, ctx.layer._to_rows(grad_weight), -1.0, column, mean.mT)
            grad_mean = fma(0.0, mean, -1.0, rows.mT, column)
        return grad, grad_mean, grad_bias, None


def _less_mean(bias: Tensor, weight: Tensor, rows: Tensor, mean: Tensor, layer) -> Tensor:
    """bias − w′·mean, (out)."""
    per_output = rows.shape[:-2].numel() * rows.shape[-2] // len(bias)
    if per_output == 1:
        shape = (*rows.shape[:-1], 1)
        return fma(1.0, bias.view(shape), -1.0, rows, mean).view(-1)
    if per_output == layer.blocks and rows.dim() == 2:
        repeated = mean.expand(-1, layer.blocks).reshape(-1)  # as the weight's features: feature·blocks + block
        return torch.addmv(bias, weight.view(len(bias), -1), repeated, alpha=-1)
    return bias - torch.matmul(rows, mean).view(len(bias), -1).sum(1)


def form_of(covariance: Tensor, iterations: int) -> ModuleType:
    """The module whose `forward` and `backward` are the fastest for the device and size of `covariance`."""
    if kernels.pays(covariance, iterations):
        return kernels
    return spectral if spectral.pays(covariance, iterations) else newton_schulz


def gathered(x: Tensor, sampler: Sampler, groups: int, features: int) -> Tensor:
    """The samples (features, samples) or (groups, features, samples), float32 at least."""
    samples = sampler.gather(x, torch.promote_types(x.dtype, torch.float32))
    if isinstance(sampler, Features):
        return samples
    return samples.view(groups, features, -1) if groups > 1 else samples.view(features, -1)


def centred(
    x: Tensor, sampler: Sampler, groups: int, features: int, bfloat16: bool, mean: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The gathered samples less their mean (features, samples), and the mean (features, 1); float32 at least.

    Centred before the product: a mean that is folded into the covariance afterwards cancels three digits. `mean`: the
    mean, where it is known.
    """
    samples = gathered(x, sampler, groups, features)
    if mean is None:
        mean = samples.mean(-1, keepdim=True)
    samples.sub_(mean)
    return samples.copy_(samples.bfloat16()) if bfloat16 else samples, mean


def refuse_double_backward() -> None:
    """Raise if this backward pass is itself recorded: the hand-written gradients have no gradient."""
    if torch.is_grad_enabled():
        raise RenormError("deconvolution: gradients of gradients are not supported (create_graph=True)")
