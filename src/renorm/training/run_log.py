"""What a person sees while a cell trains: a live bar on a terminal, plain lines in the log."""

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from renorm.core.files import open_append, writing
from renorm.runs import run_log


class NullLogger:
    """A run log that nobody reads, and the interface of one."""

    def start(self, message: str) -> None:
        """Log that the run starts or resumes."""

    def info(self, message: str) -> None:
        """Log one line."""

    def warning(self, message: str) -> None:
        """Log one line that asks for attention."""

    def open_bar(self, epochs: int, steps: int, done: int) -> None:
        """Show a progress bar of `epochs` × `steps` steps, of which `done` were taken."""

    def due(self) -> bool:
        """Whether `progress` should be called now: reading a metric off a GPU stops its queue."""
        return False

    def progress(self, epoch: int, step: int, loss: float, accuracy: float, rate: float) -> None:
        """Update the bar.

        Args:
            epoch: Epoch in work, from 1.
            step: Steps of it that were taken.
            loss: Mean training loss of the epoch so far.
            accuracy: Training accuracy of the epoch so far, from 0 to 1.
            rate: Images per second.
        """


class RunLogger(NullLogger):
    """Writes lines to a log file and, unless `quiet`, to standard error; on a terminal there is a live bar as well."""

    def __init__(self, log: Path, quiet: bool) -> None:
        self.path = log
        self.log = open_append(log)
        self.console = None if quiet else Console(stderr=True, highlight=False)
        self.bar: Progress | None = None
        self.task = TaskID(0)
        self.epochs = self.steps = 0
        self.shown = 0.0

    def start(self, message: str) -> None:
        self._write("START", message)

    def info(self, message: str) -> None:
        self._write("INFO", message)

    def warning(self, message: str) -> None:
        self._write("WARNING", message)

    def output(self, line: str) -> None:
        """Log a line that a program printed, as it is."""
        self._write_line(line, line)

    def _write(self, level: run_log.Level, message: str) -> None:
        self._write_line(run_log.line(level, message), message)

    def _write_line(self, line: str, shown: str) -> None:
        with writing(self.path):
            self.log.write(f"{line}\n".encode())
        if self.console:
            self.console.print(shown, markup=False, soft_wrap=True)

    def open_bar(self, epochs: int, steps: int, done: int) -> None:
        self.epochs, self.steps = epochs, steps
        if self.console is not None and sys.stderr.isatty():
            columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}")]
            self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console)
            self.task = self.bar.add_task("", total=epochs * steps, completed=done, facts="")
            self.bar.start()

    def due(self) -> bool:
        # Once a second at most, and only where somebody looks.
        return self.bar is not None and time.monotonic() - self.shown >= 1.0

    def progress(self, epoch: int, step: int, loss: float, accuracy: float, rate: float) -> None:
        self.shown = time.monotonic()
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
