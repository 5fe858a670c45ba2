"""Hours of a whole study, projected from measured steps, beside what a published reproduction took for the same cells.

    python -m benchmarks.study [--steps results/benchmarks/step-….csv] [--config config.yaml] [--only EXPERIMENTS]

Steps are those of `--steps`, a CSV of benchmarks.step; what is not in it is measured here. A cell is its process's
start, its epochs of training steps, and a test after each. Published hours are the training times in the claims, each
as often as the study has seeds of that cell.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import torch

from benchmarks.common import bars, show, what_clock
from benchmarks.step import measure
from renorm.execution import workload
from renorm.execution.calibrate import start_seconds
from renorm.study import config, grid
from renorm.study.cell import Cell
from renorm.study.claims import load_claims
from renorm.study.config import Study

ROOT = Path(__file__).parents[1]
KINDS = ("batch_norm", "deconv")


def measured_steps(path: Path | None) -> dict[str, dict]:
    """arch → its row of a CSV of benchmarks.step."""
    if path is None:
        return {}
    with open(path, newline="") as file:
        if not file.readline().startswith("# "):
            raise SystemExit(f"{path}: is no table of benchmarks.step")
        rows = list(csv.DictReader(file))
    if not rows or not {"arch", "batch", *(f"{kind} test ms" for kind in KINDS)} <= set(rows[0]):
        raise SystemExit(f"{path}: is no table of benchmarks.step")
    return {row["arch"]: row for row in rows if row["batch"]}


def projected(study: Study, cell: Cell, row: dict, start: float) -> float:
    """Seconds of `cell` when a step takes what `row` says, an image as long in any batch."""
    work = workload.workload(study, cell)
    step, test = (float(row[f"{cell.norm} {what}ms"]) / 1000 / float(row["batch"]) for what in ("", "test "))
    return start + work.epochs * (work.train * step + work.test * test)


def published(folders: list[str]) -> dict[tuple, float]:
    """Cell without its seed → seconds of training in the claims of `folders`; the first that has them counts.

    The mean of the single attempts where they were published, else the printed average.
    """
    found: dict[tuple, float] = {}
    for folder in folders:
        frame = load_claims(folder).frame
        rows = frame[(frame.metric == "seconds") & (frame.split == "train") & frame.value.notna()]
        for key, cell in rows.groupby(["dataset", "arch", "norm", "recipe", "epochs"], sort=False):
            attempts = cell[cell.attempt.notna()]
            found.setdefault(key, float((cell if attempts.empty else attempts).value.mean()))
    return found


def rows_of(study: Study, steps: dict[str, dict], start: float, threads: int) -> list[dict]:
    """A row per architecture and normaliser, and one of all."""
    cells: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in sorted(grid.cells(study)):
        cells[cell.arch, cell.norm].append(cell)
    claims = study.claims.reproductions if study.claims else []
    references = published([str(ROOT / folder) for folder in claims])
    hours, rows = f"{'GPU' if workload.kind(study) == 'cuda' else 'CPU'}-hours", []
    for (arch, norm), some in cells.items():
        known = [references.get((c.dataset, c.arch, c.norm, c.recipe, c.epochs)) for c in some]
        row = steps[arch]
        rows.append({
            "arch": arch, "norm": norm, "cells": len(some), "batch measured": int(row["batch"]),
            "ms a step": float(row[f"{norm} ms"]),
            hours: sum(projected(study, cell, row, start) for cell in some) * threads / 3600,
            "published GPU-hours": sum(seconds or 0.0 for seconds in known) / 3600,
            "published cells": sum(seconds is not None for seconds in known),
        })  # fmt: skip
    total = {"arch": "all", "norm": "", "batch measured": "", "ms a step": ""}
    sums = {key: sum(row[key] for row in rows) for key in rows[0] if key not in total}
    return [*rows, {key: total.get(key, sums.get(key)) for key in rows[0]}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml")
    parser.add_argument("--only", default="table1_cifar10,table1_cifar100")
    parser.add_argument("--batch", type=int, help="of steps measured here; default: 128 on a GPU, 32 on a CPU")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    o = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(o.device)
    change = {"only": o.only, "device": device.type, "gpu": int(device.type == "cuda"), "threads": 1}
    study = config.load(o.config, change)
    other = {cell.norm for cell in grid.cells(study)} - set(KINDS)
    if other:
        raise SystemExit(f"--only: {', '.join(sorted(other))}: benchmarks.step measures {' and '.join(KINDS)} only")
    steps = measured_steps(o.steps)
    batch = o.batch or (128 if device.type == "cuda" else 32)
    for arch in sorted({cell.arch for cell in grid.cells(study)} - set(steps)):
        steps[arch] = measure(arch, list(KINDS), batch, o.repeats, device)
    start = start_seconds(device)
    rows = rows_of(study, steps, start, study.threads)
    sources = ", ".join(study.claims.reproductions) if study.claims else "none"
    note = f"{what_clock(device)}; a process starts in {start:.1f} s; published: {sources}"
    path = show("study", rows, note)
    hours = next(key for key in rows[0] if key.endswith("-hours"))
    shown = [row | {"cell": f"{row['arch']} {row['norm']}"} for row in rows[:-1]]
    bars(path, shown, "cell", {hours: "projected"}, hours)


if __name__ == "__main__":
    main()
