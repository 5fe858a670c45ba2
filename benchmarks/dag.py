"""Time and memory of `snakemake --dry-run` on studies of growing size: python -m benchmarks.dag --cells 374 3740

The work is the whole start: configuration, grid, hyper-parameters, resources, the jobs and what is missing; with all
cells missing, none, or one. Beside it, alternating, a bare Snakefile with as many jobs of the same paths and nothing
else, and `renorm status`. A finished cell is a record as the trainer writes it, of one epoch; bare Snakemake, which
looks at times alone, has an empty file.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.common import show
from renorm.core import files
from renorm.runs import collect, finished, made_from, run_record
from renorm.study import config, data_manifest, grid
from renorm.study.cell import Cell

ROOT = Path(__file__).parents[1]
BARE = """
CELLS = [f"digits/tiny_vgg/{norm}/paper/e1/s{seed}" for norm in ("batch_norm", "deconv") for seed in range(SEEDS)]
rule all:
    input: expand("results/runs/{cell}/run.json", cell=CELLS)
rule train:
    output: "results/runs/{dataset}/{arch}/{norm}/{recipe}/e{epochs}/s{seed}/run.json"
    shell: "touch {output}"
"""
# Runs the command that follows; prints its seconds and the megabytes of its largest process.
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def study(cells: int) -> dict:
    """Two norms × as many seeds as make up `cells`."""
    return {
        "study": "dag", "recipes": {"paper": {}},
        "experiments": {"e": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm", "deconv"],
                              "recipe": ["paper"], "epochs": [1], "seeds": list(range(cells // 2))}},
    }  # fmt: skip


def measure(folder: Path, *command: str) -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], cwd=folder, check=True, capture_output=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def dry_run(folder: Path, snakefile: Path, *arguments: str) -> tuple[float, float]:
    return measure(folder, sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2",
                   "--scheduler", "greedy", "--dry-run", "--quiet", "all", "--nolock", "--rerun-triggers", "mtime",
                   "input", "params", *arguments)  # fmt: skip


def finish(folder: Path) -> Path:
    """Finish the study: a record of every cell, and all other outputs as files whose content nobody reads.

    Returns the record of one cell.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--summary",
         "--configfile", "study.yaml"], cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for line in listed.stdout.splitlines()[1:]:
        path = folder / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with contextlib.chdir(folder):
        checksums = {f"{split}.npz": 64 * "0" for split in data_manifest.SPLITS}
        manifest = {"sha256": checksums, "counts": {"train": 1437, "test": 360}, "image_shape": [1, 8, 8]}
        files.write_sealed(Path("results/data/digits/manifest.json"), manifest)
        study = config.load("study.yaml")
        looks = [(cell, write_record(study, cell)) for cell in grid.cells(study)]
        digest = collect.inputs_digest(study, looks, study.folder)
        made_from.note(study.folder, made_from.COLLECT, digest)
        made_from.note(study.folder, made_from.JUDGE, made_from.judged(digest, study.claims_folders))
        for step in made_from.STEPS[2:]:
            made_from.note_after(study.folder, step)
    return folder / "results/runs/digits/tiny_vgg/deconv/paper/e1/s0/run.json"


def write_record(study: config.Study, cell: Cell) -> run_record.Record:
    """Write the record of a run of one epoch that counts for `cell`, and its history."""
    wanted = finished.identity(study, cell)
    row = {"epoch": 1, "train_loss": 1.5, "test_loss": 1.25, "test_top1": 50.0, "train_seconds": 1.0}
    history = run_record.history_csv([row])
    after = run_record.measured(row, {"train": 1437, "test": 360})
    record = run_record.Record(
        cell=cell, protocol=wanted.hyperparameters["protocol"], hyperparameters=wanted.hyperparameters,
        runner=run_record.Builtin(), status="completed", epochs_completed=1,
        metrics=run_record.Metrics(final=after, best=after), data_sha256=wanted.data_sha256, code=wanted.code,
        provenance=run_record.Provenance(), started=run_record.now(), finished=run_record.now(),
        history_sha256=run_record.digest(history),
    )  # fmt: skip
    run_record.write(finished.run_folder(study, cell), record, history)
    return record


def measure_all(cells: int, repeats: int) -> list[dict]:
    with tempfile.TemporaryDirectory() as name:
        folder, ours = Path(name), ROOT / "Snakefile"
        (folder / "study.yaml").write_text(yaml.safe_dump(study(cells)))
        (folder / "Snakefile").write_text(BARE.replace("SEEDS", str(cells // 2)))
        config, status = ("--configfile", "study.yaml"), ("-m", "renorm", "status", "--config", "study.yaml")
        ways = {
            "bare Snakemake, all missing": lambda: dry_run(folder, folder / "Snakefile"),
            "all missing": lambda: dry_run(folder, ours, *config),
            "renorm status": lambda: measure(folder, sys.executable, *status),
        }
        rows = alternated(cells, ways, repeats)
        record = finish(folder)
        rows += alternated(cells, {"nothing to do": lambda: dry_run(folder, ours, *config)}, repeats)
        record.unlink()
        return rows + alternated(cells, {"one missing": lambda: dry_run(folder, ours, *config)}, repeats)


def alternated(cells: int, ways: dict, repeats: int) -> list[dict]:
    taken = [{name: way() for name, way in ways.items()} for _ in range(repeats)]
    return [
        {"cells": cells, "what": name, "seconds": statistics.median(r[name][0] for r in taken),
         "MB": max(r[name][1] for r in taken)}
        for name in ways
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", type=int, default=[374, 3740])
    parser.add_argument("--repeats", type=int, default=3)
    o = parser.parse_args()
    rows = [row for cells in sorted(o.cells) for row in measure_all(cells, o.repeats)]
    show("dag", rows, f"median of {o.repeats}, the largest memory")


if __name__ == "__main__":
    main()
