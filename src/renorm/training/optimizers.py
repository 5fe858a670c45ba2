"""SGD and Adam by torch's functional forms, which do exactly what its classes do.

The first step of the classes imports torch's compiler (torch._dynamo), which the functional forms do not. CPU time
of making SGD and taking its first step on one parameter, `import torch` not counted: 1.9 s with torch.optim.SGD, 2.0 s
with its `fused=True`, 0.005 s with the class below (median of 5 new processes each, taking turns, one thread,
resource.getrusage; torch 2.11 on a machine of 2 cores that had other work, so that wall-clock time says nothing).
"""

import abc
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd


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
    def state_dict(self) -> dict[str, list[Tensor]]:
        """What the next step needs besides parameters and rate, a tensor for each parameter."""

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        for name, mine in self.state_dict().items():
            for tensor, saved in zip(mine, state[name], strict=True):
                tensor.copy_(saved)


class SGD(Optimizer):
    """`torch.optim.SGD` with its defaults otherwise (Sutskever et al. 2013, without Nesterov's change)."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float):
        super().__init__(parameters, lr)
        self.momentum, self.weight_decay = momentum, weight_decay
        # From zero the first step gives the gradient itself, as in torch, which starts without a buffer.
        self.buffers = [torch.zeros_like(p, requires_grad=False) for p in self.parameters] if momentum else []

    def _step(self, parameters: list[Tensor], gradients: list[Tensor], chosen: list[int]) -> None:
        buffers = [self.buffers[row] if self.buffers else None for row in chosen]
        # One kernel for all tensors; on the CPU it is the same arithmetic with fewer passes over the memory.
        sgd(
            parameters, gradients, buffers, fused=True, lr=self.lr, momentum=self.momentum,
            weight_decay=self.weight_decay, dampening=0, nesterov=False, maximize=False,
        )  # fmt: skip

    def state_dict(self) -> dict[str, list[Tensor]]:
        return {"buffers": self.buffers}


class Adam(Optimizer):
    """`torch.optim.Adam` with its defaults otherwise (Kingma and Ba 2015, Algorithm 1; weight decay is L2)."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float):
        super().__init__(parameters, lr)
        self.weight_decay = weight_decay
        self.firsts = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.seconds = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in self.parameters]

    def _step(self, parameters: list[Tensor], gradients: list[Tensor], chosen: list[int]) -> None:
        firsts, seconds, steps = (
            [tensors[row] for row in chosen] for tensors in (self.firsts, self.seconds, self.steps)
        )
        adam(
            parameters, gradients, firsts, seconds, [], steps, fused=True, lr=self.lr, weight_decay=self.weight_decay,
            beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    def state_dict(self) -> dict[str, list[Tensor]]:
        return {"firsts": self.firsts, "seconds": self.seconds, "steps": self.steps}


def create(parameters: Iterable[nn.Parameter], options: dict) -> Optimizer:
    """The optimizer of a recipe; `options` is its resolved `optimizer:`."""
    values = {key: value for key, value in options.items() if key != "name"}
    return {"sgd": SGD, "adam": Adam}[options["name"]](parameters, **values)
