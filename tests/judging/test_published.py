"""The published rules, recounted from the printed tables: what was printed beside what the tables give.

Where the two differ, the number found is the one asserted; the printed one stands beside it as a comment.
"""

import pytest
from studies import ROOT, judge, one, pick

from renorm.runs.collect import collect
from renorm.study import config

pytestmark = pytest.mark.untraced


@pytest.fixture
def summary(judged):
    return judged[1]["summary"]


def count(summary, section, name, dataset=""):
    row = one(summary, section=section, source="obadage2024", name=name, dataset=dataset)
    return row["value"], row["of"]


@pytest.mark.parametrize(
    ("name", "dataset", "found", "printed"),
    [
        ("reproduced", "", (105, 134), 116),
        ("better", "", (83, 134), 80),
        ("better", "cifar10", (36, 60), 36),
        ("better", "cifar100", (36, 60), 36),
        ("better", "imagenet", (11, 14), 9),
        ("reproduced", "imagenet", (14, 14), 14),
        ("below", "cifar10", (7, 60), None),
        ("below", "cifar100", (22, 60), None),
    ],
)
def test_sentences_of_the_reproduction(summary, name, dataset, found, printed):
    assert count(summary, "threshold_rule", name, dataset) == found
    differs = {"": {"reproduced", "better"}, "imagenet": {"better"}}
    if printed is not None:
        assert (found[0] != printed) == (name in differs.get(dataset, set()))


def test_the_printed_parts_do_not_add_up_either():
    assert 36 + 36 + 9 != 80  # "36 out of 60" twice and "9 out of 14", against "80 results are better"


def test_within_ten_points_instead_of_ten_percent(published, study):
    study.json["judge"] = {"threshold_kind": "absolute", "threshold": 0.1}
    assert count(judge(study.write())["summary"], "threshold_rule", "reproduced") == (118, 134)  # printed: 116


@pytest.mark.parametrize(("dataset", "low", "high"), [("cifar10", "0.00", "0.23"), ("cifar100", "0.00", "0.11")])
def test_consistency_ranges_as_printed(summary, dataset, low, high):
    where = {"section": "repeat_consistency", "source": "obadage2024", "dataset": dataset}
    assert f"{one(summary, name='minimum', **where)['value']:.2f}" == low
    assert f"{one(summary, name='maximum', **where)['value']:.2f}" == high
    assert one(summary, name="consistent", **where)["value"] == 60


def test_method_against_baseline(summary):
    assert one(summary, section="comparison", source="ye2020", name="holds", dataset="")["value"] == 63
    holds = {d: count(summary, "comparison", "holds", d) for d in ("cifar10", "cifar100", "imagenet")}
    assert holds == {"cifar10": (28, 30), "cifar100": (27, 30), "imagenet": (2, 3)}  # printed: "always better"


def test_training_time(summary):
    def ratio(name):
        return one(summary, section="runtime", source="obadage2024", dataset="", name=name)["value"]

    assert ratio("ratio_minimum") - 1 == pytest.approx(0.0248, abs=1e-4)  # printed: 2 %
    assert ratio("ratio_maximum") - 1 == pytest.approx(8.306, abs=1e-3)  # printed: 358 %
    assert ratio("ratio_maximum_e100") - 1 == pytest.approx(3.582, abs=1e-3)  # which is the maximum at 100 epochs
    assert ratio("slower") == 63


def test_every_claim_is_answered(judged):
    tables = judged[1]
    assert len(pick(tables["threshold_rule"], source="obadage2024")) == 134
    assert not pick(tables["threshold_rule"], source="mine")
    row = one(tables["threshold_rule"], arch="vgg11_imagenet", norm="deconv", metric="top1")
    assert (row["verdict"], row["change"], row["reproduced_split"]) == ("within", 0, "unstated")


def test_a_reproduction_is_not_held_against_another(study):
    """What a reproduction printed is a claim to the study alone, beside the papers' claims."""
    folders = {name: str(ROOT / "claims" / name) for name in ("ye2020", "southampton", "obadage2024")}
    study.json["claims"] = {"original": [folders["ye2020"], folders["southampton"]],
                            "reproductions": [folders["obadage2024"]]}  # fmt: skip
    study.cell("cifar10", "vgg16", "batch_norm", 20, 1, 0.9)
    tables = judge(study.write())
    assert count(tables["summary"], "threshold_rule", "reproduced") == (105, 134)
    assert {r["claim_source"] for r in pick(tables["threshold_rule"], source="obadage2024")} == {"ye2020"}
    assert {r["claim_source"] for r in pick(tables["threshold_rule"], source="mine")} == {"ye2020", "southampton"}
    own = {r["id"]: r["found"] for r in pick(tables["statements"], statement_source="obadage2024", role="own")}
    assert own["better-cifar10"] == "36 of 60 better" and own["within-ten-percent"] == "105 of 134 reproduced"


def test_what_the_shipped_study_says_of_the_reproduction(tmp_path, monkeypatch):
    """The figures of docs/judging.md, with all the sources of config.yaml together."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "claims").symlink_to(ROOT / "claims")
    study = config.load(ROOT / "config.yaml")
    collect(study)
    tables = judge(study.folder)
    own = {r["id"]: r["found"] for r in pick(tables["statements"], statement_source="obadage2024", role="own")}
    text = (ROOT / "docs" / "judging.md").read_text()
    assert "105 of 134 within 10 % (printed 116), 83 better (printed 80), 36 and 36 of\n60" in text
    assert own["within-ten-percent"] == "105 of 134 reproduced" and own["better"] == "83 of 134 better"
    assert own["better-cifar10"] == own["better-cifar100"] == "36 of 60 better"
    assert count(tables["summary"], "threshold_rule", "reproduced") == (105, 134)


def test_a_diverged_average_is_no_value(study, tmp_path):
    folder = tmp_path / "rep"
    folder.mkdir()
    (folder / "source.yaml").write_text("{name: rep, label: Rep, title: Rep, kind: reproduction}")
    header = "source,table,page,dataset,arch,norm,recipe,epochs,attempt,metric,split,selection,value,unit,n,status"
    rows = ["rep,1,1,cifar10,vgg16,deconv,paper,20,,top1,test,unstated,,percent,3,diverged",
            "rep,1,1,cifar10,vgg16,batch_norm,paper,20,,top1,test,unstated,90,percent,3,"]  # fmt: skip
    (folder / "table.csv").write_text("\n".join([header, *rows]) + "\n")
    study.against()
    study.json["claims"]["reproductions"] = [str(folder)]
    tables = judge(study.write())
    row = one(tables["threshold_rule"], source="rep", norm="deconv")
    assert (row["verdict"], row["value"], row["reason"]) == ("diverged", None, "3 diverged of 3 runs")
    assert one(tables["comparison"], source="rep")["holds"] is False


@pytest.mark.parametrize("rows", [("train,99.5", "test,80"), ("test,80", "train,99.5"), ("train,99.5",)])
def test_training_accuracy_never_answers_a_claim_without_a_split(study, tmp_path, rows):
    for name, kind, told in (("claimed", "original", ("unstated,90",)), ("rep", "reproduction", rows)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "source.yaml").write_text(f"{{name: {name}, label: {name}, title: {name}, kind: {kind}}}")
        header = "source,table,page,dataset,arch,norm,recipe,epochs,metric,split,value,unit,n,selection"
        lines = [f"{name},1,1,cifar10,vgg16,deconv,paper,20,top1,{row},percent,1,unstated" for row in told]
        (folder / "table.csv").write_text("\n".join([header, *lines]) + "\n")
    study.json["claims"] = {"original": str(tmp_path / "claimed"), "reproductions": [str(tmp_path / "rep")]}
    found = [r["value"] for r in judge(study.write())["threshold_rule"]]
    assert found == ([pytest.approx(0.8)] if len(rows) == 2 else [])
