"""The training of one run: from any step of any epoch to the end, without a stop for metrics.

On several GPUs each process trains on its shard of every batch; `training.process_group` makes them one.
"""

import math
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from renorm.data import Dataset, on_device
from renorm.data.batches import derived_seed
from renorm.norms import keep_folded, running_together
from renorm.training import losses, optimizers, schedules
from renorm.training.augmentations import Augmentations
from renorm.training.metrics import Measured
from renorm.training.process_group import SingleProcess
from renorm.training.run_log import NullLogger

Batch = tuple[Tensor, Tensor]


class Diverged(Exception):
    """The loss of `step` in `epoch` (both from 1) was not finite; step 0 means the evaluation after the epoch."""

    def __init__(self, epoch: int, step: int):
        super().__init__(f"loss is not finite in epoch {epoch}, " + (f"step {step}" if step else "evaluation"))
        self.epoch, self.step = epoch, step


class Stopped(Exception):
    """Asked to stop; everything up to here was saved."""


class Trainer:
    """A network in training, and everything that its continuation needs.

    Attributes:
        model: The network, on the device.
        epoch: Epoch in work, from 1; `epochs` + 1 after the last.
        step: Steps of that epoch that were taken.
        steps: Steps per epoch; the last may have fewer images.
        rows: One dict for each finished epoch, with the columns of history.csv (`runs.run_record.HISTORY`).
    """

    def __init__(
        self, model: nn.Module, data: Dataset, hyper: dict[str, Any], epochs: int, seed: int, device: torch.device,
        group: SingleProcess | None = None, workers: int = 1,
    ) -> None:  # fmt: skip
        """Put the network and the data on the device; nothing is trained yet.

        Args:
            model: (N, C, S, S) images → (N, classes) logits, with its initial weights; it is trained in place.
            data: The data set.
            hyper: Resolved hyper-parameters (`study.config.Recipe.resolved`).
            epochs: Epochs to train.
            seed: Of order, augmentation and what the network draws in a step.
            device: Where to train.
            group: The processes that share every batch; without it this one is alone.
            workers: Processes that decode, where the data set is one of image files.
        """
        self.model, self.hyper, self.epochs, self.seed, self.device = model.to(device), hyper, epochs, seed, device
        self.group = group or SingleProcess()
        self.network = self.group.wrap(self.model)
        self.train = on_device(data, "train", device, hyper["train_images"], workers, hyper["normalise"])
        self.test = on_device(data, "test", device, hyper["test_images"], workers, hyper["normalise"])
        self.batch = hyper["batch_size"]
        self.steps = -(-len(self.train) // self.batch)
        self.optimizer = optimizers.create(self.model.parameters(), hyper["optimizer"])
        self.augment = Augmentations(hyper["augment"], seed, self.group.rank, data.classes)
        self.measured = Measured(hyper.get("metrics"))
        # Only networks that draw during a step pay for seeding each one.
        self.needs_step_rng = any(map(_draws, model.modules()))
        self.epoch, self.step = 1, 0
        self.rows: list[dict[str, Any]] = []
        # Losses of the first steps, kept on the device; NaN where a step was not taken.
        self.logged = torch.full((hyper["log_steps"],), torch.nan, dtype=torch.float64, device=device)
        self.train_seconds = 0.0
        self.sums = self._zero()

    def _zero(self) -> Tensor:
        """(4,) of the epoch so far: loss · images, hits in 1, hits in 5, and the first step with a non-finite loss."""
        return torch.tensor([0.0, 0.0, 0.0, torch.inf], dtype=torch.float64, device=self.device)

    @property
    def images(self) -> dict[str, int]:
        """Images of the splits "train" and "test" that are used."""
        return {"train": len(self.train), "test": len(self.test)}

    def state(self) -> dict[str, Any]:
        """Everything that a continuation needs, as tensors and plain values.

        A collective operation: all processes of the group call it together.
        """
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch,
            "step": self.step, "rows": self.rows, "train_seconds": self.train_seconds,
            "sums": self.group.gather(self.sums), "logged": self.group.gather(self.logged),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned, in a trainer built with the same arguments."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.rows = state["epoch"], state["step"], state["rows"]
        self.train_seconds = state["train_seconds"]
        self.sums, self.logged = (self.group.local_shard(state[name]).to(self.device) for name in ("sums", "logged"))

    def step_losses(self) -> list[float]:
        """Losses of the first `log_steps` steps over all their images; NaN where a step was not taken."""
        return self.group.all_reduce_sum(self.logged).tolist()

    def run(
        self, save: Callable[[dict[str, Any]], None] | None = None, interrupted: Callable[[], bool] = lambda: False,
        checkpoint_seconds: float = math.inf, log: NullLogger | None = None,
    ) -> None:  # fmt: skip
        """Train to the end of the last epoch.

        Args:
            save: Called with `state()` after every epoch but the last, when `checkpoint_seconds` went by since the
                last call, and before a stop. Without it the state is gathered all the same, since other processes of
                the group may need this one's part.
            interrupted: Asked after every step; once it is true the training stops.
            checkpoint_seconds: Longest time between two calls of `save`.
            log: Gets a line for each epoch.

        Raises:
            Diverged: The loss was not finite.
            Stopped: `interrupted()` was true in any process, and `save` was called.
        """
        log = log or NullLogger()
        saved = time.monotonic()
        while self.epoch <= self.epochs:
            self.model.train()
            started = time.perf_counter()
            begun = self.step
            with closing(self._batches()) as batches:
                for batch in batches:
                    self._train_step(batch)
                    if log.due():
                        self._log_progress(log, begun, started)
                    stop, late = self.group.any_flag(interrupted(), time.monotonic() - saved > checkpoint_seconds)
                    if stop or late:
                        self.train_seconds += self._elapsed(started)
                        self._save(save)
                        if stop:
                            raise Stopped
                        started, begun, saved = time.perf_counter(), self.step, time.monotonic()
            self._finish_epoch(started, log)
            if self.epoch <= self.epochs:
                self._save(save)
                saved = time.monotonic()
            if self.group.any_flag(interrupted())[0] and self.epoch <= self.epochs:
                raise Stopped

    def _save(self, save: Callable[[dict[str, Any]], None] | None) -> None:
        state = self.state()  # of all processes together, whether this one saves it or not
        if save:
            save(state)

    def _batches(self) -> Generator[Batch, None, None]:
        """This process's part of what is left of the epoch."""
        draws = self.train.draw(self.seed, self.epoch, self.augment.geometry)
        return self.train.batches(draws, [self._local_rows(step)[0] for step in range(self.step, self.steps)])

    def _local_rows(self, step: int) -> tuple[tuple[int, int], float]:
        """The rows of the epoch that this process sees in step `step`, and which part of the step's images they are.

        One row at least, though it counts for nothing then, since all processes must take the step.
        """
        first, last = step * self.batch, min((step + 1) * self.batch, len(self.train))
        start, stop = self.group.shard(first, last)
        return (start, stop) if start < stop else (first, first + 1), (stop - start) / (last - first)

    def _train_step(self, batch: Batch) -> None:
        x, target = self.augment(batch, self.epoch, self.step)
        taken = (self.epoch - 1) * self.steps + self.step
        self.optimizer.lr = self._rate(taken)
        if self.needs_step_rng:
            key = (self.group.rank,) if self.group.rank else ()
            torch.manual_seed(derived_seed("step", self.seed, self.epoch, self.step, *key))
        with self._precision(), running_together():
            logits = self.network(x)
        _, fraction = self._local_rows(self.step)
        loss = losses.loss(self.hyper["loss"], logits.float(), target)
        self.optimizer.zero_grad()
        self.group.scale_loss(loss, fraction).backward()
        if self.hyper["gradient_clip"]:
            losses.gradient_norm_clipped(self.optimizer.parameters, self.hyper["gradient_clip"])
        self.optimizer.step()
        if taken < len(self.logged):
            self.logged[taken] = loss.detach().double() * fraction
        self.step += 1
        if fraction:
            y = target.argmax(1) if target.dtype.is_floating_point else target  # of a mixture, the larger part
            self._count(self.sums, logits.detach(), y, loss.detach())

    def _rate(self, taken: int) -> float:
        """The learning rate of the step before which `taken` were taken."""
        lr, schedule = self.hyper["optimizer"]["lr"], self.hyper["schedule"]
        return schedules.learning_rate(lr, schedule, taken, self.epochs * self.steps, self.steps)

    def _precision(self) -> AbstractContextManager[Any]:
        if self.hyper["precision"] == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def _count(self, sums: Tensor, logits: Tensor, y: Tensor, loss: Tensor) -> None:
        """Add a batch to `sums` on the device; nothing is read back."""
        hits = logits.topk(min(5, logits.shape[1]), dim=1).indices == y[:, None]
        counted = torch.stack([loss.double() * len(y), hits[:, 0].sum().double(), hits.sum().double()])
        sums[:3] += counted
        sums[3] = torch.where(torch.isfinite(loss), sums[3], sums[3].clamp(max=self.step))

    def _log_progress(self, log: NullLogger, begun: int, started: float) -> None:
        # Of rank 0's shard; what the others saw is not asked for.
        loss, top1, _, _ = self.sums.tolist()
        seen = sum(stop - start for (start, stop), _ in map(self._local_rows, range(self.step)))
        rate = (self.step - begun) * self.batch / max(time.perf_counter() - started, 1e-9)
        log.progress(self.epoch, self.step, loss / seen, top1 / seen, rate)

    def _elapsed(self, started: float) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - started

    def _finish_epoch(self, started: float, log: NullLogger) -> None:
        loss, top1, top5, bad = self._total(self.sums)
        self.train_seconds += self._elapsed(started)
        if bad != math.inf:
            raise Diverged(self.epoch, int(bad))
        started = time.perf_counter()
        test_loss, test_top1, test_top5 = self._evaluate()
        test_seconds = self._elapsed(started)
        if not (math.isfinite(loss) and math.isfinite(test_loss)):
            raise Diverged(self.epoch, 0)
        n = len(self.train)
        self.rows.append({
            "epoch": self.epoch, "lr": self._rate(self.epoch * self.steps - 1),
            "train_loss": loss / n, "train_top1": top1 / n, "train_top5": top5 / n,
            "test_loss": test_loss, "test_top1": test_top1, "test_top5": test_top5,
            **self.measured.values(), "train_seconds": self.train_seconds, "test_seconds": test_seconds,
        })  # fmt: skip
        log.info(
            f"epoch {self.epoch}/{self.epochs} train loss {loss / n:.4f} top1 {top1 / n:.2%} | test loss "
            f"{test_loss:.4f} top1 {test_top1:.2%} | {self.train_seconds:.1f} s + {test_seconds:.1f} s"
        )
        self.epoch, self.step, self.train_seconds, self.sums = self.epoch + 1, 0, 0.0, self._zero()

    def _total(self, sums: Tensor) -> list[float]:
        """`sums` over all processes; the step is the first that any of them names."""
        return [*self.group.all_reduce_sum(sums[:3]).tolist(), *self.group.all_reduce_min(sums[3:]).tolist()]

    @torch.no_grad()
    def _evaluate(self) -> tuple[float, float, float]:
        """Loss, top-1 and top-5 over the test images with the running statistics."""
        self.group.broadcast_buffers(self.model)
        self.model.eval()
        sums, n = self._zero(), len(self.test)
        size, (start, stop) = self.test.evaluation_batch, self.group.shard(0, n)
        rows = [(row, min(row + size, stop)) for row in range(start, stop, size)]
        with closing(self.test.batches(None, rows)) as batches, keep_folded(self.model):
            for x, y in batches:
                with self._precision():
                    logits = self.model(x).float()
                self._count(sums, logits, y, losses.loss(self.hyper["loss"], logits, y))
                self.measured.add(logits, y)
        loss, top1, top5, _ = self._total(sums)
        return loss / n, top1 / n, top5 / n


def _draws(module: nn.Module) -> bool:
    """Whether the module draws random numbers in training; torch has no public class above all its dropouts."""
    return isinstance(module, nn.modules.dropout._DropoutNd) or "StochasticDepth" in type(module).__name__
