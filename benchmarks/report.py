"""Seconds and bytes of judging and rendering full studies: python -m benchmarks.report [--times 1 10]

The studies are simulated by the tests' builder and compared with the real claims: 367 cells, and ten times as many.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import show


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(times: int, repeats: int) -> dict:
    """Median seconds of every step of a study with `times` the seeds, and what its page weighs."""
    from renorm.judging import judge
    from renorm.report.export import write_tables
    from renorm.report.figures import draw
    from renorm.report.page import render
    from tests.report.simulate import write_judged

    with tempfile.TemporaryDirectory() as name:
        folder = write_judged(Path(name) / "study", times=times)
        steps = {"judge": judge, "figures": draw, "tables": write_tables, "page": render}
        # Alternating; the first also imports, as the commands do.
        rounds = [{f"{step} s": timed(lambda work=work: work(folder)) for step, work in steps.items()}
                 for _ in range(repeats)]  # fmt: skip
        medians = {step: statistics.median(r[step] for r in rounds) for step in rounds[0]}
        size = (folder / "report.html").stat().st_size
    return {"cells": 367 * times, **medians, "all s": sum(medians.values()), "report.html MB": size / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", nargs="+", type=int, default=[1, 10], help="seeds, as multiples of Table 1's")
    parser.add_argument("--repeats", type=int, default=3)
    o = parser.parse_args()
    rows = [measure(times, o.repeats) for times in o.times]
    show("report", rows, f"median of {o.repeats}, one process")


if __name__ == "__main__":
    main()
