"""Simulated tables of runs, honest ones and ones with a planted fault: how often does the audit err?

`python -m tests.judging.simulations` prints what comes of it, on seeds that no rule was made with.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from renorm.judging import audit
from renorm.judging.audit import NOT_CHECKED, Finding
from renorm.study.claims import Claims, load_claims

ROOT = Path(__file__).parents[2]
ARCHS = [f"net{i}" for i in range(10)]
EPOCHS = (1, 20, 100)
SD = {1: 0.02, 20: 0.003, 100: 0.0015}
COLUMNS = (
    "source dataset arch norm epochs attempt metric split value unit train_seconds test_seconds epochs_completed "
    "parameters"
)
LEVEL = {1: 0.45, 20: 0.90, 100: 0.94}


def clean(seed: int) -> pd.DataFrame:
    """360 runs as an honest laboratory writes them: spreads that differ by cell, seconds with some noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for dataset, hard in (("cifar10", 0.0), ("cifar100", 0.2)):
        for i, arch in enumerate(ARCHS):
            for norm, gain, slow in (("batch_norm", 0, 1), ("deconv", 0.02, 2 + i / 4)):
                for epochs in EPOCHS:
                    accuracy = LEVEL[epochs] - hard - i / 200 + gain
                    sd = SD[epochs] * rng.lognormal(0, 0.4)
                    for attempt in (1, 2, 3):
                        value = round(np.clip(accuracy + rng.normal(0, sd), 0.01, 0.999), 4)
                        seconds = round((5 + i) * slow * epochs * rng.lognormal(0, 0.04), 2)
                        rows.append(
                            ("lab", dataset, arch, norm, epochs, str(attempt), "top1", "test", f"{value * 100:.2f}",
                             "percent", seconds, round(epochs * rng.lognormal(0, 0.1), 2), epochs, str(1000 + i))
                        )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS.split())


def claims_of(frame: pd.DataFrame) -> Claims:
    """What an original would have published of the same networks: one run each."""
    first = frame[frame.attempt == "1"].assign(
        source="original", selection="unstated", value=frame.value.astype(float) / 100, attempt=pd.NA
    )
    source = load_claims(ROOT / "claims/ye2020").source
    return Claims(source.model_copy(update={"name": "original"}), first)


class Plant:
    """A table and one of its cells, for a fault to be planted in."""

    def __init__(self, seed: int):
        self.frame = clean(seed)
        self.rng = np.random.default_rng(10_000 + seed)
        self.where = {
            "dataset": str(self.rng.choice(["cifar10", "cifar100"])), "arch": str(self.rng.choice(ARCHS)),
            "norm": str(self.rng.choice(["batch_norm", "deconv"])), "epochs": int(self.rng.choice([20, 100])),
        }  # fmt: skip
        self.cell = self.at(**self.where)

    def at(self, **where) -> list:
        """The positions of the rows of a cell, or of any other part of the table."""
        mask = pd.Series(True, index=self.frame.index)
        for column, value in where.items():
            mask &= self.frame[column] == value
        return list(self.frame.index[mask])

    def value(self, row: int) -> float:
        return float(self.frame.loc[row, "value"])

    def put(self, row: int, value: float | str, digits: int = 2) -> None:
        self.frame.loc[row, "value"] = value if isinstance(value, str) else f"{value:.{digits}f}"

    def copy(self, source: int, target: int, columns=("value", "train_seconds", "test_seconds")) -> None:
        for column in columns:
            self.frame.loc[target, column] = self.frame.loc[source, column]

    def add(self, value: str, **cells) -> None:
        """A row for the average of the cell."""
        row = self.frame.loc[self.cell[0]].to_dict() | {"attempt": "mean", "value": value, "train_seconds": None}
        row |= {"test_seconds": None, **cells}
        self.frame = pd.concat([self.frame, pd.DataFrame([row])], ignore_index=True)


def grim(p: Plant):
    p.put(p.cell[0], p.frame.loc[p.cell[0], "value"] + str(p.rng.choice(list("12346789"))))


def grim_of_an_average(p: Plant):
    p.frame = p.frame.drop(p.cell)
    row = clean(0).loc[0].to_dict() | p.where
    thirds = 100 * round(p.value(0) * 300) / 30_000
    p.frame = pd.concat([p.frame, pd.DataFrame([row | {"attempt": "mean", "n": 3, "value": f"{thirds + 0.0015:.4f}"}])])


def out_of_range(p: Plant):
    p.put(p.cell[0], p.value(p.cell[0]) * 10, 1)


def grimmer(p: Plant):
    # Three runs on 100 images: squares that sum to an odd number where the accuracies sum to an even one.
    p.frame = p.frame.drop(p.cell)
    counts = p.rng.integers(60, 90, 3)
    wrong = np.sqrt(((counts - counts.mean()) ** 2).sum() / 2 + 0.5)
    row = clean(0).loc[0].to_dict() | p.where | {"attempt": "mean", "n": 3, "n_images": 100}
    row |= {"value": f"{counts.mean():.4f}", "sd": f"{wrong:.4f}"}
    p.frame = pd.concat([p.frame, pd.DataFrame([row])])


def debit(p: Plant):
    share = p.value(p.cell[0]) / 100
    sd = np.sqrt(share * (1 - share)) * 100
    p.frame.loc[p.cell[0], "sd"] = f"{sd * p.rng.choice([0.7, 1.4]):.2f}"


def sd_mismatch(p: Plant):
    values = [p.value(row) for row in p.cell]
    p.add(f"{np.mean(values):.2f}", n=3, sd=f"{np.std(values, ddof=1) * 2 + 0.1:.2f}")


def average_mismatch(p: Plant):
    p.add(f"{np.mean([p.value(row) for row in p.cell]) + p.rng.choice([-1, 1]) * p.rng.uniform(0.03, 2):.2f}", n=3)


def mixed_units(p: Plant):
    p.put(p.cell[0], p.value(p.cell[0]) / 100, 4)


def percent_among_fractions(p: Plant):
    p.frame["value"] = [f"{float(v) / 100:.4f}" for v in p.frame.value]
    p.frame["unit"] = "fraction"
    p.put(p.cell[0], p.value(p.cell[0]) * 100)


def bimodal(p: Plant):
    p.put(p.cell[int(p.rng.integers(3))], p.value(p.cell[0]) - p.rng.uniform(10, 40))


def duplicate_attempt(p: Plant):
    p.copy(p.cell[0], p.cell[1])


def duplicate_row(p: Plant):
    others = p.at(epochs=p.where["epochs"], norm=p.where["norm"], dataset=p.where["dataset"])
    p.copy(p.cell[0], int(p.rng.choice([row for row in others if row not in p.cell])))


def conflicting_values(p: Plant):
    p.frame.loc[p.cell[1], "attempt"] = "1"


def repeated_values(p: Plant):
    for _ in range(50):
        block = p.at(epochs=int(p.rng.choice(EPOCHS)), norm=p.where["norm"], dataset=p.where["dataset"])
        a, b = p.rng.choice(block, 2, replace=False)
        p.copy(int(a), int(b), ("value",))


def duplicate_column(p: Plant):
    column = p.at(**{key: p.where[key] for key in ("dataset", "norm", "epochs")}, attempt="1")
    other = p.at(**{key: p.where[key] for key in ("dataset", "norm", "epochs")}, attempt="3")
    for a, b in zip(column, other, strict=True):
        p.copy(a, b, ("value",))


def column_mixup(p: Plant):
    keys = {key: p.where[key] for key in ("dataset", "epochs")}
    means = {}
    for norm in ("batch_norm", "deconv"):
        for arch in ARCHS:
            means[norm, arch] = np.mean([p.value(row) for row in p.at(**keys, norm=norm, arch=arch)])
    for arch in ARCHS:
        p.cell = p.at(**keys, norm="batch_norm", arch=arch)
        p.add(f"{means['deconv', arch]:.2f}", n=3)


def same_seconds(p: Plant):
    p.frame.loc[p.cell[0], "test_seconds"] = p.frame.loc[p.cell[0], "train_seconds"]


def accuracy_as_seconds(p: Plant):
    # Where a test takes about as long as the accuracy has percents, nobody could tell.
    p.cell = p.at(**p.where | {"epochs": 20})
    p.frame.loc[p.cell[0], "test_seconds"] = p.value(p.cell[0])


def epochs_mismatch(p: Plant):
    p.frame.loc[p.cell[0], "epochs_completed"] = p.where["epochs"] - int(p.rng.integers(1, 15))


def slow(p: Plant):
    p.frame.loc[p.cell[0], "train_seconds"] *= 1.6


def fast(p: Plant):
    p.frame.loc[p.cell[0], "train_seconds"] /= 1.6


def slow_test(p: Plant):
    p.cell = p.at(**p.where | {"epochs": 100})
    p.frame.loc[p.cell[0], "test_seconds"] *= 2.5


def runtime_scaling(p: Plant):
    p.frame.loc[p.cell, "train_seconds"] *= 2.2


def baseline_speed(p: Plant):
    keys = {key: p.where[key] for key in ("dataset", "arch", "epochs")}
    seconds = p.frame.loc[p.at(**keys, norm="batch_norm"), "train_seconds"].to_numpy()
    p.frame.loc[p.at(**keys, norm="deconv"), "train_seconds"] = seconds * p.rng.uniform(0.98, 1.03)


def mixed_parameters(p: Plant):
    p.frame.loc[p.cell[0], "parameters"] = "1234567"


def mixed_code(p: Plant):
    p.frame["code_sha256"] = "a" * 64
    p.frame.loc[p.cell[0], "code_sha256"] = "b" * 64


def metric_mixup(p: Plant):
    for row in p.at(dataset=p.where["dataset"], epochs=p.where["epochs"]):
        p.put(row, p.value(row) - 9)


def training_accuracy(p: Plant):
    """Every value of the table is of the training split, which is not stated: no block differs."""
    p.frame["split"] = "unstated"
    p.frame = p.frame[p.frame.epochs > 1].reset_index(drop=True)
    for row in p.frame.index:
        p.put(row, 100 - (100 - p.value(row)) * p.rng.uniform(0.1, 0.4))


def training_accuracy_of_one_block(p: Plant):
    """One block alone, 16 of whose 20 cells are ten points too high."""
    p.frame = p.frame[(p.frame.dataset == "cifar100") & (p.frame.epochs == 20)].reset_index(drop=True)
    low = {(str(a), str(n)) for a in p.rng.choice(ARCHS, 2, replace=False) for n in ("batch_norm", "deconv")}
    for row in p.frame.index:
        if (p.frame.arch[row], p.frame.norm[row]) not in low:
            p.put(row, p.value(row) + 10)


PLANTED: dict[str, tuple[Callable[[Plant], None], str]] = {
    "more digits than images": (grim, "grim"),
    "average that 3 runs cannot have": (grim_of_an_average, "grim"),
    "misplaced decimal point": (out_of_range, "out_of_range"),
    "mean and SD of 3 runs on 100 images": (grimmer, "grimmer"),
    "SD of right and wrong answers": (debit, "debit"),
    "SD that attempts do not have": (sd_mismatch, "sd_mismatch"),
    "average that attempts do not have": (average_mismatch, "average_mismatch"),
    "fraction among percentages": (mixed_units, "mixed_units"),
    "percentage among fractions": (percent_among_fractions, "mixed_units"),
    "one attempt collapsed": (bimodal, "bimodal"),
    "run entered under two attempts": (duplicate_attempt, "duplicate_attempt"),
    "run copied to another network": (duplicate_row, "duplicate_row"),
    "attempt with two values": (conflicting_values, "conflicting_values"),
    "50 of 360 values copied from other networks": (repeated_values, "repeated_values"),
    "column copied": (duplicate_column, "duplicate_column"),
    "averages of the other normaliser": (column_mixup, "column_mixup"),
    "training seconds entered as test seconds": (same_seconds, "duplicate_runtime"),
    "accuracy entered as seconds": (accuracy_as_seconds, "duplicate_runtime"),
    "run cut short": (epochs_mismatch, "epochs_mismatch"),
    "run 1.6 times slower": (slow, "runtime_outlier"),
    "run 1.6 times faster": (fast, "runtime_outlier"),
    "test 2.5 times slower": (slow_test, "runtime_outlier"),
    "setting on another machine": (runtime_scaling, "runtime_scaling"),
    "baseline run as the method": (baseline_speed, "baseline_speed"),
    "another network in a cell": (mixed_parameters, "mixed_parameters"),
    "another code in a cell": (mixed_code, "mixed_code"),
    "block of another metric": (metric_mixup, "metric_mixup"),
    "table of training accuracies": (training_accuracy, "training_accuracy"),
    "one block of training accuracies": (training_accuracy_of_one_block, "training_accuracy"),
}
AGAINST_CLAIMS = ("metric_mixup", "training_accuracy")


def false_alarms(seeds: range) -> list[Finding]:
    """The findings in honest tables, half of them compared with the claims of an honest paper."""
    found = []
    for seed in seeds:
        claims = claims_of(clean(1000 + seed)) if seed % 2 else None
        found += [f for f in audit(clean(seed), claims) if f.kind != NOT_CHECKED]
    return found


def planted(name: str, seed: int) -> bool:
    """Whether the fault `name` is found where it was planted, in a table that has no such finding otherwise."""
    fault, kind = PLANTED[name]
    plant = Plant(seed)
    fault(plant)
    claims = claims_of(clean(1000 + seed)) if kind in AGAINST_CLAIMS else None
    found = [f for f in audit(plant.frame, claims) if f.kind == kind]
    # A fault that belongs to one cell must be reported there.
    return any(not f.arch or f.arch == plant.where["arch"] or kind == "duplicate_row" for f in found)


FRESH = 1_000_000  # seeds that no limit of a check was set with: those of the suite begin at 0


def found_of(times: int, first: int = FRESH) -> Iterator[tuple[str, str, int]]:
    """(fault, kind of finding, in how many of `times` tables it is found) of every kind of fault."""
    for name, (_, kind) in PLANTED.items():
        yield name, kind, sum(planted(name, seed) for seed in range(first, first + times))


def table(studies: int, times: int, first: int = FRESH) -> Iterator[str]:
    """False alarms in `studies` honest tables, and how many of `times` planted faults of each kind are found."""
    alarms = false_alarms(range(first, first + studies))
    yield f"False alarms in {studies} honest studies of 360 runs (seeds from {first}): {len(alarms)}."
    yield from (f"- {finding.kind}: {finding.sentence}" for finding in alarms)
    yield ""
    yield f"| planted fault | finding | found of {times} |"
    yield "|---|---|---|"
    for name, kind, count in found_of(times, first):
        yield f"| {name} | `{kind}` | {count} |"
