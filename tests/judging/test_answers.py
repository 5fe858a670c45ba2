"""The words for the four questions: their thresholds, what is counted, and what a program is given."""

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS
from renorm.core.table_specs import TABLES
from renorm.judging import answers, verdict
from renorm.judging.comparisons import Comparison

SETTINGS = SimpleNamespace(alpha=0.05, primary=METRICS["top1"])
PAPER = SimpleNamespace(source=SimpleNamespace(name="paper"))
ND = Comparison(name="nd", axis="norm", baseline="batch_norm", method="deconv")
INPUTS = SimpleNamespace(
    study="mine", answering="mine", comparisons=(ND,), method=lambda _: "ND", baseline=lambda _: "BN",
    settings=SETTINGS, cells=[], originals=[PAPER], set_ups={},
)  # fmt: skip
SETTING = {
    "comparison": "nd", "source": "mine", "dataset": "digits", "norm": "deconv", "recipe": "paper", "epochs": 1,
    "metric": "top1",
}  # fmt: skip
CELL = {key: value for key, value in SETTING.items() if key != "comparison"}


def pair(holds, baseline=0.5):
    order = None if holds is None else 1 if holds else -1
    return {"holds": holds, "order": order, "baseline_value": baseline, "counted": True}


def tables(wins, losses=0, missing=0, *, claimed=True, outcomes=None, others=()):
    """One pair an architecture; `outcomes` are those of the t tests, else all undecided."""
    held = [True] * wins + [False] * losses + [None] * missing
    pairs = [{**SETTING, "arch": f"a{place}", **pair(value)} for place, value in enumerate(held)]
    outcomes = outcomes or ["missing" if value is None else "undecided" for value in held]
    tests = [{**pair, "outcome": outcome, "p_holm": None if outcome == "missing" else 0.5}
             for pair, outcome in zip(pairs, outcomes, strict=True)]  # fmt: skip
    claims = [{**CELL, "arch": pair["arch"]} for pair in pairs] if claimed else []
    return {
        "comparison": [*pairs, *others], "method_vs_baseline": tests, "threshold_rule": claims, "summary": [],
        "statements": [], "audit": [],
    }  # fmt: skip


def answered(found, key, inputs=INPUTS):
    return next(row for row in answers.rows(inputs, found) if row["question"] == key)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (tables(9, 1), "holds"),
        (tables(89, 11), "holds mostly"),
        (tables(6, 4), "holds mostly"),
        (tables(5, 5), "fails"),
        (tables(0, 3), "fails"),
        (tables(2, 0, 3), "cannot say yet"),
        (tables(2, 0, 2), "holds"),
        (tables(0, 0, 4), "cannot say yet"),
        (tables(4, 0, claimed=False), "cannot say yet"),
    ],
)
def test_the_words_for_the_claim(found, word):
    assert answered(found, "holds")["verdict"] == word


def test_the_sentence_counts_what_was_measured():
    assert answered(tables(64), "holds")["text"] == "ND is more accurate than BN in all 64 measured pairs"
    row = answered(tables(64, 0, 2), "holds")
    assert row["text"] == "ND is more accurate than BN in all 64 measured pairs of 66 planned so far"
    assert (row["count"], row["measured"], row["planned"]) == (64, 64, 66)
    assert answered(tables(1), "holds")["text"] == "ND is more accurate than BN in 1 of 1 measured pair"


def sentences(*outcomes, **more):
    row = {"headline": True, "source": "mine", "statement_source": "paper", "text": "ND is better.", "found": "3 of 7"}
    return [{**row, "outcome": outcome, **more} for outcome in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [
        (["holds"], "holds"), (["holds within noise"], "holds mostly"), (["fails"], "fails"),
        (["fails within noise"], "cannot say yet"), (["not testable"], "cannot say yet"),
        (["holds", "holds", "fails"], "holds mostly"), (["holds", "fails"], "fails"),
        (["holds", "not testable"], "holds"), (["holds", "not testable", "not testable"], "cannot say yet"),
        (["fails", "fails within noise", "fails within noise"], "cannot say yet"),
    ],
)  # fmt: skip
def test_headline_sentences_decide_before_the_pairs(outcomes, word):
    row = answered(tables(1, 9) | {"statements": sentences(*outcomes)}, "holds")
    tested = len(outcomes) - outcomes.count("not testable")
    assert (row["verdict"], row["measured"], row["planned"]) == (word, tested, len(outcomes))
    assert row["text"].startswith(f"“ND is better”: {outcomes[0]} (3 of 7)")


@pytest.mark.parametrize("more", [{"headline": False}, {"source": "paper"}, {"statement_source": "reproduction"}])
def test_other_sentences_do_not(more):
    found = tables(9, 1) | {"statements": sentences("fails", **more)}
    assert answered(found, "holds") == answered(tables(9, 1), "holds")


def test_a_toy_study_says_what_it_found_and_judges_no_claim():
    row = answered(tables(3, 1, claimed=False), "holds")
    assert row["text"].startswith("no claim is about a cell of this study; here ND is more accurate than BN in 3 of 4")
    assert row["planned"] == 0 and answered(tables(4, claimed=False), "sure")["verdict"] == "cannot say yet"


def test_other_sources_and_rows_that_decide_no_pair_do_not_count():
    others = [{**SETTING, "arch": "a0", **pair(False), "counted": False},
              {**SETTING, "source": "paper", "arch": "a0", **pair(False)}]  # fmt: skip
    assert answered(tables(3, others=others), "holds")["measured"] == 3


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (tables(10, outcomes=["better"] * 5 + ["undecided"] * 5), "holds"),
        (tables(10, outcomes=["better"] * 4 + ["undecided"] * 6), "holds mostly"),
        (tables(10), "holds mostly"),  # sign test p = 0.002
        (tables(4), "cannot say yet"),  # p = 0.125
        (tables(1, 9), "fails"),
        (tables(3, 3, outcomes=["better", *["worse"] * 2, *["undecided"] * 3]), "fails"),
        (tables(0, 0, 3), "cannot say yet"),
    ],
)
def test_the_words_for_the_certainty(found, word):
    assert answered(found, "sure")["verdict"] == word


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (["completed"] * 9 + ["diverged"], "complete"),
        (["completed"] * 9 + ["missing"], "mostly complete"),
        (["completed"] * 8 + ["failed"] * 2, "incomplete"),
        (["missing"] * 3, "nothing has run"),
    ],
)
def test_the_words_for_completeness(status, word):
    inputs = SimpleNamespace(**vars(INPUTS) | {"cells": [{"status": one} for one in status]})
    row = answered(tables(1), "complete", inputs)
    assert row["verdict"] == word and row["text"].startswith(f"{status.count('completed')} of {len(status)} planned")


@pytest.mark.parametrize(("mean", "word"), [(3.1, "slower"), (1.05, "slower"), (1.0, "as fast"), (0.9, "faster")])
def test_the_words_for_the_cost(mean, word):
    numbers = {"geometric_mean": mean, "minimum": 0.5, "maximum": 4.0}
    found = tables(2)
    common = {"section": "runtime", "source": "mine", "dataset": "", "comparison": "nd", "of": 3}
    found["summary"] = [{**common, "name": f"ratio_{name}", "value": value} for name, value in numbers.items()]
    found["summary"].append({**common, "name": "known", "value": 2})
    row = answered(found, "cost")
    assert row["verdict"] == word and "2 pairs of 3 planned, from 0.50 to 4.00" in row["text"]
    assert answered(tables(2), "cost")["verdict"] == "cannot say yet"


def test_the_cost_says_on_how_many_set_ups_the_runs_were_timed():
    found = tables(2)
    common = {"section": "runtime", "source": "mine", "dataset": "", "of": 2, "value": 2, "comparison": "nd"}
    names = ("known", "ratio_geometric_mean", "ratio_minimum", "ratio_maximum")
    found["summary"] = [{**common, "name": name} for name in names]
    assert "set-ups" not in answered(found, "cost")["text"]
    cells = {norm: (("digits", "a0", norm, "paper", 1), 1) for norm in ("batch_norm", "deconv", "other")}
    places = {cells[norm]: ("cpu", "8", threads, "") for norm, threads in zip(cells, "148", strict=True)}
    inputs = SimpleNamespace(**vars(INPUTS) | {"set_ups": places})
    found["audit"] = [{"source": "mine", "kind": "runtime_outlier"}, {"source": "paper", "kind": "runtime_outlier"}]
    text = answered(found, "cost", inputs)["text"]
    assert "timed on 2 set-ups (cpu, 1 threads, cpu, 4 threads), and only times of one are compared" in text
    assert text.endswith("; the audit questions 1 of the times")
    found["summary"] = found["summary"][:1]
    row = answered(found, "cost", inputs)
    assert (row["verdict"], row["text"]) == ("cannot say yet", "no pair has been timed on one set-up")


@pytest.fixture
def folder(tmp_path):
    """A judged study with one claim and one statement."""
    (tmp_path / "study.json").write_text(json.dumps({"study": "mine"}))
    TABLES["answers"].write(tmp_path / "answers.csv", answers.rows(INPUTS, tables(3, 4)))
    claim = {**CELL, "claim_source": "paper", "arch": "a0", "norm": "deconv", "split": "test", "selection": "final",
             "table": "Table 1", "claimed": 0.9, "value": 0.91, "n": 2, "n_expected": 3, "reason": "why"}  # fmt: skip
    TABLES["threshold_rule"].write(tmp_path / "threshold_rule.csv", [{**claim, "verdict": "better"}])
    judged = {**claim, "verdict": "inconclusive", "mean_low": 0.89, "mean_high": 0.93}
    TABLES["equivalence"].write(tmp_path / "equivalence.csv", [judged, {**judged, "source": "paper"}])
    said = {"statement_source": "paper", "id": "s1", "text": "ND is better.", "outcome": "fails", "found": "3 of 7"}
    said |= {"counted": 3, "of": 7}
    roles = [{**said, "role": "study"}, {**said, "role": "own"}]
    TABLES["statements"].write(tmp_path / "statements.csv", roles)
    return tmp_path


def test_a_program_gets_what_the_page_says(folder):
    found = verdict.verdict(folder)
    assert found["headline"] == found["questions"]["holds"]["verdict"] == "fails"
    assert list(found["questions"]) == ["holds", "sure", "complete", "cost"]
    assert found["questions"]["holds"]["measured"] == 7 and found["questions"]["sure"]["count"] == 0
    (claim,) = found["claims"]
    assert (claim["outcome"], claim["threshold_rule"], claim["interval"]) == ("inconclusive", "better", [0.89, 0.93])
    assert (claim["n"], claim["n_expected"]) == (2, 3)
    assert [(row["id"], row["outcome"], row["of"]) for row in found["statements"]] == [("s1", "fails", 7)]
    assert [row["headline"] for row in found["statements"]] == [False]


def test_the_command_and_its_exit_code(folder):
    from renorm.cli.app import app

    run = CliRunner().invoke
    assert json.loads(run(app, ["verdict", str(folder), "--json"]).stdout) == verdict.verdict(folder)
    plain = run(app, ["verdict", str(folder), "--fail-if", "headline: holds"])
    assert plain.exit_code == 0 and plain.stdout.splitlines()[0].startswith("holds: fails: ND is more accurate")
    assert run(app, ["verdict", str(folder), "--fail-if", "headline: fails"]).exit_code == 1


@pytest.mark.parametrize("condition", ["headline", "headline:", "headlin: fails"])
def test_a_condition_that_means_nothing_is_one_line(folder, condition):
    with pytest.raises(RenormError, match="verdict: --fail-if") as told:
        verdict.fails(verdict.verdict(folder), [condition])
    assert "\n" not in str(told.value)
