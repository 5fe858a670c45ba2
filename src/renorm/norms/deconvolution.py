"""What the deconvolved layers share: statistics, running values, freezing, the folded weight."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from renorm.core.errors import RenormError
from renorm.norms import few_samples
from renorm.norms.few_samples import CentredSamples
from renorm.norms.freeze import FREEZE_AFTER, StepCounter
from renorm.norms.patches import Sampler
from renorm.norms.products import exact_products
from renorm.norms.running import apply_collected, move_running, update_running
from renorm.norms.spec import LayerSettings
from renorm.norms.whitening import FoldMean, PatchMean, PatchStats, WhitenRows

log = logging.getLogger(__name__)
_said = False  # whether this process has warned of constant input


class Deconvolution(nn.Module):
    """Network deconvolution (Ye et al. 2020, section 3) as a mixin of Conv2d and Linear.

    The layer's input is whitened by D ≈ (covariance + eps·I)^(−1/2), and the whitening is folded into the weight:
    w′ = w·D, b′ = b − w′·mean, followed by the ordinary layer. In training D and mean are those of the batch and
    gradients flow through them; in evaluation they are the running values.

    Buffers: `running_mean` (features, 1), from 0, and `running_deconv` (features, features), the running D and not the
    covariance, from I; with a leading axis of groups if there are several. `steps`: see `StepCounter`. `kept_deconv`:
    the last D, where a D is used for several steps.

    A training step is counted, and moves the running values, once also under activation checkpointing
    (`torch.utils.checkpoint`), whose recomputation repeats the decision of the forward pass. That holds for layers
    called once between a forward pass and its backward pass. Under `torch.compile` a layer in training runs eagerly.
    """

    # Of the layer it is mixed into, and the buffers.
    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_deconv: Tensor
    kept_deconv: Tensor
    steps: Tensor
    blocks: int

    def _set_up(self, settings: LayerSettings, groups: int, features: int, sampler: Sampler) -> None:
        self.iterations, self.eps, self.momentum = settings.iterations, settings.eps, settings.momentum
        self.path, self.features, self.sampler, self.deconv_groups = settings.path, features, sampler, groups
        batch = (groups,) if groups > 1 else ()
        device, dtype = self.weight.device, self.weight.dtype
        self.register_buffer("running_mean", torch.zeros(*batch, features, 1, device=device, dtype=dtype))
        identity = torch.eye(features, device=device, dtype=dtype)
        self.register_buffer("running_deconv", identity.repeat(*batch, 1, 1))
        self.freeze, self.every, self.detached, self.samples_bfloat16 = (
            settings.freeze, settings.every, settings.detached, settings.bfloat16
        )  # fmt: skip
        if self.every > 1:
            self.register_buffer("kept_deconv", self.running_deconv.clone())
        self.counter = StepCounter(self) if self.freeze or self.every > 1 else None
        self._kept: tuple[Tensor, Tensor] | None = None
        self._keeps = False
        self._calls = 0
        self._warned = False
        self._constant: Tensor | None = None

    @property
    def frozen(self) -> bool:
        """Whether the next training step uses the running statistics."""
        return self.freeze and self.counter is not None and self.counter.frozen

    @property
    def running_values_only_written(self) -> bool:
        """Whether no training step reads the running statistics."""
        return not self.freeze

    def folded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The weight and bias with which the ordinary layer gives the deconvolution of `x`."""
        if not self.training:
            return self.folded_running()
        return _folded_eagerly(self, x) if torch.compiler.is_compiling() else self._folded_step(x)

    def _folded_step(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`folded` in training: counts the step."""
        self.require(x)
        step = 0 if self.counter is None else self.counter.take()
        if self.freeze and step > FREEZE_AFTER:
            apply_collected()
            return self.folded_running()
        return self._folded_batch(x, renewed=step % self.every == 0)

    def _to_rows(self, weight: Tensor) -> Tensor:
        """The weight as rows (m, features), with a leading axis of groups if there are several."""
        raise NotImplementedError

    def _from_rows(self, rows: Tensor) -> Tensor:
        """The inverse of `_to_rows`."""
        raise NotImplementedError

    def require(self, x: Tensor) -> None:
        """Raise RenormError unless `x` has samples to take statistics of."""
        raise NotImplementedError

    def refuse(self, x: Tensor, why: str) -> None:
        """Raise the RenormError that `x` is not an input of this layer."""
        raise RenormError(f"deconvolution{f' {self.path!r}' if self.path else ''}: input {tuple(x.shape)}: {why}")

    def folded_running(self) -> tuple[Tensor, Tensor]:
        """Weight and bias folded with the running statistics; see `keep_folded`."""
        if not self._keeps or (torch.is_grad_enabled() and (self.weight.requires_grad or self.bias.requires_grad)):
            return self._whitened_by_running()
        if self._kept is None:
            self._kept = self._whitened_by_running()
        return self._kept

    def _whitened_by_running(self) -> tuple[Tensor, Tensor]:
        with exact_products(self.weight.device):
            rows = torch.matmul(self._to_rows(self.weight), self.running_deconv)
        return self._fold_rows(rows, self.running_mean)

    def _folded_batch(self, x: Tensor, renewed: bool) -> tuple[Tensor, Tensor]:
        """Weight and bias folded with the mean of `x`, and with its D or, if that is not renewed, the last one."""
        if self.detached:
            x = x.detach()
        rows = self._to_rows(self.weight)
        rows = rows.to(torch.promote_types(x.dtype, torch.float32))
        if renewed:
            rows, mean, d = self._whitened_by_batch(x, rows)
        else:
            rows, mean, d = self._whitened_by_last(x, rows)
        update_running(self.momentum, (self.running_mean, mean), (self.running_deconv, d))
        dtype = self.weight.dtype
        weight, bias = FoldMean.apply(rows, mean, self.bias.to(rows.dtype), self)
        return weight.to(dtype), bias.to(dtype)

    def _whitened_by_batch(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.deconv_groups == 1 and few_samples.pays(x.device, self.sampler.count(x) * self.blocks, self.features):
            samples, mean = CentredSamples.apply(x, self.sampler, self.features, self.samples_bfloat16)
            rows, d = few_samples.whiten_rows(samples, rows, self.eps, self.iterations)
            self._watch(lambda: samples.square().mean(-1))
        else:
            mean, covariance = PatchStats.apply(
                x, self.sampler, self.deconv_groups, self.features, self.eps, self.samples_bfloat16
            )
            rows, d = WhitenRows.apply(covariance, rows, self.iterations)
            self._watch(lambda: covariance.diagonal(dim1=-2, dim2=-1) - self.eps)
        if self.every > 1:
            move_running([(1.0, ((self.kept_deconv, d),))])
        return rows, mean, d

    def _whitened_by_last(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = PatchMean.apply(x, self.sampler, self.deconv_groups, self.features)
        d = self.kept_deconv.to(rows.dtype, copy=True)  # a layer called twice renews it before the backward pass
        with exact_products(rows.device):
            return torch.matmul(rows, d), mean, d

    def _fold_rows(self, rows: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        with exact_products(rows.device):
            shift = torch.matmul(rows, mean).view(self.bias.shape[0], -1).sum(1)
        dtype = self.weight.dtype
        return self._from_rows(rows).to(dtype), self.bias - shift.to(dtype)

    @torch.no_grad()
    def _watch(self, variance_of: Callable[[], Tensor]) -> None:
        """Note whether the input was constant; on a CPU say so at once, on a GPU when the mode next changes.

        Looks at the first, second, fourth, eighth … call only: a device would spend four launches on every one.
        """
        self._calls += 1
        if self._warned or self._calls & (self._calls - 1):
            return
        variance = variance_of()
        if variance.is_meta:
            return
        constant = variance.amax() <= 0.01 * self.eps
        self._constant = constant if self._constant is None else self._constant | constant
        if not variance.is_cuda:
            self._warn_if_constant()

    def _warn_if_constant(self) -> None:
        global _said
        if self._warned or self._constant is None or not bool(self._constant):
            return
        log.log(
            logging.DEBUG if _said else logging.WARNING,
            "deconvolution '%s': its input is constant within the batch and amplified by up to 1/sqrt(eps) = %.0f "
            "(other layers of which this holds are named at level DEBUG)",
            self.path,
            self.eps**-0.5,
        )
        self._warned = _said = True

    def train(self, mode: bool = True):
        """Switch between training and evaluation."""
        if mode is not self.training:
            self._warn_if_constant()
        return super().train(mode)

    def extra_repr(self) -> str:
        freeze = ", freeze" if self.freeze else ""
        return f"{super().extra_repr()}, features={self.features}, iterations={self.iterations}, eps={self.eps}{freeze}"


@torch._disable_dynamo  # torch.compiler.disable would import the compiler for everybody
def _folded_eagerly(layer: Deconvolution, x: Tensor) -> tuple[Tensor, Tensor]:
    return layer._folded_step(x)


@contextmanager
def keep_folded(model: nn.Module) -> Iterator[None]:
    """Within the block, layers in evaluation fold their weight once and keep it: for a pass over many batches.

    Parameters and buffers must not change within the block. Outside it every call folds anew, so that any change of
    them counts, however it was made (`.data`, `torch.func.functional_call`, pruning, averaged weights).
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Deconvolution)]
    for layer in layers:
        layer._keeps, layer._kept = True, None
    try:
        yield
    finally:
        for layer in layers:
            layer._keeps, layer._kept = False, None
