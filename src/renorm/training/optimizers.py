"""SGD, Adam and AdamW by torch's functional forms, which do exactly what its classes do.

The first step of the classes imports torch's compiler (torch._dynamo), which the functional forms do not. CPU time
of making SGD and taking its first step on one parameter, `import torch` not counted: 1.9 s with torch.optim.SGD, 2.0 s
with its `fused=True`, 0.005 s with the class below (median of 5 new processes each, taking turns, one thread,
resource.getrusage; torch 2.11 on a machine of 2 cores that had other work, so that wall-clock time says nothing).
"""

import abc
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from renorm.core import plugins
from renorm.study import parts

# Plugins: a function (parameters, settings) → a torch.optim.Optimizer, or an `Optimizer` as below.
register_optimizer = plugins.registrar("optimizer")


class Optimizer(abc.ABC):
    """Steps `parameters` against their gradients at rate `lr`, which may be set anew before each step.

    A parameter that has no gradient stays as it is.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float):
        self.parameters, self.lr = list(parameters), lr

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        given = [(row, p, p.grad) for row, p in enumerate(self.parameters) if p.grad is not None]
        if given:
            self._step([p for _, p, _ in given], [gradient for *_, gradient in given], [row for row, *_ in given])

    @abc.abstractmethod
    def _step(self, parameters: list[Tensor], gradients: list[Tensor], chosen: list[int]) -> None:
        """Change `parameters` in place; `chosen` are their numbers."""

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What the next step needs besides parameters and rate, a tensor for each parameter."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, mine in self.state_dict().items():
            for tensor, saved in zip(mine, state[name], strict=True):
                tensor.copy_(saved)


class SGD(Optimizer):
    """`torch.optim.SGD` with its defaults otherwise (Sutskever et al. 2013)."""

    def __init__(self, parameters: Iterable[nn.Parameter], options: parts.SGD):
        super().__init__(parameters, options.lr)
        self.options = options
        # From zero the first step gives the gradient itself, as in torch, which starts without a buffer.
        self.buffers = [torch.zeros_like(p, requires_grad=False) for p in self.parameters] if options.momentum else []

    def _step(self, parameters: list[Tensor], gradients: list[Tensor], chosen: list[int]) -> None:
        buffers = [self.buffers[row] if self.buffers else None for row in chosen]
        # One kernel for all tensors; on the CPU it is the same arithmetic with fewer passes over the memory.
        sgd(
            parameters, gradients, buffers, fused=True, lr=self.lr, momentum=self.options.momentum,
            weight_decay=self.options.weight_decay, dampening=0, nesterov=bool(self.options.nesterov), maximize=False,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        return {"buffers": self.buffers}


class Adam(Optimizer):
    """`torch.optim.Adam` with its defaults otherwise (Kingma and Ba 2015, Algorithm 1; weight decay is L2)."""

    decoupled = False

    def __init__(self, parameters: Iterable[nn.Parameter], options: parts.Adam):
        super().__init__(parameters, options.lr)
        self.options = options
        self.firsts = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.seconds = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters]

    def _step(self, parameters: list[Tensor], gradients: list[Tensor], chosen: list[int]) -> None:
        firsts, seconds, steps = (
            [tensors[row] for row in chosen] for tensors in (self.firsts, self.seconds, self.steps)
        )
        beta1, beta2 = self.options.betas or (0.9, 0.999)
        adam(
            parameters, gradients, firsts, seconds, [], steps, fused=True, lr=self.lr, beta1=beta1, beta2=beta2,
            weight_decay=self.options.weight_decay, decoupled_weight_decay=self.decoupled, eps=1e-8, amsgrad=False,
            maximize=False,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        return {"firsts": self.firsts, "seconds": self.seconds, "steps": self.steps}


class AdamW(Adam):
    """`torch.optim.AdamW` with its defaults otherwise (Loshchilov and Hutter 2019, Algorithm 2)."""

    decoupled = True


class FromTorch(Optimizer):
    """An optimizer of torch.optim or of a plugin; its first step costs the import that is measured above."""

    def __init__(self, optimizer: Any):
        super().__init__([p for group in optimizer.param_groups for p in group["params"]], 0.0)
        self.optimizer = optimizer
        # Groups of other rates keep their ratio to the first one's.
        first = optimizer.param_groups[0]["lr"]
        self.ratios = [group["lr"] / first for group in optimizer.param_groups]

    def step(self) -> None:
        for group, ratio in zip(self.optimizer.param_groups, self.ratios, strict=True):
            group["lr"] = self.lr * ratio
        self.optimizer.step()

    def _step(self, parameters: list[Tensor], gradients: list[Tensor], chosen: list[int]) -> None:
        raise AssertionError("the optimizer steps by itself")

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


def rmsprop(parameters: Iterable[nn.Parameter], options: parts.RMSprop) -> Optimizer:
    """`torch.optim.RMSprop` with its defaults otherwise."""
    return FromTorch(
        torch.optim.RMSprop(
            parameters, lr=options.lr, alpha=options.alpha, momentum=options.momentum or 0.0,
            weight_decay=options.weight_decay,
        )
    )  # fmt: skip


def create(parameters: Iterable[nn.Parameter], options: Any) -> Optimizer:
    """The optimizer of a recipe; `options` is its resolved `optimizer:`."""
    settings = parts.parse("optimizer", options)
    function = BUILT_IN.get(settings.name) or plugins.registered("optimizer", settings.name)
    made = function(parameters, settings)
    return made if isinstance(made, Optimizer) else FromTorch(made)


BUILT_IN: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": rmsprop}
