"""One full study, one demo, drawn and rendered once for all tests."""

import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import browser as chromium
import simulate

from renorm.report.export import write_tables
from renorm.report.figures import draw
from renorm.report.page import render


@pytest.fixture(scope="session")
def full(tmp_path_factory) -> Path:
    """367 cells, some missing, some diverged, with a published reproduction beside them."""
    folder = simulate.write_study(tmp_path_factory.mktemp("report") / "full")
    simulate.write_records(folder)
    start = time.perf_counter()
    draw(folder)
    drawn = time.perf_counter()
    write_tables(folder)
    render(folder)
    print(f"figures {drawn - start:.1f} s, tables and page {time.perf_counter() - drawn:.1f} s")
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """A small study of a data set that nobody made claims about."""
    folder = simulate.write_study(tmp_path_factory.mktemp("report") / "demo", demo=True)
    draw(folder)
    render(folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium; without it the test is skipped by name, and fails where everything must be tested."""
    if chromium.PROGRAM is None:
        missing = "Debian's chromium is not installed (envs/debian.txt)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    with chromium.browser() as page:
        yield page
