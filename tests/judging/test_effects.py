"""Effects of several sources: their standard errors, the sources combined, and replications, in a judged study."""

import json

import numpy as np
import pytest
from scipy import stats
from studies import judge, one, pick

from renorm.core.table_specs import TABLES
from renorm.judging import replication
from renorm.judging.replication import Effect
from renorm.report.export import write_tables
from renorm.report.figures import draw
from renorm.report.page import render

ORIGINAL = {"batch_norm": (90.0, 0.3, 5), "deconv": (92.0, 0.4, 5)}  # mean, SD, n, as printed
REPRODUCTION = {"batch_norm": (90.6, 90.9, 90.2), "deconv": (92.1, 91.6, 91.9)}
OWN = {"batch_norm": (0.902, 0.905, 0.899, 0.904), "deconv": (0.917, 0.921, 0.913, 0.918)}
HEAD = "source,table,page,dataset,arch,norm,recipe,epochs,attempt,metric,split,selection,value,unit,n,sd"


def source(folder, name, kind, rows):
    (folder / name).mkdir(parents=True)
    (folder / name / "source.yaml").write_text(f"name: {name}\nlabel: {name.title()}\ntitle: T\nkind: {kind}\n")
    (folder / name / "table1.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return str(folder / name)


def line(name, norm, attempt, value, n, sd=""):
    return f"{name},Table 1,1,digits,vgg,{norm},paper,9,{attempt},top1,test,final,{value},percent,{n},{sd}"


@pytest.fixture
def tables(study, tmp_path):
    original = source(tmp_path / "claims", "original", "original",
                      [line("original", norm, "", m, n, sd) for norm, (m, sd, n) in ORIGINAL.items()])  # fmt: skip
    repeated = source(tmp_path / "claims", "repeated", "reproduction", [
        line("repeated", norm, i, value, 1) for norm, found in REPRODUCTION.items() for i, value in enumerate(found, 1)
    ])  # fmt: skip
    for norm, found in OWN.items():
        for seed, value in enumerate(found, 1):
            study.cell("digits", "vgg", norm, 9, seed, value, seconds=1)
    study.json["claims"] = {"original": original, "reproductions": [repeated]}
    return judge(study.write())


def test_the_page_shows_them_beside_the_verdicts(tables, study):
    for name in ("provenance", "cells"):
        TABLES[name].write(study.path / TABLES[name].file, study.cells if name == "cells" else [])
    draw(study.path)
    write_tables(study.path)
    page = render(study.path).read_text()
    assert "The method across sources" in page
    combined = (study.path / "tables/combined-digits-nd.md").read_text()
    row = one(tables["meta_analysis"])
    assert f"{100 * row['random']:.2f}" in combined and "Original, Repeated, this study" in combined
    repeated = (study.path / "tables/replications-digits-nd.md").read_text().splitlines()
    assert len([line for line in repeated if "yes" in line or "| no" in line]) == 3
    names = [entry["name"] for entry in json.loads((study.path / "figures/figures.json").read_text())]
    assert "effects-digits-nd" in names


def test_the_effect_of_printed_averages_of_attempts_and_of_runs(tables):
    rows = {row["source"]: row for row in tables["effects"]}
    assert list(rows) == ["original", "repeated", "mine"]
    (m1, s1, n1), (m0, s0, n0) = ORIGINAL["deconv"], ORIGINAL["batch_norm"]
    test = stats.ttest_ind_from_stats(m1, s1, n1, m0, s0, n0, equal_var=False)
    assert rows["original"]["effect"] == pytest.approx(0.02) and rows["original"]["basis"] == "printed SD"
    assert rows["original"]["effect"] / rows["original"]["se"] == pytest.approx(test.statistic)
    for name, found, test in (
        ("repeated", "Welch t", stats.ttest_ind(*REPRODUCTION.values(), equal_var=False)),
        ("mine", "paired t", stats.ttest_rel(*OWN.values())),
    ):
        row = rows[name]
        assert row["basis"] == found and row["effect"] / row["se"] == pytest.approx(-test.statistic)
        assert row["df"] == pytest.approx(test.df)


def test_the_sources_combined(tables):
    row = one(tables["meta_analysis"])
    effects = tables["effects"]
    weights = np.array([1 / e["se"] ** 2 for e in effects])
    values = np.array([e["effect"] for e in effects])
    assert (row["sources"], row["k"]) == ("original;repeated;mine", 3)
    assert row["fixed"] == pytest.approx((weights * values).sum() / weights.sum())
    assert row["q"] == pytest.approx((weights * (values - row["fixed"]) ** 2).sum())
    assert row["random_low"] < row["random"] < row["random_high"]


def test_each_source_is_repeated_by_those_that_set_out_to(tables):
    rows = tables["replications"]
    assert [(row["earlier"], row["later"]) for row in rows] == [
        ("original", "repeated"), ("original", "mine"), ("repeated", "mine"),
    ]  # fmt: skip
    row = rows[1]
    effects = {e["source"]: Effect(e["source"], e["effect"], e["se"], e["df"]) for e in tables["effects"]}
    low, high = replication.prediction(effects["original"], effects["mine"])
    assert (row["prediction_low"], row["prediction_high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["inside_prediction"] is True
    assert row["sceptical_p"] == pytest.approx(replication.sceptical_p(effects["original"], effects["mine"]))
    assert row["sceptical_p_golden"] < row["sceptical_p"] < 0.025


def test_a_diverged_run_or_an_unknown_spread_is_no_effect(study, tmp_path):
    original = source(tmp_path / "claims", "original", "original",
                      [line("original", norm, "", m, 1) for norm, (m, _, _) in ORIGINAL.items()])  # fmt: skip
    for norm, found in OWN.items():
        for seed, value in enumerate(found, 1):
            study.cell("digits", "vgg", norm, 9, seed, value, status="diverged" if value == 0.913 else None)
    study.json["claims"] = {"original": original}
    tables = judge(study.write())
    assert tables["effects"] == tables["meta_analysis"] == tables["replications"] == []
    assert pick(tables["method_vs_baseline"], counted=True)  # the tests are there all the same


def test_nothing_of_it_changes_an_answer(tables, study):
    before = json.dumps(tables["answers"])
    study.json["claims"] = study.json["claims"] | {"reproductions": []}
    assert json.dumps(judge(study.write())["answers"]) == before
