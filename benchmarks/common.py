"""What the benchmarks share: clocks, where they ran, a table on the terminal, a CSV and a plot beside it."""

import csv
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from renorm.core.machine import cpu_name

RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"


def machine() -> str:
    """Processor, its cores, load, versions and commit: what a figure is worth nothing without."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    here = f"{cpu_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return f"{here}, Python {platform.python_version()}, commit {commit or 'unknown'}"


def clock(device) -> float:
    """Now, in seconds: wall clock on a GPU after all its work, and of several threads; CPU time of one thread.

    Processor time, since another program on the machine distorts it little.
    """
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


def what_clock(device) -> str:
    import torch

    if device.type == "cuda":
        return f"wall clock, {torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    return "CPU time of one thread" if threads == 1 else f"wall clock of {threads} threads"


def configure_as_training(threads: int, device) -> None:
    """Set this process up as the trainer does for a recipe that says nothing of it."""
    from renorm.study.config import Recipe
    from renorm.training.device import configure

    configure(Recipe().resolved("batch_norm", "vgg16"), threads, device)


def what_precision(device) -> str:
    """In which numbers this process computes; on a GPU also whether cuDNN looks for the fastest kernels."""
    import torch

    if device.type != "cuda":
        return "float32"
    convolutions, products = torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision
    search = "on" if torch.backends.cudnn.benchmark else "off"
    return f"float32, as {convolutions} in convolutions and {products} in products, cudnn.benchmark {search}"


def interleaved(device, works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each of `works`, alternating; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(repeats + 1):
        for name, work in works.items():
            begun = clock(device)
            work()
            if round_:
                seconds[name].append(clock(device) - begun)
    return {name: statistics.median(values) for name, values in seconds.items()}


def bars(table: Path, rows: list[dict], label: str, columns: dict[str, str], unit: str) -> Path:
    """A plot beside `table`: a bar a row, of the `columns` (column → name in the legend) one after another."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.28 * len(rows)), layout="constrained")
    names, left = [str(row[label]) for row in rows], [0.0] * len(rows)
    for column, name in columns.items():
        widths = [float(row[column] or 0) for row in rows]
        axes.barh(range(len(rows)), widths, left=left, label=name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.legend(fontsize=7, frameon=False)
    path = table.with_suffix(".svg")
    figure.savefig(path)
    pyplot.close(figure)
    print(path)
    return path


def show(name: str, rows: list[dict], note: str = "") -> Path:
    """Print `rows` as a table and write them to results/benchmarks/NAME-DATE.csv with the command and the machine."""
    table = Table(title=f"{name}: {machine()}", caption=note)
    for column in rows[0]:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    console = Console()
    # Piped into a file, columns stay whole.
    (console if console.is_terminal else Console(width=220)).print(table)
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}.csv"
    with open(path, "w", newline="") as file:
        file.write(f"# {machine()}; python -m benchmarks.{name} {' '.join(sys.argv[1:])}; {note}\n")
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(path)
    return path
