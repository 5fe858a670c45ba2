"""Time and memory of `snakemake --dry-run` on studies of growing size: python -m benchmarks.dag --cells 374 3740

The work is the whole start: configuration, grid, hyper-parameters, resources, the jobs and what is missing.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.common import show

ROOT = Path(__file__).parents[1]


def study(cells: int) -> dict:
    """Two norms × as many seeds as make up `cells`."""
    return {
        "study": "dag", "recipes": {"paper": {}},
        "experiments": {"e": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm", "deconv"],
                              "recipe": ["paper"], "epochs": [1], "seeds": list(range(cells // 2))}},
    }  # fmt: skip


def dry_run(cells: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(yaml.safe_dump(study(cells)))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder,
                   "--configfile", str(path), "--cores", "2", "--scheduler", "greedy", "--dry-run", "--quiet", "all",
                   "--rerun-triggers", "mtime", "input", "params", "--nolock"]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"cells": cells, "seconds": seconds, "largest process so far, MB": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", type=int, default=[374, 3740])
    show("dag", [dry_run(cells) for cells in sorted(parser.parse_args().cells)])


if __name__ == "__main__":
    main()
