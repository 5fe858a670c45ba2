"""What a person sees while a cell trains: a live bar on a terminal, plain lines in the log."""

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from renorm.core.files import open_append, writing
from renorm.runs.run_record import now


class Teller:
    """Says lines to `log` and, unless `quiet`, to standard error; on a terminal there is a live bar as well.

    `due()` is true once a second at most and only when somebody looks: reading a metric off a GPU stops its queue.
    """

    def __init__(self, log: Path, quiet: bool):
        self.path = log
        self.log = open_append(log)
        self.console = None if quiet else Console(stderr=True, highlight=False)
        self.live = self.console is not None and sys.stderr.isatty()
        self.bar: Progress | None = None
        self.last = 0.0

    def say(self, line: str) -> None:
        with writing(self.path):
            self.log.write(f"{now()} {line}\n".encode())
        if self.console:
            self.console.print(line, markup=False, soft_wrap=True)

    def start(self, epochs: int, steps: int, done: int) -> None:
        if self.live:
            columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}")]
            self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console)
            self.task = self.bar.add_task("", total=epochs * steps, completed=done, facts="")
            self.bar.start()
        self.epochs, self.steps = epochs, steps

    def due(self) -> bool:
        return self.bar is not None and time.monotonic() - self.last >= 1.0

    def show(self, epoch: int, step: int, loss: float, accuracy: float, rate: float) -> None:
        """Epoch and step (from 1), running training loss and accuracy, images per second."""
        self.last = time.monotonic()
        if self.bar:
            self.bar.update(
                self.task, completed=(epoch - 1) * self.steps + step,
                description=f"epoch {epoch}/{self.epochs} step {step}/{self.steps}",
                facts=f"loss {loss:.4f}  accuracy {accuracy:.2%}  {rate:,.0f} images/s",
            )  # fmt: skip

    def close(self) -> None:
        if self.bar:
            self.bar.stop()
        self.log.close()


class Silent:
    """In the place of a `Teller` where nobody listens."""

    def due(self) -> bool:
        return False

    def say(self, line: str) -> None:
        pass
