"""A study of metrics that are no accuracies, from its runs to the page: directions, units, bounds, and who answers."""

import csv
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "judging"))

from studies import CELL, StudyFolder, judge, one, pick

from renorm.core.metrics import METRICS
from renorm.core.table_specs import TABLES
from renorm.judging.inputs import load
from renorm.judging.judge import judgement
from renorm.report.export import write_tables
from renorm.report.figures import draw
from renorm.report.page import render
from renorm.study.claims import COLUMNS

ADDED = {
    "rmse": {"label": "RMSE", "direction": "lower", "unit": "K", "digits": 3, "bounds": [0, None]},
    "miou": {"label": "mean IoU", "direction": "higher", "kind": "share", "aliases": ["mIoU"]},
    "bits": {"label": "log-likelihood", "direction": "higher", "unit": "bits"},
}
ARCHS = ("vgg11", "vgg13", "vgg16", "vgg19")
# What the paper says: the method's RMSE is a tenth lower; each number with its unit.
CLAIMS = [
    *(("rmse", arch, "batch_norm", "test", 3.0, "K") for arch in ARCHS),
    *(("rmse", arch, "deconv", "test", 2.7, "K") for arch in ARCHS),
    ("mIoU", "vgg11", "deconv", "test", 71.5, "%"), ("bits", "vgg11", "deconv", "unstated", -5.2, "bits"),
    ("loss", "vgg11", "deconv", "test", 0.30, "nats"), ("seconds", "vgg11", "deconv", "train", 100, "s"),
    ("parameters", "vgg11", "deconv", "unstated", 9.23, "M"), ("parameters", "vgg13", "deconv", "unstated", 9.5, "M"),
]  # fmt: skip
STATEMENTS = """
- {id: better, text: The method is better., place: p. 1, check: method_beats_baseline, headline: true}
- {id: tenth, text: A tenth lower., place: p. 1, check: error_reduction,
   parameters: {percent: 8, where: {arch: [vgg11, vgg13, vgg16]}}}
- {id: worse, text: The baseline is better., place: p. 1, check: method_beats_baseline,
   parameters: {method: batch_norm, baseline: deconv}}
- {id: gain, text: Better by 0.2 K., place: p. 1, check: gain,
   parameters: {points: 0.2, method: deconv, baseline: batch_norm, where: {metric: rmse, arch: [vgg11, vgg13, vgg16]}}}
- {id: low, text: RMSE below 2.9., place: p. 1, check: value_above, parameters: {percent: 2.9, where: {norm: deconv}}}
- {id: miou, text: Above 70., place: p. 1, check: value_above,
   parameters: {percent: 70, where: {metric: miou, norm: deconv}}}
"""


def paper(folder: Path) -> Path:
    """The claims as a folder, one of a run that diverged among them."""
    folder.mkdir(parents=True)
    (folder / "source.yaml").write_text(f"name: {folder.name}\nlabel: Paper\ntitle: T\nkind: original\n")
    (folder / "statements.yaml").write_text(STATEMENTS)
    with open(folder / "table1.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        common = {"source": folder.name, "table": "Table 1", "page": 1, "dataset": "weather", "recipe": "paper"}
        for metric, arch, norm, split, value, unit in CLAIMS:
            row = {"arch": arch, "norm": norm, "metric": metric, "split": split, "value": value, "unit": unit}
            writer.writerow(common | row | {"epochs": 30, "selection": "final"})
        lost = {"arch": "vgg11", "norm": "none", "metric": "rmse", "split": "test", "unit": "K", "status": "diverged"}
        writer.writerow(common | lost | {"epochs": 30, "selection": "final", "attempt": 1})
        writer.writerow(common | {"arch": "vgg111", "norm": "deconv", "metric": "rmse", "split": "test", "value": 2.6,
                                  "unit": "K", "epochs": 30, "selection": "final"})  # fmt: skip
    return folder


def study(path: Path, name: str = "mine") -> StudyFolder:
    """Runs that find what the paper claims, three seeds a cell, and one cell of the baseline that diverged."""
    made = StudyFolder(path / "results" / name, name)
    made.json |= {"metrics": ADDED, "judge": {"metric": "rmse"}}
    made.json["claims"] = {"original": str(paper(path / "claims" / "paper"))}
    random = np.random.default_rng(3)
    cells = [(arch, norm) for arch in ARCHS for norm in ("batch_norm", "deconv")] + [("vgg11", "none")]
    for arch, norm in cells:
        for seed in (1, 2, 3):
            lost = (arch, norm) == ("vgg19", "batch_norm")
            made.cell("weather", arch, norm, 30, seed, status="diverged" if lost else "completed")
            made.cells[-1]["parameters"] = 9_231_114
            cell = {key: made.cells[-1][key] for key in CELL}
            rmse = (3.0 if norm != "deconv" else 2.7) + 0.004 * random.standard_normal()
            for metric, split, unit, value in (
                ("rmse", "test", "K", rmse), ("rmse", "train", "K", rmse - 0.5),
                ("miou", "test", "fraction", 0.715 + rmse / 1e4),
                ("bits", "test", "bits", -5.2 - rmse / 1e3), ("loss", "test", "nats", 0.30 + rmse / 1e4),
                ("seconds", "train", "s", 50 + rmse),
            ):  # fmt: skip
                if not lost:
                    made.run(cell, metric, split, unit, value, None, "completed", 30)
    return made


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = study(tmp_path_factory.mktemp("metrics")).write()
    TABLES["provenance"].write(folder / "provenance.csv", [])
    return folder, judge(folder)


def test_lower_is_better_in_every_table(judged):
    tables = judged[1]
    for arch in ARCHS[:3]:
        row = one(tables["comparison"], source="mine", arch=arch, metric="rmse")
        assert row["holds"] and row["improvement"] == pytest.approx(0.3, abs=0.02) and row["counted"]
        tested = one(tables["method_vs_baseline"], source="mine", arch=arch, metric="rmse")
        assert tested["outcome"] == "better" and 0 < tested["low"] < tested["difference"] < tested["high"]
    assert one(tables["comparison"], source="mine", arch="vgg19", metric="rmse")["holds"]  # the baseline diverged
    summary = {row["name"]: row["text"] for row in pick(tables["summary"], section="method_vs_baseline", dataset="")}
    assert "RMSE: mean improvement +0.297 K (3 pairs" in summary["mean_improvement"]
    assert "with probability 1.000" in summary["probability_of_improvement"]
    holds, sure = (one(tables["answers"], question=key) for key in ("holds", "sure"))
    assert holds["verdict"] == "holds" and holds["text"].startswith(
        "“The method is better”: holds (4 of 4 pairs better"
    )
    assert sure["verdict"] == "holds" and "better in 3 of 3 pairs, worse in 0" in sure["text"]
    assert "(1 without a test); over all pairs, 4 for and 0 against" in sure["text"]


def test_every_claim_is_judged_or_says_why_not(judged):
    tables = judged[1]
    rows = {(r["metric"], r["arch"], r["norm"]): r for r in pick(tables["equivalence"], source="mine")}
    verdicts = {key: row["verdict"] for key, row in rows.items()}
    assert verdicts["rmse", "vgg11", "deconv"] == "reproduced"
    reason = rows["rmse", "vgg11", "deconv"]["reason"]
    assert "K lower than claimed" in reason or "K higher than claimed" in reason
    assert "2 % of the claim" in rows["rmse", "vgg11", "deconv"]["reason"]
    assert verdicts["rmse", "vgg19", "batch_norm"] == "not reproduced"  # diverged: the worst value there is
    assert [verdicts[metric, "vgg11", "deconv"] for metric in ("miou", "bits", "loss")] == ["reproduced"] * 3
    assert "±1 point" in rows["miou", "vgg11", "deconv"]["reason"]
    assert verdicts["seconds", "vgg11", "deconv"] == "not reproduced"
    assert "0.53 times the claimed seconds" in rows["seconds", "vgg11", "deconv"]["reason"]
    assert "two machines" in rows["seconds", "vgg11", "deconv"]["reason"]
    assert rows["parameters", "vgg11", "deconv"]["reason"].endswith("within the printed digits")
    assert [verdicts["parameters", arch, "deconv"] for arch in ("vgg11", "vgg13")] == ["reproduced", "not reproduced"]
    assert verdicts["rmse", "vgg11", "none"] == "not judged" and "diverged" in rows["rmse", "vgg11", "none"]["reason"]
    row = one(tables["summary"], section="equivalence", source="mine", dataset="", name="not_judged")
    assert (row["value"], row["of"]) == (1, len(CLAIMS) + 1)
    colours = {(r["metric"], r["arch"], r["norm"]): r["verdict"] for r in pick(tables["threshold_rule"], source="mine")}
    assert colours["seconds", "vgg11", "deconv"] == "better" and colours["rmse", "vgg19", "batch_norm"] == "diverged"
    lost = one(tables["summary"], section="claims", name="without_cell")
    assert lost["text"] == (
        "1 of 16 claims names no cell of the grid: paper/table1.csv:17: arch 'vgg111': did you mean 'vgg11'?"
    )  # fmt: skip


def test_sentences_follow_the_direction(judged):
    found = {row["id"]: row["outcome"] for row in pick(judged[1]["statements"], role="study")}
    assert found == {"better": "holds", "tenth": "holds", "worse": "fails", "gain": "holds", "low": "holds",
                     "miou": "holds"}  # fmt: skip


class Text(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.parts: list[str] = []
        self.feed(page)

    def handle_data(self, data):
        self.parts.append(data)


def test_the_page_prints_every_metric_in_its_own_unit(judged):
    folder = judged[0]
    draw(folder)
    write_tables(folder)
    page = render(folder).read_text(encoding="utf-8")
    text = " ".join(" ".join(Text(page).parts).split())
    assert "RMSE in K" in text and "improvement, K" in page and "points on average" not in text
    assert "The method is better" in text and "did you mean 'vgg11'?" in text
    names = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert {"dumbbell-weather-rmse", "dumbbell-weather-miou", "forest-weather"} <= names
    rows = list(csv.DictReader((folder / "tables" / "own-weather-rmse.csv").open(encoding="utf-8")))
    assert any("2.7" in value for row in rows for value in row.values())


MIRROR = {"a": {"direction": "higher"}, "b": {"direction": "lower"}}
NUMBERS = st.lists(st.floats(-50, 50).map(lambda x: round(x, 3)), min_size=3, max_size=3)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(baseline=NUMBERS, method=NUMBERS, claims=st.tuples(*[st.floats(-50, 50).map(lambda x: round(x, 3))] * 2))
def test_negated_values_in_the_other_direction_give_the_same_verdicts(tmp_path_factory, baseline, method, claims):
    found = [_mirrored(tmp_path_factory.mktemp("mirror"), name, sign, baseline, method, claims)
             for name, sign in (("a", 1), ("b", -1))]  # fmt: skip
    assert found[0] == found[1]


def _mirrored(path: Path, metric: str, sign: int, baseline, method, claims) -> dict:
    """Every word that the judgement says of three seeds a side, with values times `sign` of a metric of that name."""
    made = StudyFolder(path / "mine")
    made.json |= {"metrics": {metric: MIRROR[metric]}, "judge": {"metric": metric}}
    folder = path / "paper"
    folder.mkdir()
    (folder / "source.yaml").write_text("name: paper\nlabel: Paper\ntitle: T\nkind: original\n")
    head = "source,table,page,dataset,arch,norm,recipe,epochs,metric,split,selection,value,unit,n,note\n"
    rows = [f"paper,T,1,d,x,{norm},paper,30,{metric},test,final,{sign * value:.3f},,1,\n"
            for norm, value in zip(("batch_norm", "deconv"), claims, strict=True)]  # fmt: skip
    (folder / "table.csv").write_text(head + "".join(rows))
    (folder / "statements.yaml").write_text(
        "- {id: s, text: T, place: p, check: method_beats_baseline}\n"
        "- {id: m, text: T, place: p, check: lower_mostly, parameters: {where: {norm: deconv}}}\n"
    )
    made.json["claims"] = {"original": str(folder)}
    for norm, values in (("batch_norm", baseline), ("deconv", method)):
        for seed, value in enumerate(values):
            made.cell("d", "x", norm, 30, seed, status="completed")
            made.run(
                {key: made.cells[-1][key] for key in CELL}, metric, "test", "", sign * value, None, "completed", 30
            )
    tables = judgement(load(made.write()))
    words = {"threshold_rule": ("verdict",), "equivalence": ("verdict", "flags", "seeds_needed"),
             "comparison": ("holds", "improvement"), "method_vs_baseline": ("outcome", "difference", "p", "low"),
             "statements": ("outcome",), "answers": ("verdict",)}  # fmt: skip
    return {name: [[_rounded(row.get(column)) for column in columns] for row in tables[name]]
            for name, columns in words.items()}  # fmt: skip


def _rounded(value):
    if not isinstance(value, float):
        return value
    return round(value, 9) + 0.0 if np.isfinite(value) else None


def test_built_in_metrics_know_what_they_are_about():
    assert [m.name for m in METRICS.values() if not m.is_quality] == ["seconds", "parameters"]
    assert METRICS["error"].chance(10) == pytest.approx(0.9) and METRICS["top5"].chance(10) == 0.5
    assert METRICS["loss"].chance(10) is None and METRICS["top1"].worst < 0 < METRICS["error"].worst
