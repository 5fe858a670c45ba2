"""A stand-in for a published train.py: the command line, folders and log files of the original code, and its crash.

It writes checkpoints/<setting without the seed>/<time>/test.log, a table with tabs; its numbers are made from the
seed. `--misbehave` names what a test wants to go wrong.
"""

import argparse
import csv
import os
import pathlib
import random
import subprocess
import sys
import time


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name, default in (("arch", "vgg11"), ("dataset", "cifar10"), ("deconv", "False"), ("resume", ""),
                          ("misbehave", ""), ("tensorboard", "True")):  # fmt: skip
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("epochs", 20), ("seed", 0), ("batch-size", 128), ("block-fc", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, default=0.0)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    print("| Preparing the data ...\nrenorm is not the name of this program", flush=True)
    # As in the original, the folder does not hold the seed.
    folder = os.path.join("checkpoints", f"{args.dataset},{args.arch},ep.{args.epochs}", time.strftime("%m-%d-%H.%M"))
    os.makedirs(folder, exist_ok=bool(args.resume))
    start = int(pathlib.Path(args.resume).read_text()) if args.resume else 0
    name = "tset.log" if args.misbehave == "no_file" else "test.log"
    columns = ["epoch", "loss", "accuracy" if args.misbehave == "column" else "top1", "top5", "time"]
    path = pathlib.Path(folder, name)
    new = not path.exists()
    with open(path, "a", newline="") as file:
        table = csv.writer(file, delimiter="\t")
        if new:
            table.writerow(columns)
        if args.misbehave in ("child", "daemon"):
            waits = [sys.executable, "-c", "import time; time.sleep(600)"]
            child = subprocess.Popen(waits, start_new_session=args.misbehave == "daemon")
            print(f"child {child.pid}", flush=True)
        for epoch in range(start, args.epochs - (args.misbehave == "short")):
            draw = random.Random(f"{args.seed} {args.deconv} {epoch}").random()
            top1 = 50 + 5 * epoch + 10 * (args.deconv == "True") + draw
            row = [epoch + 1, 2 / (epoch + 1), "nan" if args.misbehave == "nan" else top1, min(top1 + 20, 100), 0.25]
            table.writerow(row)
            file.flush()
            pathlib.Path(folder, "checkpoint.pth.tar").write_text(str(epoch + 1))
            print(f"epoch {epoch + 1} of {args.epochs}: top1 {top1:.2f}", flush=True)
            time.sleep(600 if args.misbehave == "hang" and not args.resume else args.seconds)
            if args.misbehave == "crash":
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if args.misbehave == "half":
            file.write(f"{args.epochs}\t0.1")
    if args.tensorboard == "False":
        args.writer.close()  # the original's fault: only --tensorboard True opens it


if __name__ == "__main__":
    main()
