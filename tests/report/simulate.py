"""A full study's CSVs without a training: 367 cells, some missing, some diverged, every column of docs/tables.md.

The numbers are simulated and simply judged (this is no second analysis); only their shape and size are real.
"""

import csv
import json
from itertools import product
from pathlib import Path

import numpy as np

from renorm.core.table_specs import GROUP as CELL
from renorm.core.table_specs import SPECS, columns

REPO = Path(__file__).parents[2]
ARCHS = {
    **{"vgg16": "VGG-16", "resnet18": "ResNet-18", "preact_resnet18": "PreAct-18", "densenet121": "DenseNet-121"},
    **{"resnext29_32x4d": "ResNeXt-29", "mobilenet_v2": "MobileNet v2", "dpn92": "DPN-92", "pnasnet_a": "PNASNet-A"},
    **{"senet18": "SENet-18", "efficientnet_b0": "EfficientNet-B0"},
}
BASELINE, METHOD = "batch_norm", "deconv"
COLUMNS = {spec.name: spec.names for spec in SPECS if spec.required}
OPTIONAL = {name: columns(name) for name in ("steps", "equivalence")}
MARGIN = 0.01  # of the simulated equivalence verdicts
LOOKS = {
    "better": ("green", "▲"),
    "within": ("black", "="),
    "below": ("red", "▼"),
    "missing": ("grey", "–"),
}


def write_study(folder: Path, *, runs: bool = True, claims: bool = True, demo: bool = False, **labels: str) -> Path:
    """All tables of a study under `folder`; `labels` replace the labels of single architectures."""
    folder.mkdir(parents=True, exist_ok=True)
    maker = Maker(demo, runs, claims)
    for name, rows in maker.tables().items():
        write_table(folder, name, rows)
    (folder / "study.json").write_text(json.dumps(maker.study(labels), indent=1), encoding="utf-8")
    return folder


def published(*originals: str) -> dict[str, list[str]]:
    """`claims` of a study.json, wherever it is: folders of the repository."""
    original, reproductions = ([str(REPO / "claims" / name) for name in n] for n in (originals, ["obadage2024"]))
    return {"original": original, "reproductions": reproductions}


def write_records(folder: Path) -> None:
    """The files that the report's links lead to; what is in them is the trainer's affair."""
    with (folder / "cells.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["status"] == "completed":
                run = (
                    folder.parent / "runs" / "/".join(row[key] for key in CELL[:4]) / f"e{row['epochs']}/s{row['seed']}"
                )
                run.mkdir(parents=True, exist_ok=True)
                (run / "run.json").write_text("{}")


def write_judged(folder: Path, *, demo: bool = False, originals: tuple[str, ...] = ("ye2020",), times: int = 1) -> Path:
    """The same simulated runs compared with the real claims by the real judge; every cell has `times` as many seeds."""
    from renorm.judging import judge

    folder.mkdir(parents=True, exist_ok=True)
    maker = Maker(demo, runs=True, claims=False, times=times)
    for cell in maker.cells:
        if cell["dataset"] == "imagenet":
            cell |= {"arch": f"{cell['arch']}_imagenet", "recipe": "imagenet"}
    tables = maker.tables()
    for name in ("cells", "runs", "histories", "steps", "provenance"):
        write_table(folder, name, tables[name])
    imagenet = {"vgg11": "VGG-11", "resnet18": "ResNet-18", "densenet121": "DenseNet-121"}
    study = maker.study({f"{arch}_imagenet": label for arch, label in imagenet.items()})
    study["claims"] = published(*originals)
    (folder / "study.json").write_text(json.dumps(study, indent=1), encoding="utf-8")
    judge(folder)
    return folder


def write_table(folder: Path, name: str, rows: list[dict]) -> None:
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, {**COLUMNS, **OPTIONAL}[name], restval="", lineterminator="\n")
        writer.writeheader()
        named = {"comparison": "deconvolution"} if name in ("comparison", "runtime") else {}
        writer.writerows({**row, **named} for row in rows)


class Maker:
    """Simulates claims, runs and their judgement from one seed, so that every call gives the same bytes."""

    def __init__(self, demo: bool, runs: bool, claims: bool, times: int = 1):
        self.times = times
        self.name = "demo" if demo else "full"
        self.random = np.random.default_rng(2020)
        self.claims = self.claimed() if claims else []
        self.grid = self.demo_cells() if demo else self.full_cells()
        self.cells = [self.with_status(cell, runs) for cell in self.grid]

    # -- what was claimed and what runs

    def claimed(self) -> list[dict]:
        """Rows like those under claims/: the original's values and a published reproduction's averages."""
        rows = []
        for dataset, arch, epochs, norm in product(("cifar10", "cifar100"), ARCHS, (1, 20, 100), (BASELINE, METHOD)):
            rows += self.claim(dataset, arch, norm, epochs, "top1")
        for arch, norm, metric in product(("vgg11", "resnet18", "densenet121"), (BASELINE, METHOD), ("top1", "top5")):
            rows += self.claim("imagenet", arch, norm, 90, metric)
        return rows + self.claim("imagenet", "vgg11", "none", 90, "top1")

    def claim(self, dataset, arch, norm, epochs, metric) -> list[dict]:
        level = self.level(dataset, arch, norm, epochs) if metric == "top1" else 0.9
        again = min(0.9999, level * (1 + self.random.normal(0.01, 0.09 if epochs == 1 else 0.02)))
        cell = {"dataset": dataset, "arch": arch, "norm": norm, "recipe": "paper", "epochs": epochs}
        common = {**cell, "metric": metric, "split": "unstated", "table": "Table 1", "page": "7"}
        return [
            {**common, "source": "ye2020", "value": round(level, 4), "n": 1},
            {**common, "source": "obadage2024", "value": round(again, 4), "n": 3 if dataset != "imagenet" else 1},
        ]

    def level(self, dataset, arch, norm, epochs) -> float:
        top = {"cifar10": 0.95, "cifar100": 0.78, "imagenet": 0.72}.get(dataset, 0.97)
        place = (list(ARCHS).index(arch) if arch in ARCHS else 3) / 40
        slow = {1: 0.45, 2: 0.35, 20: 0.06}.get(epochs, 0) * (0.55 if norm == METHOD else 1)
        return top - slow - place * (1 - top) - (0 if norm == METHOD else 0.012)

    def full_cells(self) -> list[dict]:
        seeds = range(1, 3 * self.times + 1)
        axes = product(("cifar10", "cifar100"), ARCHS, (BASELINE, METHOD), (1, 20, 100), seeds)
        rows = [self.cell(*axis) for axis in axes]
        imagenet = [("vgg11", "none"), *product(("vgg11", "resnet18", "densenet121"), (BASELINE, METHOD))]
        once = product(imagenet, range(1, self.times + 1))
        return rows + [self.cell("imagenet", arch, norm, 90, seed, "imagenet") for (arch, norm), seed in once]

    def demo_cells(self) -> list[dict]:
        axes = product(("digits",), ("vgg11", "resnet18"), (BASELINE, METHOD), (1, 2), (1, 2, 3))
        return [self.cell(*axis, "demo") for axis in axes]

    def cell(self, dataset, arch, norm, epochs, seed, experiment="table1") -> dict:
        key = {"dataset": dataset, "arch": arch, "norm": norm, "recipe": "paper", "epochs": epochs, "seed": seed}
        return {**key, "experiments": experiment}

    def with_status(self, cell: dict, runs: bool) -> dict:
        draw = self.random.random()
        status = "completed" if draw < 0.9 else "missing" if draw < 0.96 else "diverged" if draw < 0.985 else "failed"
        if not runs:
            status = "missing"
        level = self.level(cell["dataset"], cell["arch"], cell["norm"], cell["epochs"])
        slower = 3.1 if cell["norm"] == METHOD else 1.0
        place = list(ARCHS).index(cell["arch"]) if cell["arch"] in ARCHS else 2
        return {
            **cell,
            "status": status,
            "parameters": 11_173_962,
            "epochs_completed": cell["epochs"] if status == "completed" else 0,
            "error": "out of memory" if status == "failed" else "",
            "top1": round(min(0.999, level + self.random.normal(0, 0.02 if cell["epochs"] == 1 else 0.004)), 4),
            "train_seconds": round((6 + 2 * place) * slower * cell["epochs"] * self.random.normal(1, 0.03), 2),
        }

    # -- the tables

    def tables(self) -> dict[str, list[dict]]:
        done = [cell for cell in self.cells if cell["status"] == "completed"]
        verdicts = self.verdicts()
        comparison = self.comparison()
        timing = self.timing()
        return {
            "cells": [pick("cells", cell) for cell in self.cells],
            "runs": [row for cell in done for row in self.run_rows(cell)],
            "histories": [row for cell in done for row in self.history(cell)],
            "steps": [row for cell in done if self.logs(cell) for row in self.steps(cell)],
            "provenance": [self.provenance(cell) for cell in done],
            "threshold_rule": verdicts,
            "equivalence": self.equivalence(verdicts),
            "comparison": comparison,
            "repeat_consistency": self.consistency(verdicts),
            "runtime": timing,
            "summary": self.summary(verdicts, comparison, timing),
            "answers": self.answers(),
        }

    def answers(self) -> list[dict]:
        """The verdicts are the judge's affair (tests/judging/test_answers.py): here only their shape."""
        done, planned = sum(cell["status"] == "completed" for cell in self.cells), len(self.cells)
        counts = {"count": done, "measured": done, "planned": planned}
        words = {"holds": "holds mostly", "sure": "cannot say yet", "complete": "mostly complete", "cost": "slower"}
        return [
            {"question": key, "verdict": word, **counts, "text": f"{key}: {done} of {planned} planned cells"}
            for key, word in words.items()
        ]

    def run_rows(self, cell: dict) -> list[dict]:
        common = {**pick("runs", cell), "source": self.name, "attempt": cell["seed"], "n": 1}
        measured = [
            ("top1", "test", cell["top1"], "fraction"),
            ("top1", "train", min(1, cell["top1"] + 0.02), "fraction"),
        ]
        measured += [("top5", "test", round(1 - (1 - cell["top1"]) / 3, 4), "fraction")]
        measured += [("seconds", "train", cell["train_seconds"], "s"), ("seconds", "test", 2.5, "s")]
        return [
            {**common, "metric": metric, "split": split, "selection": "final", "value": value, "unit": unit}
            | {"status": cell["status"]}
            for metric, split, value, unit in measured
        ]

    def history(self, cell: dict) -> list[dict]:
        n = cell["epochs"]
        rise = cell["top1"] * (1 - 0.6 * np.exp(-5 * np.arange(1, n + 1) / n)) + self.random.normal(0, 0.004, n)
        return [
            {
                **pick("histories", cell),
                **{"epoch": epoch, "lr": 0.1, "train_loss": 1.0, "train_top1": round(value, 4)},
                **{
                    "test_loss": 1.0,
                    "test_top1": round(value, 4),
                    "train_seconds": round(cell["train_seconds"] / n, 3),
                },
            }
            for epoch, value in enumerate(np.clip(rise, 0, 1), start=1)
        ]

    def logs(self, cell: dict) -> bool:
        """One recipe asks for the losses of its steps: here the longest runs of one data set, and the demo's."""
        return (cell["dataset"], cell["epochs"]) in (("cifar10", 100), ("digits", 2))

    def steps(self, cell: dict) -> list[dict]:
        place = np.arange(1, 1001 if cell["dataset"] == "cifar10" else 91)
        speed = 60 if cell["norm"] == METHOD else 140
        loss = 2.3 * np.exp(-place / speed) + 0.05 * self.random.lognormal(0, 0.4, len(place))
        keys = {axis: cell[axis] for axis in (*CELL, "seed")}
        return [
            {**keys, "step": int(step), "train_loss": round(value, 5)} for step, value in zip(place, loss, strict=True)
        ]

    def provenance(self, cell: dict) -> dict:
        versions = {"renorm": "0.1.0", "python": "3.11.7", "torch": "2.11.0", "torchvision": "0.26.0", "cuda": "13.0"}
        odd = cell["dataset"] == "cifar100" and cell["seed"] == 3
        return {
            **pick("provenance", cell),
            **{**versions, "torch": "2.13.0" if odd else "2.11.0", "dirty": "False", "precision": "tf32"},
            **{"protocol": 1, "commit": "47b0648c1d", "device": "NVIDIA H200" if odd else "NVIDIA A100-SXM4-80GB"},
            **{"deterministic": "False", "threads": 4, "host_cpus": 16, "data_sha256": "ab" * 32, "resumes": 0},
            "runner": "built-in",
            **{"started": "2026-01-02T03:04:05Z", "finished": f"2026-01-02T05:{cell['seed']:02d}:05Z"},
        }

    def values(self, cell: dict, key: str = "top1") -> tuple[list[float], int]:
        same = [c for c in self.cells if all(c[axis] == cell[axis] for axis in CELL)]
        return [c[key] for c in same if c["status"] == "completed"], len(same)

    def verdicts(self) -> list[dict]:
        rows = []
        original = [claim for claim in self.claims if claim["source"] == "ye2020"]
        again = {claim_key(claim): claim for claim in self.claims if claim["source"] != "ye2020"}
        for claim in original:
            repeat = again[claim_key(claim)]
            rows.append(self.verdict(claim, "obadage2024", [repeat["value"]], repeat["n"], repeat["n"]))
            values, expected = self.values(claim)
            if expected:
                values = values if claim["metric"] == "top1" else []
                rows.append(self.verdict(claim, self.name, values, len(values), expected))
        return rows

    def verdict(self, claim: dict, source: str, values: list[float], n: int, expected: int) -> dict:
        row = {**pick("threshold_rule", claim), "claim_source": claim["source"], "claimed": claim["value"], "value": ""}
        row |= {"source": source, "n": n, "n_expected": expected, "verdict": "missing", "reason": "no run has finished"}
        row["selection"] = "unstated"
        if values:
            row |= self.held(claim["value"], values)
        row["colour"], row["mark"] = LOOKS[row["verdict"]]
        row["reproduced_split"] = "test" if source == self.name else "unstated"
        return row

    def held(self, claimed: float, values: list[float]) -> dict:
        mean = float(np.mean(values))
        change = mean - claimed
        verdict = "better" if change > 0 else "below" if change < -0.1 * claimed else "within"
        spread = {"sd": float(np.std(values, ddof=1))} if len(values) > 1 else {}
        ends = {"minimum": min(values), "maximum": max(values)} if len(values) > 1 else {}
        reason = f"{100 * change:+.2f} points, {100 * change / claimed:+.1f} % of the claim"
        difference = {"change": change, "relative_change": change / claimed}
        return {"value": mean, "verdict": verdict, "reason": reason} | difference | spread | ends

    def equivalence(self, verdicts: list[dict]) -> list[dict]:
        """The rigorous verdicts of the same values, by their distance from the claim alone."""
        rows = []
        for row in verdicts:
            verdict = "missing"
            if row["value"] != "":
                verdict = "reproduced" if abs(row["change"]) <= MARGIN else "inconclusive"
            kept = {key: value for key, value in row.items() if key in OPTIONAL["equivalence"]}
            rows.append({**kept, "verdict": verdict, "one_sided": row["verdict"], "margin": MARGIN})
        return rows

    def comparison(self) -> list[dict]:
        rows = []
        table = {(claim["source"], *claim_key(claim)): claim for claim in self.claims}
        for source, dataset, arch, norm, recipe, epochs, metric in table:
            pair = table.get((source, dataset, arch, BASELINE, recipe, epochs, metric))
            if norm == METHOD and pair:
                own = table[source, dataset, arch, METHOD, recipe, epochs, metric]
                sides = ([pair["value"]], pair["n"]), ([own["value"]], own["n"])
                rows.append(compared(own, source, sides, own["n"]))
        for cell in self.grid:
            if cell["norm"] == METHOD and cell["seed"] == 1:
                baseline, method = self.values({**cell, "norm": BASELINE})[0], self.values(cell)[0]
                sides = (baseline, len(baseline)), (method, len(method))
                rows.append(compared({**cell, "metric": "top1"}, self.name, sides, self.values(cell)[1]))
        return rows

    def consistency(self, verdicts: list[dict]) -> list[dict]:
        rows = []
        for row in verdicts:
            if row["metric"] == "top1" and row["n"]:
                deviation = row["n"] * row["change"] ** 2 / max(1, row["n"] - 1)
                reported_as = "attempts" if row["source"] == self.name else "average"
                judged = {"reported_as": reported_as, "deviation": deviation, "consistent": str(deviation < 0.5)}
                rows.append({**{key: row[key] for key in COLUMNS["repeat_consistency"] if key in row}, **judged})
        return rows

    def timing(self) -> list[dict]:
        rows = []
        for cell in self.grid:
            if cell["seed"] != 1:
                continue
            seconds = self.values(cell, "train_seconds")[0]
            baseline = self.values({**cell, "norm": BASELINE}, "train_seconds")[0]
            row = {**pick("runtime", cell), "source": self.name, "n": len(seconds)}
            if seconds:
                row |= {"train_seconds": float(np.mean(seconds)), "test_seconds": 2.5}
            if seconds and baseline:
                row |= {"baseline_train_seconds": float(np.mean(baseline))}
                row |= {"ratio": row["train_seconds"] / row["baseline_train_seconds"]}
            rows.append(row)
        published = [c for c in self.claims if c["source"] == "obadage2024" and c["metric"] == "top1"]
        return rows + [published_time(claim) for claim in published]

    def summary(self, verdicts, comparison, timing) -> list[dict]:
        """Counts over all data sets, with the sections and names of docs/tables.md."""
        rows = []
        for status in ("completed", "diverged", "failed", "missing"):
            rows.append(counted("completeness", self.name, status, self.cells, "status", status))
        for source, own in by_source(verdicts):
            rows += [counted("threshold_rule", source, name, own, "verdict", name) for name in LOOKS]
        for source, own in by_source(comparison):
            rows.append(counted("comparison", source, "holds", own, "holds", "True"))
            rows.append(counted("comparison", source, "fails", own, "holds", "False"))
            rows.append(counted("comparison", source, "missing", own, "holds", ""))
        for source, own in by_source(timing):
            ratios = [row["ratio"] for row in own if "ratio" in row and row["norm"] == METHOD]
            found = {"ratio_geometric_mean": np.exp(np.mean(np.log(ratios))) if ratios else None}
            found |= {"ratio_minimum": min(ratios, default=None), "ratio_maximum": max(ratios, default=None)}
            found |= {"known": len(ratios)}
            known = {"section": "runtime", "source": source, "of": sum(row["norm"] == METHOD for row in own)}
            rows += [{**known, "name": name, "value": value} for name, value in found.items() if value]
        return rows

    def study(self, labels: dict[str, str]) -> dict:
        datasets = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet": "ImageNet", "digits": "Digits"}
        archs = {**ARCHS, "vgg11": "VGG-11", **labels}
        return {
            "study": self.name,
            "title": "Network Deconvolution",
            "description": "Batch normalisation against network deconvolution, every experiment of the original.",
            "labels": {
                "dataset": datasets,
                "arch": archs,
                "norm": {BASELINE: "BN", METHOD: "ND", "none": "no norm"},
            },
            "comparisons": [{"name": "deconvolution", "axis": "norm", "baseline": BASELINE, "method": METHOD}],
            "judge": {
                "threshold": 0.1,
                "threshold_kind": "relative",
                "consistency_threshold": 0.5,
                "selection": "final",
            },
            "claims": published("ye2020") if self.claims else None,
            "experiments": [{"name": "table1", "title": "Table 1", "cells": 360}],
        }


def by_source(rows: list[dict]) -> list[tuple[str, list[dict]]]:
    sources = dict.fromkeys(row["source"] for row in rows)
    return [(source, [row for row in rows if row["source"] == source]) for source in sources]


def counted(section: str, source: str, name: str, rows: list[dict], key: str, wanted: str) -> dict:
    count = {"value": sum(row[key] == wanted for row in rows), "of": len(rows)}
    text = f"{source}: {name} {count['value']} of {len(rows)}"
    return {"section": section, "source": source, "name": name, **count, "text": text}


def pick(table: str, row: dict) -> dict:
    return {key: row[key] for key in COLUMNS[table] if key in row}


def claim_key(row: dict) -> tuple:
    return (*(row[axis] for axis in CELL), row["metric"])


def compared(cell: dict, source: str, sides: tuple, expected: int) -> dict:
    (baseline, n_baseline), (method, n_method) = sides
    row = {**pick("comparison", cell), "source": source, "split": "test", "baseline": BASELINE, "method": METHOD}
    row |= {"n_baseline": n_baseline, "n_method": n_method, "n_expected": expected, "holds": "", "counted": "true"}
    row |= {"baseline_value": float(np.mean(baseline))} if baseline else {}
    row |= {"method_value": float(np.mean(method))} if method else {}
    if baseline and method:
        improvement = row["method_value"] - row["baseline_value"]
        row |= {"improvement": improvement, "holds": str(improvement > 0)}
    return row


def published_time(claim: dict) -> dict:
    seconds = 30.0 * claim["epochs"]
    ratio = 3.2 if claim["norm"] == METHOD else 1.0
    row = {**pick("runtime", claim), "n": 1, "train_seconds": seconds * ratio}
    return row | {"baseline_train_seconds": seconds, "ratio": ratio}
