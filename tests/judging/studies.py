"""Small studies, written as `renorm collect` writes them."""

import csv
import json
import shutil
from pathlib import Path

import yaml

from renorm.judging.inputs import load
from renorm.judging.judge import judgement, write
from renorm.study.claims import COLUMNS

ROOT = Path(__file__).parents[2]
CELL = ("dataset", "arch", "norm", "recipe", "epochs", "seed")


class StudyFolder:
    """A study's folder under construction: cells with the accuracies that their runs found."""

    def __init__(self, path: Path, name: str = "mine"):
        self.path, self.name, self.cells, self.runs, self.histories = path, name, [], [], []
        self.json = {"study": name, "title": "My study", "description": "", "labels": {}, "experiments": [],
                     "judge": {},
                     "comparisons": [{"name": "nd", "axis": "norm", "baseline": "batch_norm", "method": "deconv"}],
                     "claims": None}  # fmt: skip

    def cell(self, dataset, arch, norm, epochs, seed, test=None, train=None, seconds=None, status=None, **more):
        """Add a cell; `test` is its test top-1 as a fraction, None when it did not finish."""
        recipe, images = more.get("recipe", "paper"), more.get("n_images", 10_000)
        status = status or ("missing" if test is None else "completed")
        done = epochs if status == "completed" else 0
        cell = dict(zip(CELL, (dataset, arch, norm, recipe, epochs, seed), strict=True))
        self.cells.append(cell | {"experiments": "e", "status": status, "epochs_completed": done})
        rows = [("top1", "test", "fraction", test, images), ("top1", "train", "fraction", train, 50_000),
                ("seconds", "train", "s", seconds, None),
                ("seconds", "test", "s", None if seconds is None else round(seconds / 10, 3), None)]  # fmt: skip
        for metric, split, unit, value, n_images in rows if status != "missing" else ():
            if value is not None:
                self.run(cell, metric, split, unit, value, n_images, status, done)
        return self

    def run(self, cell, metric, split, unit, value, n_images, status, done, selection="final"):
        row = {k: v for k, v in cell.items() if k != "seed"} | {
            "source": self.name, "attempt": cell["seed"], "metric": metric, "split": split, "selection": selection,
            "value": value, "unit": unit, "n": 1, "n_images": n_images, "epochs_completed": done, "status": status,
        }  # fmt: skip
        self.runs.append(row)

    def against(self, original="ye2020", *reproductions):
        self.json["claims"] = {
            "original": str(ROOT / "claims" / original),
            "reproductions": [str(ROOT / "claims" / r) for r in reproductions],
        }
        return self

    def write(self) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        header = (*CELL, "experiments", "status", "epochs_completed", "parameters", "error")
        self._csv("cells.csv", header, self.cells)
        self._csv("runs.csv", COLUMNS, self.runs)
        columns = ("epoch", "lr", "train_loss", "train_top1", "train_top5", "test_loss", "test_top1", "test_top5",
                   "train_seconds", "test_seconds")  # fmt: skip
        self._csv("histories.csv", (*CELL, *columns), self.histories)
        (self.path / "study.json").write_text(json.dumps(self.json))
        return self.path

    def _csv(self, name, columns, rows):
        with open(self.path / name, "w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def printed_averages(folder: Path) -> str:
    """The published reproduction's claims as they were printed: its single attempts were published later."""
    without = shutil.ignore_patterns("attempts.csv", "SHA256SUMS")
    return str(shutil.copytree(ROOT / "claims" / "obadage2024", folder / "obadage2024", ignore=without))


def judge(folder: Path) -> dict[str, list[dict]]:
    """What `renorm judge` does, with the rows of its tables in hand."""
    tables = judgement(load(folder))
    write(folder, tables)
    return tables


def pick(rows, **where):
    """The rows whose columns have these values."""
    return [row for row in rows if all(row[key] == value for key, value in where.items())]


def one(rows, **where):
    found = pick(rows, **where)
    assert len(found) == 1, f"{len(found)} rows with {where}"
    return found[0]


SEEDS = (1, 2, 3, 4)
ACCURACY = {  # (arch, recipe) → test accuracy by seed
    ("vgg", "sgd"): (0.902, 0.911, 0.915, 0.909), ("vgg", "adam"): (0.893, 0.897, 0.905, 0.894),
    ("net", "sgd"): (0.931, 0.934, 0.939, 0.930), ("net", "adam"): (0.928, 0.936, 0.937, 0.931),
    ("vgg", "bs.8"): (0.88, 0.89, 0.885, 0.882), ("vgg", "bs.32"): (0.90, 0.91, 0.902, 0.905),
}  # fmt: skip
SECONDS = {"sgd": 100, "adam": 130, "bs.8": 300, "bs.32": 150}
COMPARISONS = [
    {"name": "nd", "axis": "norm", "baseline": "batch_norm", "method": "deconv"},
    {"name": "optimiser", "axis": "recipe", "baseline": "adam", "method": "sgd"},
    {"name": "network", "axis": "arch", "baseline": "vgg", "method": "net", "where": {"recipe": ["sgd", "adam"]}},
    {"name": "batch", "axis": "batch_size", "baseline": "32", "method": "8"},
]


def compared(study: StudyFolder) -> StudyFolder:
    """A study that compares optimisers, networks and batch sizes, with an axis of a recipe."""
    for (arch, recipe), found in ACCURACY.items():
        for seed, value in zip(SEEDS, found, strict=True):
            study.cell("digits", arch, "deconv", 2, seed, value, seconds=SECONDS[recipe] + seed, recipe=recipe)
            for epoch, share in ((1, 0.9), (2, 1.0)):
                cell = dict(zip(CELL, ("digits", arch, "deconv", recipe, 2, seed), strict=True))
                study.histories.append(cell | {"epoch": epoch, "test_top1": value * share, "train_seconds": 10 * epoch})
    study.json["comparisons"] = COMPARISONS
    study.json["labels"] = {"recipe": {"sgd": "SGD", "adam": "Adam"}, "axis": {"batch_size": "batches of"}}
    study.json["recipe_axes"] = {
        f"bs.{size}": {"family": "bs", "axes": {"batch_size": str(size)}} for size in (8, 32)
    }  # fmt: skip
    return study


HEADER = "source,table,page,dataset,arch,norm,recipe,epochs,attempt,metric,split,selection,value,unit"
HEADER += ",n,sd,ci_low,ci_high"


def claims(folder, name, rows, kind="original", more=""):
    """A claims folder; `rows` are (arch, norm, epochs, attempt, metric, split, selection, value, n, sd, low, high)."""
    path = folder / name
    path.mkdir(exist_ok=True)
    (path / "source.yaml").write_text(f"name: {name}\nlabel: {name}\ntitle: {name}\nkind: {kind}\n{more}")
    lines = []
    for row in rows:
        arch, norm, epochs, attempt, metric, split, selection, value, *spread = row
        n, sd, low, high = (*spread, *[""] * (4 - len(spread)))
        lines.append(f"{name},1,1,cifar10,{arch},{norm},paper,{epochs},{attempt},{metric},{split},{selection},{value},"
                     f"percent,{n},{sd},{low},{high}")  # fmt: skip
    (path / "table.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return str(path)


def both(arch, metric, split, selection, base, gain):
    return [(arch, norm, 20, "", metric, split, selection, value, 1)
            for norm, value in (("batch_norm", base), ("deconv", base + gain))]  # fmt: skip


def asked(study, tmp_path, check, cells, **parameters):
    """The outcome of one sentence about `cells`, (arch, norm) → accuracies of this study's runs, claimed as printed."""
    folder = tmp_path / "paper"
    folder.mkdir(exist_ok=True)
    (folder / "source.yaml").write_text("name: paper\nlabel: P\ntitle: T\nkind: original\n")
    statement = {"id": "one", "text": "t", "place": "p", "check": check, "parameters": parameters}
    (folder / "statements.yaml").write_text(yaml.safe_dump([statement]))
    header = "source,table,page,dataset,arch,norm,recipe,epochs,metric,split,selection,value,unit,n"
    rows = [f"paper,1,1,cifar10,{arch},{norm},paper,20,top1,test,final,50,percent,1" for arch, norm in cells]
    (folder / "table.csv").write_text("\n".join([header, *rows]) + "\n")
    study.json["claims"] = {"original": str(folder), "reproductions": []}
    study.cells.clear(), study.runs.clear()
    for (arch, norm), values in cells.items():
        for seed, value in enumerate(values, 1):
            study.cell("cifar10", arch, norm, 20, seed, value, status=None if value else "diverged")
    return one(judge(study.write())["statements"], role="study")["outcome"]
