"""The loop of one run: from any step of any epoch to the end, without a stop for metrics.

On several GPUs each process runs it on its share of every batch; the team makes them one (`training.team`).
"""

import time
from collections.abc import Callable
from contextlib import closing, nullcontext

import torch
from torch import Tensor, nn

from renorm.data import Dataset, on_device
from renorm.data.batches import derived_seed
from renorm.norms import keep_folded
from renorm.runs import run_record
from renorm.training import losses, optimizers
from renorm.training.process_group import Alone


class Diverged(Exception):
    """The loss of `step` in `epoch` (both from 1) was not finite; step 0 means the evaluation after the epoch."""

    def __init__(self, epoch: int, step: int):
        super().__init__(f"loss is not finite in epoch {epoch}, " + (f"step {step}" if step else "evaluation"))
        self.epoch, self.step = epoch, step


class Stopped(Exception):
    """Asked to stop; everything up to here was saved."""


class Loop:
    """The state of a run and its steps.

    `interrupted()` is asked after every step; when it is true, or `checkpoint_seconds` went by, `save(state)` is
    called. All state that a continuation needs is in `state()`. `workers` processes decode where the data set is one of
    picture files.
    """

    def __init__(
        self, model: nn.Module, data: Dataset, hyper: dict, epochs: int, seed: int, device: torch.device,
        team: Alone | None = None, workers: int = 1,
    ):  # fmt: skip
        self.model, self.hyper, self.epochs, self.seed, self.device = model.to(device), hyper, epochs, seed, device
        self.team = team or Alone()
        self.network = self.team.wrap(self.model)
        self.train = on_device(data, "train", device, hyper["train_images"], workers, hyper["normalise"])
        self.test = on_device(data, "test", device, hyper["test_images"], workers, hyper["normalise"])
        self.batch = hyper["batch_size"]
        self.steps = -(-len(self.train) // self.batch)
        self.optimizer = optimizers.create(self.model.parameters(), hyper["optimizer"])
        # Only networks that draw during a step pay for seeding each one.
        self.draws = any(isinstance(m, nn.modules.dropout._DropoutNd) or "StochasticDepth" in type(m).__name__
                         for m in model.modules())  # fmt: skip
        self.epoch, self.step = 1, 0
        self.rows: list[dict] = []
        # Losses of the first steps, kept on the device; NaN where a step was not taken.
        self.logged = torch.full((hyper["log_steps"],), torch.nan, dtype=torch.float64, device=device)
        self.train_seconds = 0.0
        self.sums = self._zero()

    def _zero(self) -> Tensor:
        """Of the epoch so far: loss · images, hits in 1, hits in 5, and the first step whose loss was not finite."""
        return torch.tensor([0.0, 0.0, 0.0, torch.inf], dtype=torch.float64, device=self.device)

    @property
    def images(self) -> dict[str, int]:
        return {"train": len(self.train), "test": len(self.test)}

    def state(self) -> dict:
        """Everything that a continuation needs, as tensors and plain values; a team asks for it together."""
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch,
            "step": self.step, "rows": self.rows, "train_seconds": self.train_seconds,
            "sums": self.team.gather(self.sums), "logged": self.team.gather(self.logged),
        }  # fmt: skip

    def restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.rows = state["epoch"], state["step"], state["rows"]
        self.train_seconds = state["train_seconds"]
        self.sums, self.logged = (self.team.own(state[name]).to(self.device) for name in ("sums", "logged"))

    def step_losses(self) -> list[float]:
        """Losses of the first steps over all their images; NaN where a step was not taken."""
        return self.team.total(self.logged).tolist()

    def run(self, save: Callable[[], None], interrupted: Callable[[], bool], checkpoint_seconds: float, teller) -> None:
        """Train to the end. Raises `Diverged`, or `Stopped` after saving."""
        saved = time.monotonic()
        while self.epoch <= self.epochs:
            self.model.train()
            started = time.perf_counter()
            begun = self.step
            with closing(self._batches()) as batches:
                for batch in batches:
                    self._train_step(batch)
                    if teller.due():
                        self._show(teller, begun, started)
                    stop, late = self.team.agree(interrupted(), time.monotonic() - saved > checkpoint_seconds)
                    if stop or late:
                        self.train_seconds += self._elapsed(started)
                        save()
                        if stop:
                            raise Stopped
                        started, begun, saved = time.perf_counter(), self.step, time.monotonic()
            self._finish_epoch(started, teller)
            if self.epoch <= self.epochs:
                save()
                saved = time.monotonic()
            if self.team.agree(interrupted())[0] and self.epoch <= self.epochs:
                raise Stopped

    def _batches(self):
        """This process's part of what is left of the epoch."""
        draws = self.train.draw(self.seed, self.epoch, self.hyper["augment"])
        return self.train.batches(draws, [self._share(step)[0] for step in range(self.step, self.steps)])

    def _share(self, step: int) -> tuple[tuple[int, int], float]:
        """The rows of the epoch that this process sees in step `step`, and which part of the step's images they are.

        One row at least, though it counts for nothing then, since all processes must take the step.
        """
        first, last = step * self.batch, min((step + 1) * self.batch, len(self.train))
        start, stop = self.team.share(first, last)
        return (start, stop) if start < stop else (first, first + 1), (stop - start) / (last - first)

    def _train_step(self, batch: tuple[Tensor, Tensor]) -> None:
        x, y = batch
        taken = (self.epoch - 1) * self.steps + self.step
        self.optimizer.lr = self._rate(taken)
        if self.draws:
            key = (self.team.rank,) if self.team.rank else ()
            torch.manual_seed(derived_seed("step", self.seed, self.epoch, self.step, *key))
        with self._precision():
            logits = self.network(x)
        _, fraction = self._share(self.step)
        loss = losses.loss(self.hyper["loss"], logits.float(), y)
        self.optimizer.zero_grad()
        self.team.weighted(loss, fraction).backward()
        self.optimizer.step()
        if taken < len(self.logged):
            self.logged[taken] = loss.detach().double() * fraction
        self.step += 1
        if fraction:
            self._count(self.sums, logits.detach(), y, loss.detach())

    def _rate(self, taken: int) -> float:
        """The learning rate of the step before which `taken` were taken."""
        lr, schedule = self.hyper["optimizer"]["lr"], self.hyper["schedule"]
        return losses.learning_rate(lr, schedule, taken, self.epochs * self.steps)

    def _precision(self):
        if self.hyper["precision"] == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def _count(self, sums: Tensor, logits: Tensor, y: Tensor, loss: Tensor) -> None:
        """Add a batch to `sums` on the device; nothing is read back."""
        hits = logits.topk(min(5, logits.shape[1]), dim=1).indices == y[:, None]
        counted = torch.stack([loss.double() * len(y), hits[:, 0].sum().double(), hits.sum().double()])
        sums[:3] += counted
        sums[3] = torch.where(torch.isfinite(loss), sums[3], sums[3].clamp(max=self.step))

    def _show(self, teller, begun: int, started: float) -> None:
        # Of the leader's share; what the others saw is not asked for.
        loss, top1, _, _ = self.sums.tolist()
        seen = sum(stop - start for (start, stop), _ in map(self._share, range(self.step)))
        rate = (self.step - begun) * self.batch / max(time.perf_counter() - started, 1e-9)
        teller.show(self.epoch, self.step, loss / seen, top1 / seen, rate)

    def _elapsed(self, started: float) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - started

    def _finish_epoch(self, started: float, teller) -> None:
        loss, top1, top5, bad = self._total(self.sums)
        self.train_seconds += self._elapsed(started)
        if bad != float("inf"):
            raise Diverged(self.epoch, int(bad))
        started = time.perf_counter()
        test_loss, test_top1, test_top5 = self._evaluate()
        test_seconds = self._elapsed(started)
        if not run_record.finite(loss, test_loss):
            raise Diverged(self.epoch, 0)
        n = len(self.train)
        self.rows.append({
            "epoch": self.epoch, "lr": self._rate(self.epoch * self.steps - 1),
            "train_loss": loss / n, "train_top1": top1 / n, "train_top5": top5 / n,
            "test_loss": test_loss, "test_top1": test_top1, "test_top5": test_top5,
            "train_seconds": self.train_seconds, "test_seconds": test_seconds,
        })  # fmt: skip
        teller.say(
            f"epoch {self.epoch}/{self.epochs} train loss {loss / n:.4f} top1 {top1 / n:.2%} | test loss "
            f"{test_loss:.4f} top1 {test_top1:.2%} | {self.train_seconds:.1f} s + {test_seconds:.1f} s"
        )
        self.epoch, self.step, self.train_seconds, self.sums = self.epoch + 1, 0, 0.0, self._zero()

    def _total(self, sums: Tensor) -> list[float]:
        """`sums` over all processes; the step is the first that any of them names."""
        return [*self.team.total(sums[:3]).tolist(), *self.team.least(sums[3:]).tolist()]

    @torch.no_grad()
    def _evaluate(self) -> tuple[float, float, float]:
        """Loss, top-1 and top-5 over the test images with the running statistics."""
        self.team.align(self.model)
        self.model.eval()
        sums, n = self._zero(), len(self.test)
        size, (start, stop) = self.test.evaluation_batch, self.team.share(0, n)
        rows = [(row, min(row + size, stop)) for row in range(start, stop, size)]
        with closing(self.test.batches(None, rows)) as batches, keep_folded(self.model):
            for x, y in batches:
                with self._precision():
                    logits = self.model(x).float()
                self._count(sums, logits, y, losses.loss(self.hyper["loss"], logits, y))
        loss, top1, top5, _ = self._total(sums)
        return loss / n, top1 / n, top5 / n
