"""Running statistics that one bad batch cannot spoil."""

import torch
from torch import Tensor


def recomputing() -> bool:
    """Whether this forward pass is the repetition, within a backward pass, that activation checkpointing makes."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


@torch.no_grad()
def update_running(momentum: float, *pairs: tuple[Tensor, Tensor]) -> None:
    """Move every buffer towards its new value by `momentum`, or none of them if any new value is not finite.

    The decision is taken on the device: asking the host would stop it until the device has caught up. A recomputed
    forward pass moves nothing.
    """
    if recomputing():
        return
    finite = torch.isfinite(sum(new.sum() for _, new in pairs))
    for running, new in pairs:
        running.lerp_(torch.where(finite, new.to(running.dtype), running), momentum)
