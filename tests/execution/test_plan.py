"""What a study consists of and will cost, before anything is submitted."""

import contextlib
import json
import re
import shutil
import tempfile
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from renorm.core.errors import RenormError
from renorm.execution import cost_model, plan
from renorm.judging.inputs import load
from renorm.judging.judge import judgement
from renorm.runs.collect import collect
from renorm.study import config, grid
from renorm.study.claims import SUMS

from .test_status import STUDY, cell, real, study, write_run  # noqa: F401 - fixtures


def printed(out: str) -> list[list[str]]:
    """The words of the rows of a table."""
    return [line.replace("│", " ").split() for line in out.splitlines() if "│" in line]


def test_a_shared_cell_counts_once(study, capsys):  # noqa: F811
    write_run(study, cell(1))
    plan.plan(study)
    rows = printed(capsys.readouterr().out)
    assert [row[:6] for row in rows] == [
        ["one", "6", "0", "0", "1", "5"], ["two", "2", "0", "1", "0", "1"], ["all", "8", "0", "1", "1", "6"],
    ]  # fmt: skip
    each = cost_model.estimate(study, cell(1)).seconds / 3600
    assert float(rows[-1][6]) == pytest.approx(6 * each, abs=0.06)


def test_what_only_leaves_out_is_listed_and_stands_outside_the_total(study, capsys):  # noqa: F811
    write_run(study, cell(6))
    narrow = study.model_copy(update={"only": ["two"]})
    plan.plan(narrow)
    out = capsys.readouterr().out
    assert [row[:6] for row in printed(out)] == [
        ["two", "2", "0", "0", "1", "1"], ["would", "run", "2", "0", "0", "1"],
        ["(one)", "6", "0", "1", "0", "5"], ["all", "8", "0", "1", "1", "6"],
    ]  # fmt: skip
    assert "left out by `only`" in out
    plan.plan(narrow, part=True)
    out = capsys.readouterr().out
    assert [row[0] for row in printed(out)] == ["two", "all"] and "left out" not in out


def test_every_experiment_of_the_documents_with_its_claims(root, monkeypatch):
    """Every accuracy and time of the originals' tables belongs to a cell: each counted once in the total."""
    monkeypatch.chdir(root)
    whole = config.load("config.yaml")
    made = plan.outline(whole)
    claims = {row.name: row.claims for row in [*made.taken, *made.left_out]}
    # 60 printed values a data set of the paper, and 12 of the student report's Table 2 for the same cells.
    assert claims["table1_cifar10"] == claims["table1_cifar100"] == 72
    assert (claims["table2_vgg11"], claims["table2_residual"], claims["normalisers"]) == (6, 8, 10)
    assert (made.total.cells, made.total.claims) == (360, 144)
    assert list(claims) == list(whole.experiments)
    rows = sum(len(path.read_text().splitlines()) - 1 for folder in whole.claims.original
               for path in Path(folder).glob("*.csv"))  # fmt: skip
    assert made.everything.claims == rows
    assert made.everything.left + made.everything.done == len(grid.cells(whole.model_copy(update={"only": None})))


def test_nothing_is_cut_in_80_columns(root, monkeypatch, capsys):
    """Columns go, names and totals do not."""
    monkeypatch.chdir(root)
    whole = config.load("config.yaml")
    wide = Console(width=80, force_terminal=True, no_color=True)
    monkeypatch.setattr(plan, "screen", lambda: wide)
    plan.plan(whole)
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out.replace("snakemake … ", "")
    made = plan.outline(whole)
    hours = f"{made.everything.hours:,.1f}"
    assert all(f"({row.name})" in out for row in made.left_out) and hours in out
    assert "longest job" not in out and "to run" in out


def test_the_plan_for_programs_is_the_one_that_is_printed(study, capsys):  # noqa: F811
    plan.plan(study.model_copy(update={"only": ["two"]}), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["experiments"]] == ["two"]
    assert [row["name"] for row in found["left_out"]] == ["one"]
    assert (found["total"]["cells"], found["everything"]["left"], found["device"]) == (2, 7, "cpu")


def test_short_cells_that_are_missing_are_named_as_targets(study):  # noqa: F811
    axes = STUDY["experiments"]["one"] | {"epochs": [1, 10_000], "seeds": [1, 2]}
    mixed = config.validate(STUDY | {"experiments": {"one": axes}})
    write_run(mixed, cell(2))
    assert plan.short(mixed, 10) == [Path("results/runs") / cell(1).path / "run.json"]


def test_claims_are_read_from_all_folders_originals_first(root, monkeypatch):
    monkeypatch.chdir(root)
    both = {"original": "claims/ye2020", "reproductions": ["claims/obadage2024", "claims/ye2020"]}
    found = plan.published(config.validate(STUDY | {"claims": both}))
    assert {folder: claims.source.name for folder, claims in found.items()} == {
        "claims/ye2020": "ye2020", "claims/obadage2024": "obadage2024"}  # fmt: skip
    assert list(found) == ["claims/ye2020", "claims/obadage2024"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("check: verdict_count", "check: verdict_cuont",
         "claims/obadage2024/statements.yaml: .*: check: unknown 'verdict_cuont': did you mean 'verdict_count'?"),
        ("verdict: reproduced", "verdict: reproducd", "statements.yaml: .*: parameters.verdict: unknown 'reproducd'"),
        ("of: 134", "from: 134", "statements.yaml: .*: parameters.from: unknown: "),
    ],
)  # fmt: skip
def test_a_sentence_that_nothing_could_judge_is_refused_before(study, root, capsys, old, new, words):  # noqa: F811
    for name in ("ye2020", "obadage2024"):
        shutil.copytree(root / "claims" / name, f"claims/{name}", ignore=shutil.ignore_patterns(SUMS))
    file = Path("claims/obadage2024/statements.yaml")
    assert old in file.read_text()
    held = config.validate(STUDY | {"claims": {"original": "claims/ye2020", "reproductions": ["claims/obadage2024"]}})
    plan.plan(held)
    file.write_text(file.read_text().replace(old, new, 1))
    capsys.readouterr()
    with pytest.raises(RenormError, match=words) as caught:
        plan.plan(held)
    assert "\n" not in str(caught.value) and capsys.readouterr().out == ""


def test_a_misspelt_folder_of_reproductions_is_refused_before(study, root):  # noqa: F811
    shutil.copytree(root / "claims/ye2020", "claims/ye2020")
    held = config.validate(STUDY | {"claims": {"original": "claims/ye2020", "reproductions": ["claims/obadage2042"]}})
    with pytest.raises(RenormError, match="^claims/obadage2042: no such claims folder"):
        plan.plan(held)


HEAD = "source,table,page,dataset,arch,norm,recipe,epochs,attempt,metric,split,selection,value,unit,n,status,note\n"
CLAIMED = st.tuples(
    st.sampled_from(["vgg11", "vgg99"]), st.sampled_from(["batch_norm", "deconv"]), st.sampled_from([1, 2]),
    st.sampled_from(["", "1", "2"]), st.sampled_from(["top1", "top5", "error", "loss", "seconds", "parameters", "f1"]),
    st.sampled_from(["test", "train", "validation", "unstated"]), st.sampled_from(["final", "best", "unstated"]),
    st.booleans(),
)  # fmt: skip
UNIT = {"loss": "nats", "seconds": "s", "parameters": "M"}


@settings(max_examples=6, deadline=None)
@given(st.lists(CLAIMED, min_size=1, max_size=25, unique_by=itemgetter(*range(7))))
def test_the_plan_and_the_judgement_count_the_same_claims(claimed):
    """Whatever is claimed of a cell of the grid is a row of the judgement, with a verdict or with the reason."""
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        paper = Path("claims/paper")
        paper.mkdir(parents=True)
        (paper / "source.yaml").write_text("name: paper\nlabel: P\ntitle: T\nkind: original\n")
        rows = []
        for arch, norm, epochs, attempt, metric, split, selection, lost in claimed:
            end = ("", UNIT.get(metric, "fraction"), "", "diverged", "") if lost and attempt else (
                "0.5", UNIT.get(metric, "fraction"), "", "", "")  # fmt: skip
            cell = ("paper", "T", "1", "digits", arch, norm, "paper", str(epochs), attempt, metric, split, selection)
            rows.append(",".join((*cell, *end)) + "\n")
        (paper / "table.csv").write_text(HEAD + "".join(rows))
        study = config.validate({
            "study": "mine", "claims": {"original": [str(paper)]}, "recipes": {"paper": {}},
            "metrics": {"f1": {"direction": "higher", "kind": "share"}},
            "experiments": {"one": {"dataset": ["digits"], "arch": ["vgg11"], "norm": ["batch_norm", "deconv"],
                                    "recipe": ["paper"], "epochs": [1, 2], "seeds": [1, 2]}},
        })  # fmt: skip
        planned = plan.outline(study)
        collect(study)
        tables = judgement(load(study.folder))
        for name in ("equivalence", "threshold_rule"):
            judged = [row for row in tables[name] if row["source"] == "mine"]
            assert len(judged) == planned.total.claims
            assert all(row["verdict"] in ("missing", "not judged") and row["reason"] for row in judged)
        lost = [row for row in tables["summary"] if row["name"] == "without_cell"]
        assert [row["text"] for row in lost] == planned.without_cell
        assert sum(row["value"] for row in lost) == len({claim[:3] + claim[4:7] for claim in claimed
                                                         if claim[0] == "vgg99"})  # fmt: skip
