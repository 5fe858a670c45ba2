"""Seconds and bytes of judging and rendering a full study: python -m benchmarks.report

The study is simulated by the tests' builder: 367 cells, the real claims.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.common import show


def timed(what, function) -> dict:
    start = time.perf_counter()
    function()
    return {"step": what, "seconds": time.perf_counter() - start}


def main() -> None:
    from renorm.analysis import judge
    from renorm.report.export import write_tables
    from renorm.report.figures import draw
    from renorm.report.page import render
    from tests.report.simulate import write_judged

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "study"
        rows = [timed("simulate and judge", lambda: write_judged(folder)), timed("judge", lambda: judge(folder)),
                timed("figures", lambda: draw(folder)), timed("tables", lambda: write_tables(folder)),
                timed("page", lambda: render(folder))]  # fmt: skip
        size = (folder / "report.html").stat().st_size
    show("report", rows, f"367 cells, report.html {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
