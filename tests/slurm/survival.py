"""`python -m tests.slurm.survival docs/cluster.md`: the table of what survives, from the marks of the cluster tests."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from renorm.core.files import write_atomic

MODULES = ("test_grid", "test_survival", "test_accounting", "test_obstacles", "test_preflight")
HEAD = "| event | consequence | checked | test |\n|---|---|---|---|\n"
PART = re.compile(r"<!-- survives -->\n(.*?)<!-- end -->", re.S)


def survives(event: str, consequence: str, checked: str) -> Callable:
    """Mark a test as the one of a row: what happens to a study, what follows, and the numbers that the test asserts."""
    return pytest.mark.survives(event, consequence, checked)


def tests() -> Iterator[tuple[str, Callable]]:
    """(file, function) of every test of the modules, in their order."""
    for name in MODULES:
        module = importlib.import_module(f"{__package__}.{name}")
        for key, value in vars(module).items():
            if key.startswith("test_") and inspect.isfunction(value) and value.__module__ == module.__name__:
                yield f"{name}.py", value


def rows() -> Iterator[str]:
    """Lines of the table; those of tests that only `make test-slurm-all` runs have an asterisk."""
    for file, function in tests():
        marks = getattr(function, "pytestmark", [])
        star = "*" if any(mark.name == "skipif" for mark in marks) else ""
        for mark in reversed([mark for mark in marks if mark.name == "survives"]):  # decorators apply from below
            event, consequence, checked = mark.args
            yield f"| {event}{star} | {consequence} | {checked} | `{file}::{function.__name__}` |\n"


def updated(page: str) -> str:
    """`page` with the part between `<!-- survives -->` and `<!-- end -->` written anew."""
    found = PART.search(page)
    assert found, "the mark <!-- survives --> is missing: put it back"
    return f"{page[: found.start(1)]}\n{HEAD}{''.join(rows())}\n{page[found.end(1) :]}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_atomic(path, updated(path.read_text(encoding="utf-8")))
