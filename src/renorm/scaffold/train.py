"""An example program: a linear classifier of scikit-learn's digits, with or without momentum.

It writes a row per epoch to <out>/log.csv, which is all that a study needs of a program. Replace it by yours.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--optimizer", choices=["sgd", "momentum"], required=True)
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--epochs", type=int, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--out", type=Path, required=True)
options = parser.parse_args()

rng = np.random.default_rng(options.seed)
digits = load_digits()
images, labels = digits.data / 16, digits.target
test = np.arange(len(labels)) % 5 == 0
weights = 0.01 * rng.standard_normal((images.shape[1], 10))
velocity = np.zeros_like(weights)
momentum = 0.9 if options.optimizer == "momentum" else 0.0

options.out.mkdir(parents=True, exist_ok=True)
with open(options.out / "log.csv", "w", newline="") as file:
    log = csv.writer(file)
    log.writerow(["epoch", "val_acc"])
    for epoch in range(1, options.epochs + 1):
        for rows in np.array_split(rng.permutation(np.flatnonzero(~test)), 45):
            logits = images[rows] @ weights
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            shares[np.arange(len(rows)), labels[rows]] -= 1
            velocity = momentum * velocity + images[rows].T @ shares / len(rows)
            weights -= options.lr * velocity
        accuracy = 100 * np.mean((images[test] @ weights).argmax(axis=1) == labels[test])
        log.writerow([epoch, f"{accuracy:.2f}"])
        print(f"epoch {epoch}: test accuracy {accuracy:.2f} %")
