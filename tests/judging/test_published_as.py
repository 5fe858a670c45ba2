"""Published values beside the cells that were run as them."""

import pytest
from studies import StudyFolder, judge, one
from test_effects import source

from renorm.core.errors import RenormError
from renorm.core.table_specs import TABLES
from renorm.judging.published_as import finding
from renorm.report.export import write_tables
from renorm.report.figures import draw
from renorm.report.page import render
from renorm.study import config


def claimed(name, norm, value, attempt="", n=3):
    return f"{name},Table 1,1,digits,vgg,{norm},paper,9,{attempt},top1,test,final,{value},percent,{n},"


@pytest.fixture
def study(tmp_path) -> StudyFolder:
    """`whole` is what the paper printed, `part` what its code ran: 95 % was printed, `part` has it."""
    study = StudyFolder(tmp_path / "mine")
    paper = source(tmp_path / "claims", "paper", "original", [claimed("paper", "whole", 95.0)])
    again = source(tmp_path / "claims", "again", "reproduction", [
        claimed("again", "whole", value, i, 1) for i, value in enumerate((94.9, 95.1, 95.0), 1)
    ])  # fmt: skip
    study.json["claims"] = {"original": [paper], "reproductions": [again]}
    for norm, found in {"whole": (0.80, 0.801, 0.799), "part": (0.95, 0.951, 0.949), "other": (0.95, 0.951)}.items():
        for seed, value in enumerate(found, 1):
            study.cell("digits", "vgg", norm, 9, seed, value)
            study.cells[-1]["experiments"] = "as_run" if norm == "part" else "grid"
    study.json["experiments"] = [
        {"name": "grid", "title": "Grid", "cells": 5},
        {"name": "as_run", "title": "As run", "cells": 3, "published_as": {"norm": "whole"}},
    ]
    return study


def test_the_cell_that_was_run_explains_what_the_published_one_does_not(study):
    tables = judge(study.write())
    for name in ("paper", "again"):
        row = one(tables["published_as"], claim_source=name)
        assert (row["norm"], row["run_norm"], row["epochs"]) == ("whole", "part", 9)
        assert (row["as_published_verdict"], row["as_run_verdict"]) == ("not reproduced", "reproduced")
        assert (row["as_published_n"], row["as_run_value"]) == (3, pytest.approx(0.95))
        assert row["finding"] == "as run"
    # The verdict on the claim is that on the cell as it was published.
    assert one(tables["equivalence"], claim_source="paper", source="mine")["verdict"] == "not reproduced"


def test_without_the_published_cell_only_the_run_one_is_judged(study):
    study.cells = [cell for cell in study.cells if cell["norm"] != "whole"]
    study.runs = [run for run in study.runs if run["norm"] != "whole"]
    row = one(judge(study.write())["published_as"], claim_source="paper")
    assert (row["as_published_verdict"], row["as_published_value"]) == (None, None)
    assert (row["as_run_verdict"], row["finding"]) == ("reproduced", "cannot say yet")


def test_a_cell_without_a_finished_run_has_no_row(study):
    study.runs = [run for run in study.runs if run["norm"] != "part"]
    assert judge(study.write())["published_as"] == []


def test_an_experiment_that_says_nothing_has_no_rows(study):
    study.json["experiments"][1]["published_as"] = {}
    assert judge(study.write())["published_as"] == []


@pytest.mark.parametrize(
    ("published", "run", "expected"),
    [
        ("reproduced", "reproduced", "both"), ("reproduced", "not reproduced", "as published"),
        ("not reproduced", "reproduced", "as run"), ("not reproduced", "not reproduced", "neither"),
        ("not reproduced", "inconclusive", "not as published"), ("not reproduced", "missing", "not as published"),
        ("inconclusive", "not reproduced", "not as run"), ("", "not reproduced", "not as run"),
        # One that agrees rules nothing out: the other may agree as well.
        ("reproduced", "inconclusive", "cannot say yet"), ("", "reproduced", "cannot say yet"),
        ("inconclusive", "inconclusive", "cannot say yet"), ("missing", "missing", "cannot say yet"),
    ],
)  # fmt: skip
def test_a_finding_follows_from_both_verdicts(published, run, expected):
    assert finding(published, run) == expected


def test_the_page_shows_both(study):
    folder = study.write()
    judge(folder)
    for name in ("provenance", "cells"):
        TABLES[name].write(study.path / TABLES[name].file, study.cells if name == "cells" else [])
    draw(folder)
    write_tables(folder)
    page = render(folder).read_text()
    assert "what was run under another name" in page and page.count(">as run<") >= 2
    assert "95.00" in page


BLOCK = {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["deconv_stem"], "recipe": ["base"], "epochs": [1],
         "seeds": [1]}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"norm": "deconf"}, "experiments.e.published_as.norm: unknown norm 'deconf': did you mean 'deconv'"),
        ({"norm": "deconv_stem"}, "'deconv_stem' is what the experiment runs: name what was printed"),
        ({"recipe": "bass"}, "experiments.e.published_as.recipe: unknown recipe 'bass': did you mean 'base'"),
        ({"epochs": "two"}, "experiments.e.published_as.epochs: unknown 'epochs': known: arch, dataset, norm, recipe"),
    ],
)
def test_a_name_that_nothing_has_is_refused(value, message):
    raw = {"study": "s", "recipes": {"base": {}}, "experiments": {"e": BLOCK | {"published_as": value}}}
    with pytest.raises(RenormError) as error:
        config.validate(raw)
    assert message in str(error.value) and "\n" not in str(error.value)
