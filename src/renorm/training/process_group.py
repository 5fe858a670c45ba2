"""Several GPUs as one trainer: a process for each, gradients averaged by DistributedDataParallel.

On one machine the process that was started starts the others. On several, torch.distributed's elastic agent (torchrun)
starts all of them, each knows its rank from the environment, and after a failure the agent starts all again, which then
resume from the last checkpoint.

The process that was started has rank 0: it holds the lock, handles the signals and writes every file. The workers (all
other ranks) take the same steps and end with it. Each batch of the recipe is sharded, so that N processes see
batch_size / N images each. What is estimated from a batch (batch norm, deconvolution) is estimated by each process from
its own shard, as DistributedDataParallel does for batch norm; rank 0's running statistics count, in evaluation and in
checkpoints.
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
from renorm.norms.running import written_only

# Seconds that rank 0 has to end by itself after a worker died; a collective on a GPU may wait for ever.
GRACE = 30


class SingleProcess:
    """A process group of one: what the trainer asks of a group, without communication."""

    rank: int = 0
    size: int = 1

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network to call in training: its gradients are those of the whole batch."""
        return model

    def shard(self, start: int, stop: int) -> tuple[int, int]:
        """This process's rows of the rows `start` … `stop` − 1; may be none.

        Args:
            start: First row.
            stop: Row after the last one.

        Returns:
            (start, stop) of this process's contiguous part. Over all ranks the parts cover every row once.
        """
        return start, stop

    def scale_loss(self, loss: Tensor, fraction: float) -> Tensor:
        """The loss whose gradients, averaged over the processes, are those of the mean over all images.

        Args:
            loss: Scalar, the mean over this process's images.
            fraction: Part of the batch's images that are this process's, from 0 to 1.

        Returns:
            Scalar to call `backward` on.
        """
        return loss

    def any_flag(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag whether it is set in any process: all ranks get the same answer."""
        return flags

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """The sum over the processes, element by element; a new tensor of the same shape."""
        return values.clone()

    def all_reduce_min(self, values: Tensor) -> Tensor:
        """The minimum over the processes, element by element; a new tensor of the same shape."""
        return values.clone()

    def gather(self, values: Tensor) -> Tensor:
        """The tensors of all processes on the CPU, (size, *values.shape), or `values` itself for one process."""
        return values.cpu()

    def local_shard(self, gathered: Tensor) -> Tensor:
        """This process's tensor of what `gather` returned."""
        return gathered

    def broadcast_buffers(self, model: nn.Module) -> None:
        """Copy rank 0's buffers into `model` on every rank."""

    def broadcast_object(self, value: Any) -> Any:
        """Rank 0's `value` (anything that pickles), on every rank."""
        return value


class ProcessGroup(SingleProcess):
    """One process of several that train one network."""

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device

    def wrap(self, model: nn.Module) -> nn.Module:
        # The counts of steps (norms.freeze) are equal in all processes, and each would be read back from the device
        # in every step if it were sent around. The function is private in torch and has no public equivalent.
        counters = [name for name, _ in model.named_buffers() if name.rpartition(".")[2] == "steps"]
        # Running values that no training step reads are sent before an evaluation, not before every step: of
        # DenseNet-121 75 MB beside 26 MB of gradients.
        ignored = [*counters, *written_only(model)]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, ignored)
        return DistributedDataParallel(model, device_ids=[self.device] if self.device.type == "cuda" else None)

    def shard(self, start: int, stop: int) -> tuple[int, int]:
        # The first ranks take what is left over, so that rank 0 never goes without.
        each, left = divmod(stop - start, self.size)
        begin = start + self.rank * each + min(self.rank, left)
        return begin, begin + each + (self.rank < left)

    def scale_loss(self, loss: Tensor, fraction: float) -> Tensor:
        return loss * (fraction * self.size)

    def any_flag(self, *flags: bool) -> tuple[bool, ...]:
        # On the CPU, so that no process waits for its GPU.
        values = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return tuple(map(bool, values.tolist()))

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values, dist.ReduceOp.SUM)
        return values

    def all_reduce_min(self, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values, dist.ReduceOp.MIN)
        return values

    def gather(self, values: Tensor) -> Tensor:
        values = values.cpu()
        parts = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(parts, values)
        return torch.stack(parts)

    def local_shard(self, gathered: Tensor) -> Tensor:
        return gathered[self.rank]

    def broadcast_buffers(self, model: nn.Module) -> None:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)

    def broadcast_object(self, value: Any) -> Any:
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]


# What a worker process runs: `work(job, group)`. It crosses to the process by pickle: a module's function.
Work = Callable[[Any, SingleProcess], None]


@dataclass(frozen=True)
class _Worker:
    process: multiprocessing.process.BaseProcess
    errors: Connection


@dataclass(frozen=True)
class External:
    """What torchrun says of this process: its rank of `size`, and which of its machine's processes it is."""

    rank: int
    size: int
    local_rank: int


def external() -> External | None:
    """This process's place among those that torchrun started; None when it did not."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return External(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def serve(place: External, device_type: str, work: Work, job: Any) -> None:
    """What a process of torchrun's with a rank above 0 does, until rank 0 leaves; nothing when it is dismissed."""
    # A signal to the whole job is for rank 0, whose group stops together.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    device = device_of_rank(place.local_rank, device_type)
    _join(place.rank, place.size, None, device)
    group = ProcessGroup(place.rank, place.size, device)
    if group.broadcast_object(None):
        work(job, group)
    _leave()


def dismiss(device: torch.device) -> None:
    """As rank 0 of torchrun's processes: there is nothing to train, the others may leave."""
    place = external()
    if place:
        _join(0, place.size, None, device)
        ProcessGroup(0, place.size, device).broadcast_object(False)
        _leave()


@contextmanager
def _launched_outside(place: External, device: torch.device) -> Iterator[SingleProcess]:
    """Run the block as rank 0 of torchrun's processes."""
    _join(0, place.size, None, device)
    try:
        group = ProcessGroup(0, place.size, device)
        group.broadcast_object(True)
        yield group
        _leave()
    except (RuntimeError, dist.DistError) as error:
        raise RenormError(
            f"process group: a process on another machine has ended: {str(error).splitlines()[0]}"
        ) from None
    finally:
        _abort()


@contextmanager
def launch(size: int, device: torch.device, work: Work, job: Any) -> Iterator[SingleProcess]:
    """Run the block as rank 0 of `size` processes; in each of the others `work(job, group)` runs.

    Args:
        size: Number of processes; up to 1, the block runs alone.
        device: Rank 0's device; its type is that of all.
        work: A module's function, called in every worker process.
        job: Its first argument; anything that pickles.

    Yields:
        Rank 0's group.

    Raises:
        RenormError: A worker failed or was killed. The workers end with the block, however it ends.
    """
    place = external()
    if place:
        with _launched_outside(place, device) as group:
            yield group
        return
    if size <= 1:
        yield SingleProcess()
        return
    with tempfile.TemporaryDirectory(prefix="renorm-") as rendezvous:
        workers = [_start(rank, size, rendezvous, device.type, work, job) for rank in range(1, size)]
        ended = threading.Event()
        threading.Thread(target=_watch, args=(workers, ended), daemon=True).start()
        try:
            _join(0, size, rendezvous, device)
            yield ProcessGroup(0, size, device)
            # Together with the workers, which do so last of all: NCCL may keep each until all leave.
            _leave()
            for worker in workers:
                worker.process.join()
        except (RuntimeError, dist.DistError) as error:
            # What rank 0 sees of a worker's death is a broken connection.
            raise _failure(workers) or error from None
        finally:
            ended.set()
            for worker in workers:
                worker.process.kill()
                worker.process.join()
            _abort()


def device_of_rank(rank: int, device_type: str) -> torch.device:
    """The device of the process `rank`, made the current one; `device_type` is "cpu" or "cuda"."""
    if device_type != "cuda":
        return torch.device(device_type)
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


def _start(rank: int, size: int, rendezvous: str, device_type: str, work: Work, job: Any) -> _Worker:
    context = multiprocessing.get_context("spawn")  # a forked process cannot use a GPU that its parent uses
    errors, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run_worker, args=(rank, size, rendezvous, device_type, work, job, sender))
    # Workers start with SIGTERM/SIGINT blocked: a signal to the whole job is for rank 0. The resource tracker comes
    # first, since its start would unblock the signals again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    sender.close()
    return _Worker(process, errors)


def _run_worker(rank: int, size: int, rendezvous: str, device_type: str, work: Work, job: Any, errors: Connection):
    """The main function of a worker process."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    try:
        device = device_of_rank(rank, device_type)
        _join(rank, size, rendezvous, device)
        work(job, ProcessGroup(rank, size, device))
    except RenormError as error:
        errors.send((True, str(error)))
        os._exit(2)  # at once: an orderly end may wait for processes that wait for this one
    except Exception:
        errors.send((False, traceback.format_exc()))
        os._exit(1)
    _leave()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _join(rank: int, size: int, rendezvous: str | None, device: torch.device) -> None:
    """Join the group that meets at the folder `rendezvous`, or where torchrun says."""
    if rendezvous and "lo" in (name for _, name in socket.if_nameindex()):
        # The machine's name may lead to no address; the processes are all here.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    cuda = device.type == "cuda"
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    where = f"file://{rendezvous}/store" if rendezvous else "env://"
    dist.init_process_group(backend, where, rank=rank, world_size=size, device_id=device if cuda else None)


def _leave() -> None:
    """Leave an intact group; may wait for the others to leave as well."""
    with suppress(RuntimeError):
        dist.destroy_process_group()


def _abort() -> None:
    """Leave, unless that is done, a group whose other processes are gone: wait for none of them."""
    if dist.is_initialized():
        with suppress(RuntimeError):
            # Private in torch; destroy_process_group would wait for the dead.
            dist.distributed_c10d._abort_process_group()


def _watch(workers: list[_Worker], ended: threading.Event) -> None:
    """End the process when a worker died and rank 0 still waits for it after `GRACE` seconds."""
    while not ended.wait(1.0):
        if any(worker.process.exitcode for worker in workers) and not ended.wait(GRACE):
            print(f"renorm: {_failure(workers)}", file=sys.stderr, flush=True)
            os._exit(2)


def _failure(workers: list[_Worker]) -> Exception | None:
    """Why the group broke: a worker's `RenormError`, else its sudden end, else its traceback; None when all live."""
    multiprocessing.connection.wait([worker.process.sentinel for worker in workers], timeout=5)
    size = len(workers) + 1
    killed: list[RenormError] = []
    crashed: list[RuntimeError] = []
    for number, worker in enumerate(workers, 2):
        worker.process.join(timeout=0.2)
        error, code = _received(worker), worker.process.exitcode
        if error and error[0]:
            return RenormError(error[1])
        if error:
            crashed.append(RuntimeError(f"process {number} of {size}:\n{error[1]}"))
        elif code:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            killed.append(RenormError(
                f"process {number} of {size} {how}, most likely for lack of memory: start the same command again, it "
                f"resumes from the last checkpoint"
            ))  # fmt: skip
    return next(iter([*killed, *crashed]), None)


def _received(worker: _Worker) -> tuple[bool, str] | None:
    """What the worker sent at its end: whether it is a `RenormError`, and its text."""
    try:
        return worker.errors.recv() if worker.errors.poll() else None
    except (OSError, EOFError):
        return None
