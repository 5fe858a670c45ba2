"""Running statistics that one bad batch cannot spoil, moved layer by layer or all at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from renorm.norms.products import few_launches

# The weight of the new values, and pairs of a running value and its new one that move together or not at all
Update = tuple[float, tuple[tuple[Tensor, Tensor], ...]]


def written_only(model: nn.Module) -> list[str]:
    """Names of the buffers that a training step of `model` writes and does not read: running statistics.

    Of torch's batch norms and of the normalisers here; those of a layer that freezes are read.
    """
    found = []
    for path, module in model.named_modules():
        own = getattr(module, "running_values_only_written", isinstance(module, _BatchNorm) and bool(module.momentum))
        names = [name for name, _ in module.named_buffers(recurse=False)] if own else []
        found += [f"{path}.{name}" if path else name for name in names if name.startswith(("running_", "num_batches"))]
    return found


class _Collected(threading.local):
    """The updates that this thread has put off; None outside `running_together`."""

    updates: list[Update] | None = None


_collected = _Collected()


def recomputing() -> bool:
    """Whether this forward pass is the repetition, within a backward pass, that activation checkpointing makes."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


@contextmanager
def running_together() -> Iterator[None]:
    """Off the CPU, running values of the forward pass within move at its end, all by a few launches.

    The same values as without it, in which every layer launches a dozen small operations of its own.
    """
    before, _collected.updates = _collected.updates, []
    try:
        yield
        apply_collected()
    finally:
        _collected.updates = before


@torch.no_grad()
def update_running(momentum: float, *pairs: tuple[Tensor, Tensor]) -> None:
    """Move every buffer towards its new value by `momentum`, or none of them if any new value is not finite.

    The decision is taken on the device: asking the host would stop it until the device has caught up. A recomputed
    forward pass moves nothing.
    """
    if _collected.updates is not None and few_launches(pairs[0][0].device):
        if not recomputing():
            _collected.updates.append((momentum, tuple((running, new.detach()) for running, new in pairs)))
        return
    move_running([(momentum, pairs)])


def apply_collected() -> None:
    """Move the running values whose updates were put off: whoever reads them within `running_together` calls it."""
    if _collected.updates:
        updates, _collected.updates[:] = list(_collected.updates), []
        move_running(updates)


@torch.no_grad()
def move_running(updates: list[Update]) -> None:
    """Apply `updates` at once."""
    if recomputing():
        return
    if len(updates) == 1:
        (momentum, pairs), *_ = updates
        finite = torch.isfinite(sum((new.sum() for _, new in pairs[1:]), pairs[0][1].sum()))
        for running, new in pairs:
            running.lerp_(torch.where(finite, new.to(running.dtype), running), momentum)
        return
    for alike in _rounds(updates):
        _move_together(alike)


def _rounds(updates: list[Update]) -> Iterator[list[Update]]:
    """Lists of updates of one weight, dtype and device, no buffer twice in a list and in the order of the updates."""
    while updates:
        seen: set[int] = set()
        now: list[Update] = []
        later: list[Update] = []
        for update in updates:
            buffer = id(update[1][0][0])
            (later if buffer in seen else now).append(update)
            seen.add(buffer)
        for _, alike in groupby(sorted(now, key=_kind), key=_kind):
            yield list(alike)
        updates = later


def _kind(update: Update) -> tuple[float, int, str, str]:
    momentum, pairs = update
    return momentum, len(pairs), str(pairs[0][0].dtype), str(pairs[0][0].device)


def _move_together(updates: list[Update]) -> None:
    momentum, first = updates[0]
    running = [pair[0] for _, pairs in updates for pair in pairs]
    flat = torch.cat([tensor.reshape(-1) for tensor in running])
    news = [pair[1].to(flat.dtype) for _, pairs in updates for pair in pairs]
    # Sums of magnitudes are below infinity if and only if all values are finite; isfinite is four launches
    sizes = torch.stack(torch._foreach_norm(news, 1)).view(-1, len(first)).sum(1)
    lengths = tuple(sum(pair[0].numel() for pair in pairs) for _, pairs in updates)
    finite = (sizes < torch.inf).repeat_interleave(_on_device(lengths, flat), output_size=len(flat))
    new = torch.where(finite, torch.cat([tensor.reshape(-1) for tensor in news]), flat)
    parts = flat.lerp_(new, momentum).split([tensor.numel() for tensor in running])
    torch._foreach_copy_(running, [part.view_as(tensor) for part, tensor in zip(parts, running, strict=True)])


def _on_device(lengths: tuple[int, ...], like: Tensor) -> Tensor:
    """`lengths` as a tensor, copied to the device once and not in every step."""
    make = _kept_lengths if type(like) is Tensor else _kept_lengths.__wrapped__  # fake tensors are not kept
    return make(lengths, like.device)


@lru_cache(maxsize=16)
def _kept_lengths(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(lengths, device=device)
