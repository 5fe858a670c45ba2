"""The head and the foot of the page: when, with what and from what the study was made, and how to cite it."""

from functools import cache

import pandas as pd

from renorm.core.machine import code_version
from renorm.report.inputs import Inputs
from renorm.report.labels import Names

SHORT = 7  # digits of a commit
SUM = 12  # digits of a checksum


@cache
def written_by() -> str:
    """renorm's version and commit as they are where the page is written."""
    code = code_version()
    return _version(code["renorm"], code["commit"])


def _version(release: object, commit: object) -> str:
    return f"renorm {release}" + (f", commit {str(commit)[:SHORT]}" if commit else "")


def experiments(inputs: Inputs) -> list[str]:
    """Titles of the experiments that the study takes, with their cells: nothing of what it leaves out."""
    return [f"{one.title} ({one.cells} cells)" for one in inputs.study.experiments]


def facts(inputs: Inputs) -> list[tuple[str, str]]:
    """What and how it is, for the foot; a fact that no record has is left out."""
    frame, names = inputs["provenance"], Names(inputs)
    runs = sorted(
        {_version(*pair) for pair in zip(*(_column(frame, key) for key in ("renorm", "commit")), strict=True)}
    )
    sums = dict.fromkeys(zip(_column(frame, "dataset"), _column(frame, "data_sha256"), strict=True))
    found = [
        ("Runs finished", _span(_column(frame, "finished"))),
        ("Runs made with", "; ".join(runs)),
        ("Page written by", written_by()),
        ("Hardware", _values(frame, "device")),
        ("PyTorch", _values(frame, "torch")),
        ("Data", "; ".join(f"{names.dataset(key)} SHA-256 {digest[:SUM]}…" for key, digest in sums if digest)),
        ("Configuration", _configuration(inputs)),
    ]
    return [(name, value) for name, value in found if value]


def finished(inputs: Inputs) -> str:
    """The day on which the last run ended."""
    return max(_column(inputs["provenance"], "finished"), default="")[:10]


def _configuration(inputs: Inputs) -> str:
    described = inputs.study.description
    return f"study “{inputs.name}”" + (f". The whole configuration: {described}" if described else "")


def _column(frame: pd.DataFrame, name: str) -> list[str]:
    return [str(value) for value in frame[name]] if name in frame else [""] * len(frame)


def _values(frame: pd.DataFrame, name: str) -> str:
    return ", ".join(dict.fromkeys(filter(None, _column(frame, name))))


def _span(times: list[str]) -> str:
    days = sorted(time[:10] for time in times if time)
    if not days:
        return ""
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
