"""The trainer of this package as a runner."""

from dataclasses import fields

from renorm.execution.runners.request import Request
from renorm.runs.run_record import Record
from renorm.training import job


def train(request: Request) -> Record:
    """Train the cell with `renorm.training`."""
    return job.train(job.Job(**{field.name: getattr(request, field.name) for field in fields(job.Job)}))
