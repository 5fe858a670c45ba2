"""Comparisons on any axis: a judged study whose optimiser, networks and batch sizes are compared, against scipy."""

import json

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from studies import ACCURACY, COMPARISONS, compared, judge, one, pick

from renorm.core.errors import RenormError
from renorm.judging import verdict
from renorm.judging.comparisons import Comparison
from renorm.judging.inputs import load


@pytest.fixture
def folder(study):
    return compared(study).write()


def test_the_tests_of_a_recipe_comparison_are_scipys(folder):
    rows = pick(judge(folder)["method_vs_baseline"], comparison="optimiser", source="mine", metric="top1")
    assert [(row["arch"], row["recipe"], row["baseline"], row["method"]) for row in rows] == [
        ("net", "sgd", "adam", "sgd"), ("vgg", "sgd", "adam", "sgd"),
    ]  # fmt: skip
    tests = [stats.ttest_rel(ACCURACY[row["arch"], "sgd"], ACCURACY[row["arch"], "adam"]) for row in rows]
    adjusted = multipletests([test.pvalue for test in tests], method="holm")[1]
    for row, test, p_holm in zip(rows, tests, adjusted, strict=True):
        assert (row["test"], row["n_pairs"], row["counted"]) == ("paired t", 4, True)
        assert (row["statistic"], row["p"]) == (pytest.approx(test.statistic), pytest.approx(test.pvalue))
        interval = test.confidence_interval(0.95)
        assert (row["low"], row["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
        assert row["p_holm"] == pytest.approx(p_holm)
    assert [row["outcome"] for row in rows] == ["undecided", "better"]


def test_the_tests_of_an_architecture_and_of_a_recipe_axis_are_scipys(folder):
    found = judge(folder)["method_vs_baseline"]
    row = one(found, comparison="network", recipe="adam", metric="top1")
    test = stats.ttest_rel(ACCURACY["net", "adam"], ACCURACY["vgg", "adam"])
    assert (row["arch"], row["baseline"], row["method"], row["axis"]) == ("net", "vgg", "net", "arch")
    assert row["p"] == pytest.approx(test.pvalue)
    row = one(found, comparison="batch", metric="top1")
    test = stats.ttest_rel(ACCURACY["vgg", "bs.8"], ACCURACY["vgg", "bs.32"])
    assert (row["recipe"], row["baseline"], row["method"]) == ("bs.8", "32", "8")
    assert (row["p"], row["outcome"]) == (pytest.approx(test.pvalue), "worse")
    assert not pick(found, comparison="nd")  # no batch norm was run


def test_unpaired_runs_are_compared_by_welch(study):
    study.json["comparisons"] = COMPARISONS[1:2]
    for seed, value in enumerate(ACCURACY["vgg", "sgd"], 1):
        study.cell("digits", "vgg", "deconv", 2, seed, value, recipe="sgd")
    for seed, value in enumerate(ACCURACY["vgg", "adam"], 11):
        study.cell("digits", "vgg", "deconv", 2, seed, value, recipe="adam")
    row = one(judge(study.write())["method_vs_baseline"], metric="top1")
    test = stats.ttest_ind(ACCURACY["vgg", "sgd"], ACCURACY["vgg", "adam"], equal_var=False)
    assert (row["test"], row["p"]) == ("Welch t", pytest.approx(test.pvalue))


def test_times_convergence_and_counts_name_their_comparison(folder):
    tables = judge(folder)
    row = one(tables["runtime"], comparison="optimiser", arch="vgg", recipe="sgd")
    assert row["ratio"] == pytest.approx(102.5 / 132.5) and row["axis_value"] == "sgd"
    assert one(tables["runtime"], comparison="network", arch="net", recipe="adam")["ratio"] == pytest.approx(1)
    total = one(tables["summary"], section="runtime", comparison="optimiser", dataset="", name="ratio_geometric_mean")
    assert total["value"] == pytest.approx(102.5 / 132.5) and "training time of SGD over Adam" in total["text"]
    row = one(tables["convergence"], comparison="batch", axis_value="8", level=0.9)
    assert row["target"] == pytest.approx(0.9 * np.mean(ACCURACY["vgg", "bs.32"]))
    said = one(tables["summary"], section="comparison", comparison="batch", dataset="", name="measured")["text"]
    assert "batches of 8 is more accurate than batches of 32 in 0 of 1 pair in" in said


def test_every_comparison_has_answers_and_the_first_with_two_sides_leads(folder):
    tables = judge(folder)
    order = list(dict.fromkeys(row["comparison"] for row in tables["answers"] if row["comparison"]))
    assert order == ["optimiser", "nd", "network", "batch"]
    assert [row["question"] for row in tables["answers"][:4]] == ["holds", "sure", "complete", "cost"]
    found = verdict.verdict(folder)
    assert "here SGD is more accurate than Adam in all 2 measured pairs" in found["questions"]["holds"]["text"]
    assert set(found["comparisons"]) == set(order) and set(found["comparisons"]["batch"]) == {"holds", "sure", "cost"}
    assert verdict.fails(found, ["batch.cost: slower"]) == ["batch.cost: slower"]
    assert any(line.startswith("batch.cost: slower: batches of 8 takes 1.98 times") for line in verdict.lines(found))
    with pytest.raises(RenormError, match="unknown question 'batch.cots': did you mean 'batch.cost'"):
        verdict.fails(found, ["batch.cots: slower"])


def test_a_statement_asks_about_a_comparison_by_its_name(folder, tmp_path):
    claims = tmp_path / "paper"
    claims.mkdir()
    (claims / "source.yaml").write_text("name: paper\nlabel: Paper\ntitle: A paper\nkind: original\n")
    head = "dataset,arch,norm,recipe,epochs,metric,split,selection,value,unit,n"
    body = [f"digits,vgg,deconv,{recipe},2,top1,test,final,90,percent,1" for recipe in ("sgd", "adam", "bs.8", "bs.32")]
    rows = ["source,table,page," + head, *(f"paper,Table 1,1,{part}" for part in body)]
    (claims / "table1.csv").write_text("\n".join(rows))
    sentence = "- id: {0}\n  text: '{0}'\n  place: p. 1\n  check: {1}\n  comparison: {2}\n"
    asked = [("better", "method_beats_baseline", "optimiser"), ("smaller", "method_beats_baseline", "batch"),
             ("slow", "method_slower", "batch"), ("typing", "method_slower", "bach")]  # fmt: skip
    (claims / "statements.yaml").write_text("".join(sentence.format(*part) for part in asked))
    facts = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(facts | {"claims": {"original": str(claims)}}))
    found = {row["id"]: row for row in pick(judge(folder)["statements"], role="study")}
    assert {key: row["outcome"] for key, row in found.items()} == {
        "better": "holds", "smaller": "fails", "slow": "holds", "typing": "not testable",
    }  # fmt: skip
    assert "no comparison 'bach': did you mean 'batch'?" in found["typing"]["found"]
    (claims / "statements.yaml").write_text(sentence.format("x", "value_above", "batch"))
    with pytest.raises(RenormError, match="comparison: the check 'value_above' compares no method"):
        judge(folder)


def test_without_comparisons_nothing_is_compared_and_that_is_said(study):
    study.json["comparisons"] = []
    study.cell("digits", "vgg", "deconv", 2, 1, 0.9, seconds=5)
    tables = judge(study.write())
    assert tables["comparison"] == tables["method_vs_baseline"] == tables["convergence"] == []
    assert one(tables["runtime"])["comparison"] == "" and one(tables["runtime"])["ratio"] is None
    assert one(tables["answers"], question="holds")["text"].startswith("the study compares nothing")


def test_which_cell_is_compared_with_which():
    places = {
        f"bs.{size}-{lr}": {"family": "bs", "axes": {"batch_size": size, "lr": lr}}
        for size in ("8", "32") for lr in ("1", "2")
    }  # fmt: skip
    found = Comparison(name="c", axis="batch_size", baseline="32", method="8", where={"lr": 2}, places=places)
    cell = ("digits", "vgg", "deconv", "bs.8-2", 5)
    assert found.value(cell) == "8" and found.counterpart(cell) == ("digits", "vgg", "deconv", "bs.32-2", 5)
    assert found.setting(cell) == found.setting(found.counterpart(cell))
    assert found.value(("digits", "vgg", "deconv", "bs.8-1", 5)) is None  # another rate
    assert found.counterpart(("digits", "vgg", "deconv", "paper", 5)) is None  # on no axis


def test_the_leading_comparison_of_published_tables_alone(published):
    assert [one.name for one in load(published).comparisons] == ["nd"]
