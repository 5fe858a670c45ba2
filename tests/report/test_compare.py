"""Two studies side by side: what differs is found, what is equal is said, names are text."""

import csv
import json
import math
import shutil
from types import SimpleNamespace

import axe
import pandas as pd
import pytest
import simulate
from test_axe import checker  # noqa: F401 - a fixture
from test_page import Page

from renorm.cli.app import app
from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS
from renorm.judging import compare_studies
from renorm.report.compare import _answers, compare
from renorm.report.figures.captions import captions


def changed(folder, name, change):
    """Rewrite a table, row by row."""
    with (folder / f"{name}.csv").open(encoding="utf-8") as file:
        rows = [change(row) for row in csv.DictReader(file)]
    simulate.write_table(folder, name, [row for row in rows if row])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The same small study twice; the second has one network better by ten points, one verdict and one cell less."""
    a, b = (simulate.write_study(tmp_path_factory.mktemp("two") / name, demo=True) for name in ("first", "second"))

    def lift(row):
        if (row["arch"], row["norm"], row["epochs"], row["metric"], row["split"]) == (
            "vgg11",
            "deconv",
            "2",
            "top1",
            "test",
        ):
            row["value"] = f"{float(row['value']) - 0.1:.4f}"
        return None if (row["arch"], row["norm"], row["epochs"]) == ("resnet18", "deconv", "1") else row

    changed(b, "runs", lift)
    for name in ("cells", "histories", "provenance", "steps"):
        changed(
            b,
            name,
            lambda row: (
                None
                if (row["arch"], row["norm"], row["epochs"]) == ("resnet18", "deconv", "1")
                else row | ({"torch": "9.9"} if "torch" in row else {})
            ),
        )
    return a, b


def test_every_cell_with_its_difference(pair):
    rows = {(r["arch"], r["norm"], r["epochs"]): r for r in compare_studies.cells(*pair)}
    assert len(rows) == 8
    lifted = rows["vgg11", "deconv", 2]
    assert lifted["difference"] == pytest.approx(-0.1) and lifted["test"] == "paired t"
    assert lifted["n_a"] == lifted["n_b"] == lifted["n_pairs"]
    same = rows["vgg11", "batch_norm", 2]
    assert same["difference"] == 0 and same["value_a"] == same["value_b"] and same["ratio"] == 1
    assert rows["resnet18", "deconv", 1]["in"] == "a"
    counted = compare_studies.counts(list(rows.values()), 0.05)
    assert (counted["both"], counted["only_a"], counted["only_b"]) == (7, 1, 0)
    assert counted["largest_difference"] == pytest.approx(0.1) and math.isclose(counted["ratio"], 1)


def test_the_page_says_what_differs(pair, tmp_path):
    path = compare(*pair, tmp_path / "page.html").page
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids) and len(page.ids) == len(set(page.ids))
    assert "7 cells are in both studies." in text and "1 only in A, 0 only in B." in text
    assert "−10.00" in text and "9.9" in text
    assert len(pd.read_csv(path.with_suffix(".csv"))) == 8
    assert compare(*pair, tmp_path / "page.html").page.read_text(encoding="utf-8") == text
    assert text.count("<svg") == 1 and text.count('class="mark"') == 7
    assert "VGG-11, ND, 2 epochs: −10.00 points" in text


def test_the_command_prints_the_answers_and_the_page(pair, tmp_path, capsys):
    command = ["report", "--compare", *map(str, pair), "--out", str(tmp_path / "page.html")]
    app(command, standalone_mode=False)
    *answers, page = capsys.readouterr().out.splitlines()
    assert page == str(tmp_path / "page.html")
    assert [line.split("?")[0] for line in answers] == [
        "Do the numbers agree", "Do the verdicts agree", "Do they cover the same", "What did it cost",
    ]  # fmt: skip
    assert "? Cannot say: no cell has two runs or more on both sides" in answers[0] and "−1.43 points" in answers[0]
    assert answers[2].endswith("7 cells are in both studies. 1 only in A, 0 only in B.")


def test_equal_studies_read_as_equal(pair, tmp_path):
    text = compare(pair[0], pair[0], tmp_path / "page.html").page.read_text(encoding="utf-8")
    assert "Yes: all 8 cells with a value in both studies are equal to the last digit." in text
    assert "0 of 0" not in text and "B takes 1.00× the training time of A." in text


def test_disjoint_studies_read_as_disjoint(pair, tmp_path):
    other = shutil.copytree(pair[0], tmp_path / "other")
    for name in ("cells", "runs", "histories", "steps", "provenance"):
        changed(other, name, lambda row: row | {"recipe": "another"})
    text = compare(pair[0], other, tmp_path / "page.html").page.read_text(encoding="utf-8")
    assert "Nothing to compare: no cell has a value in both studies." in text
    assert "Nothing to compare: no cell was timed in both studies." in text
    assert "No: 0 of their cells are in both studies with a value." in text and "8 only in A, 8 only in B." in text
    assert "–" not in text[text.index('id="glance"') : text.index("</section>")]


def test_runs_of_a_program_are_beside_the_built_in_trainers_and_are_not_paired_by_seed(pair, tmp_path):
    """The authors' code reports no training loss and no seconds of training; its seed is another order of the data."""
    theirs = tmp_path / "theirs"
    shutil.copytree(pair[0], theirs)
    runner = "program main.py at commit d221c221b7"
    changed(theirs, "provenance", lambda row: row | {"runner": runner, "torch": ""})
    changed(theirs, "runs", lambda row: None if row["metric"] in ("seconds", "loss") else row)
    rows = compare_studies.cells(pair[0], theirs)
    known = [row for row in rows if row.get("difference") is not None]
    assert {(row["in"], row["test"], row["n_pairs"]) for row in known} == {("ab", "Welch t", 0)}
    assert all(row["difference"] == 0 and row["seconds_a"] and row["seconds_b"] is None for row in known)
    page = compare(pair[0], theirs, tmp_path / "page.html").page.read_text()
    assert runner in page and "built-in" in page and "VGG-11" in page


def test_verdicts_that_differ(tmp_path):
    pair = tmp_path / "a", tmp_path / "b"
    for folder, verdict in zip(pair, ("better", "below"), strict=True):
        folder.mkdir()
        row = {"claim_source": "paper", "dataset": "digits", "arch": "vgg11", "norm": "deconv", "recipe": "paper",
               "epochs": 2, "metric": "top1", "source": "demo", "table": "1", "split": "test",
               "selection": "final"}  # fmt: skip
        same = row | {"norm": "batch_norm", "verdict": "within"}
        for table in ("threshold_rule", "equivalence"):
            simulate.write_table(folder, table, [row | {"verdict": verdict}, same])
    found = compare_studies.changed_verdicts(*pair, ("demo", "demo"))
    assert [(r["norm"], r["rule"], r["verdict_a"], r["verdict_b"]) for r in found] == [
        ("deconv", "published", "better", "below"), ("deconv", "rigorous", "better", "below"),
    ]  # fmt: skip


def test_names_are_text(pair, tmp_path):
    a = simulate.write_study(tmp_path / "hostile", demo=True, vgg11="<script>alert(1)</script>")
    study = json.loads((a / "study.json").read_text())
    (a / "study.json").write_text(json.dumps(study | {"title": "<img src=x onerror=alert(2)>"}))
    text = compare(a, a).page.read_text(encoding="utf-8")
    assert text.count("<script") == 1 and "<img" not in text and "&lt;script&gt;alert(1)" in text
    assert "Both were made and judged alike" in text and "None: both studies have the same cells." in text


def test_what_was_not_judged_is_one_line(pair, tmp_path):
    with pytest.raises(RenormError, match="run `renorm collect` first"):
        compare(pair[0], tmp_path)


@pytest.mark.chromium
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_accessibility_rule_is_violated(browser, checker, pair, tmp_path, dark):  # noqa: F811
    a = simulate.write_study(tmp_path / "again", demo=True)
    browser.open(compare(a, a).page, dark=dark)
    assert axe.violations(browser, checker) == []
    assert browser.value("document.documentElement.scrollWidth") == 1280


def test_single_runs_of_two_programs_are_neither_equal_nor_different():
    """One run of the authors' code and one of the built-in trainer were "0 of 0 tested cells differ"."""
    row = {"in": "ab", "value_a": 0.2041, "value_b": 0.2120, "difference": 0.0079, "p_holm": None, "ratio": None}
    counts = compare_studies.counts([row], 0.05)
    sides = SimpleNamespace(inputs=SimpleNamespace(primary=METRICS["top1"]))
    agree = _answers(sides, captions()["compare"], counts, [])[0]
    assert agree["lead"].startswith("Cannot say: no cell has two runs or more on both sides")
    assert agree["lead"].endswith("The mean of B minus A is +0.79 points, the largest difference 0.79.")
