"""From a study's folder to its tables: identity, completeness, divergence, determinism."""

import csv
import subprocess
import sys

import pytest
from studies import ROOT, judge, one, pick

from renorm import judging
from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS
from renorm.core.table_specs import JUDGED
from renorm.core.tables import to_csv
from renorm.judging.pairing import judge_value
from renorm.judging.settings import Settings


def test_the_contract_of_the_tables(judged):
    for spec in JUDGED:
        assert (judged[0] / spec.file).open().readline() == ",".join(spec.names) + "\n"


@pytest.mark.parametrize(
    ("claimed", "value", "kind", "verdict"),
    [
        (0.5, 0.5001, "relative", "better"),
        (0.5, 0.5, "relative", "within"),
        (0.5, 0.45, "relative", "within"),  # lower by exactly the threshold is not more than it
        (0.7, 0.63, "relative", "within"),
        (0.5, 0.4499, "relative", "below"),
        (0.5, 0.41, "absolute", "within"),
        (0.5, 0.39, "absolute", "below"),
        (0.0, 0.0, "relative", "within"),
        (0.5, None, "relative", "missing"),
    ],
)
def test_the_colour_rule(claimed, value, kind, verdict):
    assert judge_value(claimed, value, Settings(threshold_kind=kind), METRICS["top1"]) == verdict
    if value is not None:  # of a metric of which less is better, the mirror image
        mirrored = METRICS["loss"]
        assert judge_value(-claimed, -value, Settings(threshold_kind=kind), mirrored) == verdict


def test_own_runs_against_the_claims(study):
    study.against()
    for seed, test in ((1, 0.90), (2, 0.91), (3, 0.92)):
        study.cell("cifar10", "vgg16", "batch_norm", 20, seed, test, train=0.95, seconds=10 + seed)
        study.cell("cifar10", "vgg16", "deconv", 20, seed, test + 0.02, train=0.97, seconds=30 + seed)
    tables = judge(study.write())
    row = one(tables["threshold_rule"], source="mine", norm="batch_norm")
    assert (row["claimed"], row["n"], row["n_expected"], row["verdict"]) == (0.9007, 3, 3, "better")
    assert row["value"] == pytest.approx(0.91)
    assert row["sd"] == pytest.approx(0.01)
    assert (row["minimum"], row["maximum"], row["reproduced_split"]) == (0.90, 0.92, "test")
    pair = one(tables["comparison"], source="mine", metric="top1")
    assert pair["improvement"] == pytest.approx(0.02)
    assert pair["holds"] is True
    repeat = one(tables["repeat_consistency"], source="mine", norm="batch_norm")
    assert repeat["deviation"] == pytest.approx((0.0007**2 + 0.0093**2 + 0.0193**2) / 2)
    cost = one(tables["runtime"], source="mine", norm="deconv")
    assert (cost["train_seconds"], cost["test_seconds"]) == (32, pytest.approx(3.2))
    assert cost["ratio"] == pytest.approx(32 / 12)
    assert cost["ratio_low"] < 32 / 12 < cost["ratio_high"]


def test_missing_diverged_and_failed_stand_in_every_denominator(study):
    study.against()
    study.cell("cifar10", "vgg16", "deconv", 1, 1, 0.75)
    study.cell("cifar10", "vgg16", "deconv", 1, 2, 0.3, status="diverged", seconds=1)
    study.cell("cifar10", "vgg16", "deconv", 1, 3, status="failed")
    study.cell("cifar10", "vgg16", "batch_norm", 1, 1)
    tables = judge(study.write())
    row = one(tables["threshold_rule"], source="mine", norm="deconv")
    assert (row["n"], row["n_expected"], row["value"]) == (1, 3, 0.75)
    assert "1 diverged, 1 failed of 3 runs" in row["reason"]
    row = one(tables["threshold_rule"], source="mine", norm="batch_norm")
    assert (row["verdict"], row["colour"], row["mark"], row["reason"]) == (
        "missing",
        "grey",
        "–",
        "1 missing of 1 run",
    )
    pair = one(tables["comparison"], source="mine", metric="top1")
    assert pair["holds"] is None and pair["method_value"] == 0.75
    done = {r["name"]: r["value"] for r in pick(tables["summary"], section="completeness", dataset="")}
    assert done == {"completed": 1, "diverged": 1, "failed": 1, "missing": 1}


def test_a_grid_that_shares_no_cell_with_the_claims(study):
    study.against("ye2020", "obadage2024")
    for norm in ("batch_norm", "deconv"):
        study.cell("digits", "vgg11", norm, 2, 1, 0.9, recipe="small")
    tables = judge(study.write())
    assert not pick(tables["threshold_rule"], source="mine")
    assert len(pick(tables["threshold_rule"], source="obadage2024")) == 134
    assert one(tables["comparison"], source="mine", metric="top1")["holds"] is False


def test_no_claims_and_no_runs(study):
    tables = judge(study.write())
    assert not any(tables[name] for name in ("threshold_rule", "comparison", "repeat_consistency", "runtime"))


def test_train_accuracy_never_answers_a_test_claim(study):
    study.against().cell("cifar10", "vgg16", "deconv", 20, 1, test=None, train=0.99, status="completed")
    assert one(judge(study.write())["threshold_rule"], source="mine")["verdict"] == "missing"


def test_epochs_completed_are_not_mixed(study):
    study.against()
    study.cell("cifar10", "vgg16", "deconv", 20, 1, 0.9).cell("cifar10", "vgg16", "deconv", 20, 2, 0.8)
    study.runs[-1]["epochs_completed"] = 7
    with pytest.raises(RenormError, match=r"runs.csv:3: epochs_completed '7' cannot be averaged with '20' of line 2"):
        judge(study.write())


def test_the_same_run_twice_is_refused(study):
    study.cell("cifar10", "vgg16", "deconv", 20, 1, 0.9)
    study.runs.append(study.runs[0])
    with pytest.raises(RenormError, match="is a duplicate of"):
        judge(study.write())


def test_a_run_outside_the_grid_is_refused(study):
    study.cell("cifar10", "vgg16", "deconv", 20, 1, 0.9)
    study.runs[0]["arch"] = "vgg19"
    with pytest.raises(RenormError, match=r"runs.csv:2: cifar10/vgg19/.*is not in cells.csv"):
        judge(study.write())


def test_best_epoch_when_configured(study):
    study.against().cell("cifar10", "vgg16", "deconv", 20, 1, 0.9)
    cell = {k: v for k, v in study.cells[0].items() if k in ("dataset", "arch", "norm", "recipe", "epochs", "seed")}
    study.run(cell, "top1", "test", "fraction", 0.93, 10_000, "completed", 20, selection="best")
    assert one(judge(study.write())["threshold_rule"], source="mine")["value"] == 0.9
    study.json["judge"] = {"selection": "best"}
    assert one(judge(study.write())["threshold_rule"], source="mine")["value"] == 0.93


@pytest.mark.untraced
def test_the_same_study_gives_the_same_bytes_in_any_order(study, tmp_path):
    study.against("ye2020", "obadage2024", "southampton")
    for seed in (1, 2):
        for arch in ("vgg16", "resnet18"):
            for norm in ("deconv", "batch_norm"):
                study.cell("cifar10", arch, norm, 20, seed, 0.9 + seed / 1000, seconds=10.0 + seed)
    folder = study.write()
    judge(folder)
    first = {spec.name: (folder / spec.file).read_bytes() for spec in JUDGED}
    study.runs.reverse()
    study.cells.reverse()
    judge(study.write())
    assert first.pop("audit")  # names lines of runs.csv, which were moved
    assert {name: (folder / f"{name}.csv").read_bytes() for name in first} == first
    assert not list(folder.glob(".*part"))


@pytest.mark.parametrize(
    ("judge_keys", "said"),
    [
        ({"treshold": 0.1}, "did you mean 'threshold'?"),
        ({"threshold": "10%"}, "should be a valid number"),
        ({"threshold_kind": "relativ"}, "did you mean 'relative'?"),
        ({"threshold": -1}, "should be greater than 0"),
    ],
)
def test_bad_settings(study, judge_keys, said):
    study.json["judge"] = judge_keys
    with pytest.raises(RenormError) as error:
        judge(study.write())
    assert said in str(error.value)


def test_a_folder_that_was_not_collected(tmp_path):
    with pytest.raises(RenormError, match="run `renorm collect` first"):
        judge(tmp_path)


def test_one_name_for_one_source(study):
    study.against()
    study.json["study"] = study.name = "ye2020"
    with pytest.raises(RenormError, match="'ye2020' is a duplicate"):
        judge(study.write())


def test_csv_writing():
    rows = [{"a": 0.1 + 0.2, "b": True}, {"a": -0.0, "b": None}, {"a": float("nan"), "b": "x,y"}]
    assert to_csv(("a", "b"), rows) == 'a,b\n0.3,true\n0,\n,"x,y"\n'
    with pytest.raises(ValueError, match="specification"):
        to_csv(("a",), [{"b": 1}])


def test_no_torch_and_no_method_names():
    room = ROOT / "src/renorm/judging"
    for path in [*room.rglob("*.py"), ROOT / "src/renorm/study/claims.py"]:
        source = path.read_text()
        assert "import torch" not in source
        assert not {"vgg", "cifar", "ye2020"} & set(source.lower().replace("'", " ").replace('"', " ").split()), path


def test_judge_says_where_it_wrote(published):
    assert [path.name for path in judging.judge(published)] == [spec.file for spec in JUDGED]


def test_read_back(judged):
    with open(judged[0] / "threshold_rule.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["colour"] for row in rows} == {"green", "black", "red"}


def test_judging_does_not_load_torch():
    code = "import sys, renorm.judging, renorm.study.claims; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_results_are_every_cell_claim_or_not(study):
    for seed, test in ((1, 0.90), (2, 0.92)):
        study.cell("mine", "net", "group_norm", 3, seed, test, train=0.95, seconds=10.0 * seed)
    study.cell("mine", "net", "group_norm", 3, 3, 0.1, status="diverged", seconds=5).cell("mine", "net", "none", 3, 1)
    found = judge(study.write())["study_means"]
    row = one(found, norm="group_norm", metric="top1", split="test")
    assert (row["n"], row["n_expected"], row["minimum"], row["maximum"]) == (2, 3, 0.90, 0.92)
    assert (row["value"], row["sd"]) == (pytest.approx(0.91), pytest.approx(0.02 / 2**0.5))
    assert one(found, norm="group_norm", metric="seconds", split="train")["value"] == 15
    missing = one(found, norm="none", metric="top1", split="test")
    assert (missing["n"], missing["n_expected"], missing["value"]) == (0, 1, None)


def test_what_it_cost_counts_every_run(study):
    study.against("ye2020", "obadage2024")
    study.cell("cifar10", "vgg16", "deconv", 20, 1, 0.9, seconds=3600).cell("cifar10", "vgg16", "deconv", 20, 2)
    study.cell("cifar100", "vgg16", "deconv", 20, 1, 0.1, status="diverged", seconds=7200)
    found = pick(judge(study.write())["summary"], section="cost")
    own = one(found, source="mine", dataset="", name="train_seconds")
    assert (own["value"], own["of"]) == (10800, 2)
    assert own["text"] == "this study: 3 h 00 min of training in 2 runs, 18 min of testing in 2 runs"
    assert one(found, source="mine", dataset="cifar10", name="test_seconds")["value"] == 360
    published = one(found, source="obadage2024", dataset="", name="train_seconds")
    assert published["text"].startswith("Obadage et al. 2024: 29 d 19 h of training in 367 runs")


def test_pairs_that_fail_and_ratios_that_are_known(study):
    for arch, deconv, seconds in (("a", 0.8, 20), ("b", 0.95, 30), ("c", None, None)):
        study.cell("d", arch, "batch_norm", 2, 1, 0.9, seconds=10).cell(
            "d", arch, "deconv", 2, 1, deconv, seconds=seconds
        )
    study.cell("d", "alone", "deconv", 2, 1, 0.9, seconds=40)
    summary = judge(study.write())["summary"]
    counts = {r["name"]: r["value"] for r in pick(summary, section="comparison", dataset="") if r["of"] == 3}
    assert {name: counts[name] for name in ("holds", "fails", "missing")} == {"holds": 1, "fails": 1, "missing": 1}
    known = one(summary, section="runtime", dataset="", name="known")
    assert (known["value"], known["of"]) == (2, 3)  # a method without a baseline cell is no pair


def test_sentences_use_the_studys_labels(study):
    study.json["labels"] = {"norm": {"batch_norm": "BN", "deconv": "ND"}, "dataset": {"cifar10": "CIFAR-10"}}
    for norm in ("batch_norm", "deconv"):
        study.cell("cifar10", "vgg16", norm, 20, 1, 0.9, seconds=10).cell(
            "cifar10", "vgg16", norm, 20, 2, 0.9, seconds=10
        )
    tables = judge(study.write())
    texts = [r["text"] for r in tables["summary"]] + [r["sentence"] for r in tables["audit"]]
    assert not [text for text in texts if "deconv" in text or "batch_norm" in text]
    assert any(text.startswith("CIFAR-10, vgg16, ND, 20 epochs:") for text in texts)


@pytest.mark.untraced
def test_own_cells_leave_out_what_was_published_of_others(study):
    study.against("ye2020", "obadage2024").json["claims"]["own_cells"] = True
    for norm in ("batch_norm", "deconv"):
        study.cell("cifar10", "vgg16", norm, 20, 1, 0.9)
    tables = judge(study.write())
    assert {(row["arch"], row["epochs"]) for row in tables["threshold_rule"]} == {("vgg16", 20)}
    assert len(tables["threshold_rule"]) == 4  # two claims, by the reproduction and by this study
    assert {row["source"] for row in tables["comparison"]} == {"ye2020", "obadage2024", "mine"}
    assert all((row["dataset"], row["arch"]) == ("cifar10", "vgg16") for row in tables["runtime"])
    # Sentences speak of whole tables: the papers' own answers stay what they are.
    whole = judge(study.against("ye2020", "obadage2024").write())
    assert tables["statements"] == whole["statements"] and len(whole["threshold_rule"]) > 100
    study.cells = [cell | {"arch": "tiny_vgg"} for cell in study.cells]
    study.runs = [row | {"arch": "tiny_vgg"} for row in study.runs]
    study.json["claims"]["own_cells"] = True
    nothing = judge(study.write())
    assert (nothing["threshold_rule"], nothing["statements"]) == ([], [])
    assert {row["source"] for row in nothing["comparison"]} == {"mine"}
