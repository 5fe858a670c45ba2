"""What trains a cell: the built-in trainer, or a program of the configuration. Both leave the same record."""

from renorm.execution.runners.request import Request
from renorm.runs.run_record import Record

__all__ = ["Request", "train"]


def train(request: Request) -> Record:
    """Train the cell of `request`, or resume its training; returns its record.

    Raises:
        RenormError: Something that the request names is missing or damaged, or the training failed.
        SystemExit: With 128 + the signal's number after SIGTERM or SIGINT.
    """
    if request.program is not None:
        from renorm.execution.runners.program import train as run
    else:
        from renorm.execution.runners.builtin import train as run  # torch comes with it
    return run(request)
