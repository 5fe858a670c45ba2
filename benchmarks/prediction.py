"""Seconds of whole cells, predicted after one calibration and then measured: python -m benchmarks.prediction

    RENORM_DATA=... python -m benchmarks.prediction --minutes 1 [--config STUDY] [--only EXPERIMENT] [--cells 12]

The built-in study has cells of every size that a CPU finishes in a minute, on the bundled digits, MNIST and
CIFAR-10 (downloaded where RENORM_DATA has them not); `--config` takes another (on a GPU,
one with `gpu: 1`). Each cell is a process of its own, as in the pipeline. On a busy machine wall clock means nothing:
`CPU s` is what the cell's process used, compared with the prediction times the part of the CPU that the
calibration itself had.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import show
from renorm.core import validation
from renorm.execution import calibration_store, cost_model
from renorm.study import config, grid
from renorm.study.config import data_root

NORMS = ["batch_norm", "deconv"]
SMALL = {
    "study": "prediction", "device": "cpu", "threads": 1,
    "recipes": {
        "digits": {"batch_size": 64, "augment": "crop", "optimizer": {"lr": 0.05}},
        "flat": {"augment": "none", "optimizer": {"lr": 0.05}},
        "part": {"batch_size": 64, "train_images": 960, "test_images": 320, "optimizer": {"lr": 0.01}},
    },
    "experiments": {
        "digits": {"dataset": ["digits"], "arch": ["tiny_vgg", "tiny_resnet"], "norm": NORMS, "recipe": ["digits"],
                   "epochs": [15], "seeds": [1]},
        "mnist": {"dataset": ["mnist"], "arch": ["mlp", "linear"], "norm": NORMS, "recipe": ["flat"],
                  "epochs": [3], "seeds": [1]},
        "cifar10": {"dataset": ["cifar10"], "arch": ["vgg16", "mobilenet_v2"], "norm": NORMS, "recipe": ["part"],
                    "epochs": [1], "seeds": [1]},
    },
}  # fmt: skip


def run(*command: str) -> tuple[float, float]:
    """Wall clock and CPU seconds of `renorm COMMAND`; its error, already printed, ends the benchmark."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "renorm", *command], stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(study: config.Study, path: Path, cell, share: float) -> dict:
    expected = cost_model.estimate(study, cell)
    root = Path(study.results_dir)
    options = {
        "config": path, **cell.as_dict(), "out": root / "measured" / cell.path, "prepared": root / "data",
        "device": study.device, "threads": study.threads, "gpus": study.gpu,
    }  # fmt: skip
    wall, used = run("train", "--quiet", *(f"--{key}={value}" for key, value in options.items()))
    return {
        "cell": cell.path, "basis": expected.basis, "predicted s": expected.seconds, "measured s": wall,
        "error %": 100 * (expected.seconds / wall - 1), "CPU s": used,
        "error % of CPU s": 100 * (expected.seconds * share / used - 1), "asked min": expected.minutes,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--only", default="all")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--cells", type=int, default=12, help="measure so many, spread over the study's, cheap first")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Relative to it are the results; absolute paths of claims and data stay.
        path = Path(folder) / "study.json"
        values = validation.read_yaml(o.config) if o.config else SMALL
        values = values | {"results_dir": f"{folder}/results", "only": o.only}
        values.pop("claims", None)
        path.write_text(json.dumps(values))
        study = config.load(path)
        for name in sorted({cell.dataset for cell in grid.cells(study)}):
            run("prepare", name, "--data-dir", str(data_root(study.data_dir)),
                "--out", f"{study.results_dir}/data/{name}")  # fmt: skip
        wall, used = run("calibrate", "--config", str(path), "--minutes", str(o.minutes))
        share = used / wall / study.threads
        cells = sorted(grid.cells(study), key=lambda cell: cost_model.estimate(study, cell).seconds)
        chosen = cells[:: max(1, len(cells) // o.cells)][: o.cells]
        rows = [measure(study, path, cell, share) for cell in chosen]
        names = ", ".join(one.name for one in calibration_store.choose(study).taken)
    within = sum(abs(row["error %"]) <= 30 for row in rows)
    within_used = sum(abs(row["error % of CPU s"]) <= 30 for row in rows)
    show("prediction", rows, f"{names}; calibrated in {wall:.0f} s with {share:.0%} of the CPU; within 30 %: "
                             f"{within} of {len(rows)} by the clock, {within_used} by CPU time")  # fmt: skip


if __name__ == "__main__":
    main()
