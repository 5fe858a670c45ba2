"""Wall clock of a whole cell and where it goes: python -m benchmarks.cell --arch tiny_vgg --norm deconv

Start-up is what the process spends beside setting up, training, testing: interpreter, imports, writing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import show


def run(arch: str, norm: str, dataset: str, epochs: int, prepared: Path) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "renorm", "train", "--dataset", dataset, "--arch", arch, "--norm", norm,
                   "--epochs", str(epochs), "--out", folder, "--prepared", str(prepared), "--quiet"]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(command, check=True)
        whole = time.perf_counter() - start
        seconds = json.loads((Path(folder) / "run.json").read_text())["seconds"]
    return {"whole": whole, **seconds, "start-up and writing": whole - sum(seconds.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="tiny_vgg")
    parser.add_argument("--norms", nargs="+", default=["batch_norm", "deconv"])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--prepared", type=Path, default=Path("results/data"))
    o = parser.parse_args()
    repeats = [{norm: run(o.arch, norm, o.dataset, o.epochs, o.prepared) for norm in o.norms} for _ in range(o.repeats)]
    rows = [
        {"cell": f"{o.dataset}/{o.arch}/{norm}/e{o.epochs}"}
        | {f"{key} s": statistics.median(repeat[norm][key] for repeat in repeats) for key in repeats[0][norm]}
        for norm in o.norms
    ]
    show("cell", rows, f"median of {o.repeats}, the norms alternating")


if __name__ == "__main__":
    main()
