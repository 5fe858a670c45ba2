"""What the benchmarks share: where they ran, a table on the terminal, a CSV beside it."""

import csv
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"


def machine() -> str:
    """Processor, its cores, load, versions and commit: what a figure is worth nothing without."""
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())  # fmt: skip
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{cpu}, {os.cpu_count()} cores, {load}, Python {platform.python_version()}, commit {commit or 'unknown'}"


def show(name: str, rows: list[dict], note: str = "") -> Path:
    """Print `rows` as a table and write them to results/benchmarks/NAME-DATE.csv with the command and the machine."""
    table = Table(title=f"{name}: {machine()}", caption=note)
    for column in rows[0]:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console().print(table)
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}.csv"
    with open(path, "w", newline="") as file:
        file.write(f"# {machine()}; python -m benchmarks.{name} {' '.join(sys.argv[1:])}; {note}\n")
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(path)
    return path
