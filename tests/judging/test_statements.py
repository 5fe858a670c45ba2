"""Statement checks: what the published sentences say, and what the tables give."""

import pytest
import yaml
from studies import ROOT, judge, one, pick

from renorm.core.errors import RenormError
from renorm.judging import statement_checks
from renorm.study.claims import load_claims

SOURCES = ("ye2020", "obadage2024", "ye2019", "southampton")
# The sentences that the paper's own tables do not bear out, with what the tables give.
FAILS = {
    ("obadage2024", "within-ten-percent"): "105 of 134 reproduced",  # printed: 116
    ("obadage2024", "better"): "83 of 134 better",  # printed: 80
    ("obadage2024", "better-imagenet"): "11 of 14 better",  # printed: 9
    ("obadage2024", "better-adds-up"): "36 + 36 + 9 = 81, printed 80",
    ("obadage2024", "reproducible"): "105 of 134 reproduced",
    ("obadage2024", "always-better"): "58 of 66 pairs better",
    ("obadage2024", "trend-20-100"): "34 of 40 pairs better",
    ("obadage2024", "improved-20-100"): "64 of 80 better",
    (
        "obadage2024",
        "growth",
    ): "2 to 831 % over 63 of 63",  # printed: 2 % to 358 %, which are the trainings of 100 epochs
    ("obadage2024", "dpn-biggest-difference"): "5 of 6 columns with dpn92 largest",
}


@pytest.fixture
def checked(study):
    return judge(study.against(*SOURCES).write())["statements"]


def test_own_tables(checked):
    own = pick(checked, role="own")
    assert {(r["statement_source"], r["id"]): r["found"] for r in own if r["outcome"] == "fails"} == FAILS
    untold = {(r["statement_source"], r["id"]) for r in own if r["outcome"] == "not testable"}
    assert untold == {("ye2019", "twenty-like-a-hundred"), ("ye2019", "slower")}  # told without a number


def test_every_statement_asks_everybody(checked):
    statements = {(name, s.id) for name in SOURCES for s in load_claims(ROOT / "claims" / name).statements}
    assert len(statements) >= 45
    assert {(r["statement_source"], r["id"]) for r in checked} == statements
    roles = [r["role"] for r in pick(checked, id="always-better")]
    assert roles == ["own", "reproduction", "reproduction", "study"]
    assert {r["outcome"] for r in pick(checked, role="study")} == {"not testable"}


def test_the_reproduction_on_the_original(checked):
    row = one(checked, statement_source="ye2020", id="method-beats-baseline", source="obadage2024")
    assert (row["outcome"], row["counted"], row["of"]) == ("fails", 58, 66)


def test_own_runs_answer_when_they_exist(study):
    study.against("ye2020", "obadage2024")
    for arch, deconv in (("vgg16", 0.93), ("resnet18", None)):
        study.cell("cifar10", arch, "batch_norm", 1, 1, 0.90).cell("cifar10", arch, "deconv", 1, 1, deconv)
    row = one(judge(study.write())["statements"], id="first-epoch", role="study")
    assert (row["outcome"], row["found"]) == ("not testable", "1 of 2 pairs better, 1 without a value")
    study.cells.clear(), study.runs.clear()
    for arch, deconv in (("vgg16", 0.89), ("resnet18", None)):
        study.cell("cifar10", arch, "batch_norm", 1, 1, 0.90).cell("cifar10", arch, "deconv", 1, 1, deconv)
    assert one(judge(study.write())["statements"], id="first-epoch", role="study")["outcome"] == "fails"


def test_summary_of_the_statements(study):
    summary = judge(study.against(*SOURCES).write())["summary"]
    own = {r["name"]: r["value"] for r in pick(summary, section="statements") if r["name"].startswith("own")}
    assert own["own_fails"] == len(FAILS) and own["own_not_testable"] == 2


@pytest.mark.parametrize(
    ("answers", "share", "outcome"),
    [
        ([True, True], 1.0, "holds"),
        ([True, None], 1.0, "not testable"),
        ([False, None], 1.0, "fails"),
        ([True, False, None, None], 0.5, "not testable"),
        ([True, True, None, None], 0.5, "holds"),
        ([], 1.0, "not testable"),
    ],
)
def test_missing_answers(answers, share, outcome):
    assert statement_checks.tally(answers, share, "x").outcome == outcome


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"check": "method_beats_baselin"}, "did you mean 'method_beats_baseline'?"),
        ({"check": "__import__"}, "unknown '__import__'"),
        ({"parameters": {"shar": 1}}, "parameters.shar: unknown: did you mean 'share'?"),
        ({"parameters": {"share": "all"}}, "parameters.share: 'all' is not a float"),
        ({"parameters": {"share": True}}, "parameters.share: True is not a float"),
        ({"parameters": {"where": {"archs": "x"}}}, "parameters.where.archs: unknown: did you mean 'arch'?"),
        ({"check": "extreme", "parameters": {"arch": "a", "kind": "largst"}}, "did you mean 'largest'?"),
        ({"check": "value_above", "parameters": {"percent": 3}}, "parameters.where: is missing"),
        ({"check": "adds_up", "parameters": {"parts": ["a"], "total": 3}}, "parts: ['a'] is not a list[float]"),
    ],
)
def test_bad_statements_are_one_line(study, tmp_path, change, said):
    folder = tmp_path / "claims" / "paper"
    folder.mkdir(parents=True)
    (folder / "source.yaml").write_text("name: paper\nlabel: P\ntitle: T\nkind: original\n")
    statement = {"id": "one", "text": "t", "place": "p", "check": "method_beats_baseline"} | change
    (folder / "statements.yaml").write_text(yaml.safe_dump([statement]))
    study.json["claims"] = {"original": str(folder), "reproductions": []}
    with pytest.raises(RenormError) as error:
        judge(study.write())
    assert said in str(error.value) and "statements.yaml: one: " in str(error.value)


def test_every_check_is_used_and_documented():
    used = {s.check for name in SOURCES for s in load_claims(ROOT / "claims" / name).statements}
    assert used == set(statement_checks.CHECKS)
    assert all(function.__doc__ for function in statement_checks.CHECKS.values())


def test_who_is_weakest_is_asked_about_the_networks_of_the_sentence(study):
    """A network that the paper never trained, or a column it has not, takes no part."""
    study.against("ye2020", "obadage2024")
    for dataset in ("cifar10", "cifar100"):
        for epochs in (1, 20, 100):
            for claims in load_claims(ROOT / "claims" / "obadage2024").frame.arch.unique():
                if not claims.endswith("_imagenet"):
                    for norm in ("batch_norm", "deconv"):
                        study.cell(dataset, claims, norm, epochs, 1, 0.5 if claims == "pnasnet_a" else 0.6)
    study.cell("cifar10", "simple_cnn", "deconv", 20, 1, 0.2).cell("cifar10", "vgg16", "none", 20, 1, 0.1)
    row = one(judge(study.write())["statements"], id="weak-architecture", role="study")
    assert (row["outcome"], row["found"][:8]) == ("holds", "0 of 9 o")


def test_a_sentence_asked_about_other_networks_says_so(study):
    """Two small networks may bear out what was said of ten large ones; the reader is told that they are others."""
    study.against("ye2020", "obadage2024")
    for arch, told in (("tiny_vgg", "1 of 1 pairs better (none of them in cells that the sentence is about)"),
                       ("vgg16", "2 of 2 pairs better (1 of them in cells that the sentence is about)")):  # fmt: skip
        study.cell("cifar10", arch, "batch_norm", 1, 1, 0.3).cell("cifar10", arch, "deconv", 1, 1, 0.6)
        row = one(judge(study.write())["statements"], id="first-epoch", role="study")
        assert (row["outcome"], row["found"]) == ("holds", told)
