"""Several GPUs of one machine as one trainer: a process for each, gradients averaged by DistributedDataParallel.

The process that was started leads: it holds the lock, hears the signals and writes every file. The others follow it and
end with it. Each batch of the recipe is shared out, so that N processes see batch_size / N images each. What is
estimated from a batch (batch norm, deconvolution) is estimated by each process from its own share, as
DistributedDataParallel does for batch norm; the leader's running statistics count, in evaluation and in checkpoints.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from renorm.core.errors import RenormError

# Seconds that the leader has to end by itself after a follower died; a collective on a GPU may wait for ever.
GRACE = 30


class Alone:
    """A team of one: what the loop asks of a team, without communication."""

    rank, size = 0, 1

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network to call in training: its gradients are those of the whole batch."""
        return model

    def share(self, start: int, stop: int) -> tuple[int, int]:
        """This process's rows of the rows `start` … `stop` − 1 of all; may be none."""
        return start, stop

    def weighted(self, loss: Tensor, fraction: float) -> Tensor:
        """The loss whose gradients, averaged over the team, are those of the mean over all images.

        `loss`: mean over this process's images; `fraction`: of the batch's images that are its own.
        """
        return loss

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag whether it is set in any process: all get the same answer."""
        return flags

    def total(self, sums: Tensor) -> Tensor:
        """The sum over the processes, element by element; a new tensor."""
        return sums.clone()

    def least(self, values: Tensor) -> Tensor:
        """The least over the processes, element by element; a new tensor."""
        return values.clone()

    def gather(self, values: Tensor) -> Tensor:
        """The tensors of all processes, on the CPU, for `own`."""
        return values.cpu()

    def own(self, gathered: Tensor) -> Tensor:
        """This process's tensor of what `gather` gave."""
        return gathered

    def align(self, model: nn.Module) -> None:
        """Give every process the leader's buffers."""

    def told(self, value: Any) -> Any:
        """The leader's value."""
        return value


class Team(Alone):
    """One process of several that train one network."""

    def __init__(self, rank: int, size: int, device: torch.device):
        self.rank, self.size, self.device = rank, size, device

    def wrap(self, model: nn.Module) -> nn.Module:
        # The counts of steps (norms.freeze) are equal in all processes, and each would be read back from the device
        # in every step if it were sent around.
        counters = [name for name, _ in model.named_buffers() if name.rpartition(".")[2] == "steps"]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, counters)
        return DistributedDataParallel(model, device_ids=[self.device] if self.device.type == "cuda" else None)

    def share(self, start: int, stop: int) -> tuple[int, int]:
        # The first processes take what is left over, so that the leader never goes without.
        each, left = divmod(stop - start, self.size)
        begin = start + self.rank * each + min(self.rank, left)
        return begin, begin + each + (self.rank < left)

    def weighted(self, loss: Tensor, fraction: float) -> Tensor:
        return loss * (fraction * self.size)

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        # On the CPU, so that no process waits for its GPU.
        said = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return tuple(map(bool, said.tolist()))

    def total(self, sums: Tensor) -> Tensor:
        return self._reduced(sums, dist.ReduceOp.SUM)

    def least(self, values: Tensor) -> Tensor:
        return self._reduced(values, dist.ReduceOp.MIN)

    def _reduced(self, values: Tensor, how: dist.ReduceOp) -> Tensor:
        values = values.clone()
        dist.all_reduce(values, how)
        return values

    def gather(self, values: Tensor) -> Tensor:
        values = values.cpu()
        found = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(found, values)
        return torch.stack(found)

    def own(self, gathered: Tensor) -> Tensor:
        return gathered[self.rank]

    def align(self, model: nn.Module) -> None:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)

    def told(self, value: Any) -> Any:
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]


@dataclass(frozen=True)
class _Follower:
    process: multiprocessing.process.BaseProcess
    news: Connection


@contextmanager
def assemble(size: int, device: torch.device, follow: Callable[[Any, Alone], None], job: Any) -> Iterator[Alone]:
    """A team of `size` processes led by this one; in each of the others `follow(job, team)` runs.

    Raises `RenormError` when a follower failed or was killed. The followers end with the block, however it ends.
    """
    if size <= 1:
        yield Alone()
        return
    with tempfile.TemporaryDirectory(prefix="renorm-") as meeting:
        followers = [_start(rank, size, meeting, device.type, follow, job) for rank in range(1, size)]
        ended = threading.Event()
        threading.Thread(target=_watch, args=(followers, ended), daemon=True).start()
        try:
            _join(0, size, meeting, device)
            yield Team(0, size, device)
            # Together with the followers, which do so last of all: NCCL may keep each until all leave.
            _leave()
            for follower in followers:
                follower.process.join()
        except (RuntimeError, dist.DistError) as error:
            # What the leader sees of a follower's death is a broken connection.
            raise _reason(followers) or error from None
        finally:
            ended.set()
            for follower in followers:
                follower.process.kill()
                follower.process.join()
            _break_off()


def device_of(rank: int, kind: str) -> torch.device:
    """The device of the process `rank`, made the current one."""
    if kind != "cuda":
        return torch.device(kind)
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


def _start(rank: int, size: int, meeting: str, kind: str, follow, job) -> _Follower:
    context = multiprocessing.get_context("spawn")  # a forked process cannot use a GPU that its parent uses
    news, sender = context.Pipe(duplex=False)
    process = context.Process(target=_follow, args=(rank, size, meeting, kind, follow, job, sender))
    # A signal to the whole job is for the leader: the followers are born deaf to it. Their tracker comes first, since
    # its start would open our ears again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    sender.close()
    return _Follower(process, news)


def _follow(rank: int, size: int, meeting: str, kind: str, follow, job, news: Connection) -> None:
    """The whole life of a follower."""
    threading.Thread(target=_end_with_leader, daemon=True).start()
    try:
        device = device_of(rank, kind)
        _join(rank, size, meeting, device)
        follow(job, Team(rank, size, device))
    except RenormError as error:
        news.send((True, str(error)))
        os._exit(2)  # at once: an orderly end may wait for processes that wait for this one
    except Exception:
        news.send((False, traceback.format_exc()))
        os._exit(1)
    _leave()


def _end_with_leader() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _join(rank: int, size: int, meeting: str, device: torch.device) -> None:
    if "lo" in (name for _, name in socket.if_nameindex()):
        # The machine's name may lead to no address; the processes are all here.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    options = {"device_id": device} if device.type == "cuda" else {}
    dist.init_process_group(backend, f"file://{meeting}/store", rank=rank, world_size=size, **options)


def _leave() -> None:
    """Leave an intact team; may wait for the others to leave as well."""
    with suppress(RuntimeError):
        dist.destroy_process_group()


def _break_off() -> None:
    """Leave, unless that is done, a team whose other processes are gone: wait for none of them."""
    if dist.is_initialized():
        with suppress(RuntimeError):
            dist.distributed_c10d._abort_process_group()


def _watch(followers: list[_Follower], ended: threading.Event) -> None:
    """End the process when a follower died and the leader still waits for it after `GRACE` seconds."""
    while not ended.wait(1.0):
        if any(f.process.exitcode for f in followers) and not ended.wait(GRACE):
            print(f"renorm: {_reason(followers)}", file=sys.stderr, flush=True)
            os._exit(2)


def _reason(followers: list[_Follower]) -> Exception | None:
    """Why the team broke: a follower's `RenormError`, else its sudden end, else its traceback; None when all live."""
    multiprocessing.connection.wait([f.process.sentinel for f in followers], timeout=5)
    size, crashes = len(followers) + 1, []
    for rank, follower in enumerate(followers, 1):
        follower.process.join(timeout=0.2)
        told, code = _news(follower), follower.process.exitcode
        if told and told[0]:
            return RenormError(told[1])
        if told:
            crashes.append((1, RuntimeError(f"process {rank + 1} of {size}:\n{told[1]}")))
        elif code:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            crashes.append((0, RenormError(
                f"process {rank + 1} of {size} {how}: for lack of memory, if nobody ended it; the last checkpoint "
                f"stands, start the same command again"
            )))  # fmt: skip
    return min(crashes, key=lambda crash: crash[0])[1] if crashes else None


def _news(follower: _Follower) -> tuple[bool, str] | None:
    """What the follower said at its end: whether it is a `RenormError`, and its text."""
    try:
        return follower.news.recv() if follower.news.poll() else None
    except (OSError, EOFError):
        return None
