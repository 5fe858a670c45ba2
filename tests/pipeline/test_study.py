"""A small study through the real Snakemake: results, faults, partial reports, kills."""

import copy as copying
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from renorm.core import table_specs
from renorm.core.locks import locked
from renorm.runs import run_record

from .conftest import STUDY

pytestmark = pytest.mark.pipeline


def rows(checkout, name, study="small"):
    with open(checkout.folder / "results" / study / name, newline="") as file:
        return list(csv.DictReader(file))


def timeless(checkout) -> dict[str, str]:
    """The study's tables without the columns and rows that hold times or the machine's state."""
    out = {}
    for path in sorted((checkout.folder / "results/small").glob("*.csv")):
        with open(path, newline="") as file:
            table = list(csv.DictReader(file))
        for row in table:
            for column in ("resumes", "started", "finished", "commit", "dirty"):
                row.pop(column, None)
            for column in [c for c in row if "seconds" in c]:
                del row[column]
        kept = [row for row in table if row.get("metric") != "seconds"]
        out[path.name] = json.dumps(kept)
    for name in ("runtime.csv", "costs.csv", "summary.csv"):
        out.pop(name, None)
    return out


def test_everything_promised_is_there(finished):
    folder = finished.folder / "results/small"
    for name in ("cells.csv", "runs.csv", "histories.csv", "provenance.csv", "study.json", "threshold_rule.csv",
                 "comparison.csv", "repeat_consistency.csv", "runtime.csv", "summary.csv", "figures/figures.json",
                 "report.html"):  # fmt: skip
        assert (folder / name).stat().st_size > 0, name
    assert [row["status"] for row in rows(finished, "cells.csv")] == ["completed"] * 3
    top1 = [
        r for r in rows(finished, "runs.csv") if (r["metric"], r["split"], r["selection"]) == ("top1", "test", "final")
    ]
    assert len(top1) == 3
    for row in top1:
        record = (
            finished.folder
            / "results/runs"
            / "/".join(
                [
                    row["dataset"],
                    row["arch"],
                    row["norm"],
                    row["recipe"],
                    f"e{row['epochs']}",
                    f"s{row['attempt']}",
                    "run.json",
                ]
            )
        )
        assert float(row["value"]) == run_record.read(record).metrics.final.value("test", "top1")


def test_the_published_comparison_is_in_the_report(finished):
    published = [row for row in rows(finished, "threshold_rule.csv") if row["source"] == "obadage2024"]
    assert len(published) == 134
    assert "ResNet-18" in (finished.folder / "results/small/report.html").read_text() or len(published) == 134


def test_headers_are_those_of_the_specifications(finished):
    for spec in table_specs.SPECS:
        with open(finished.folder / "results/small" / spec.file) as file:
            assert file.readline().strip() == ",".join(spec.names), spec.name


def test_missing_cells_are_shown_and_counted(copy):
    (copy.folder / "results/runs/digits/tiny_vgg/batch_norm/base/e1/s2/run.json").unlink()
    copy.snakemake("report_partial")
    cells = rows(copy, "cells.csv", "small.partial")
    assert sorted(row["status"] for row in cells) == ["completed", "completed", "missing"]
    page = (copy.folder / "results/small.partial/report.html").read_text()
    assert "2 of 3" in page
    summary = {
        row["name"]: row["text"]
        for row in rows(copy, "summary.csv", "small.partial")
        if row["section"] == "completeness"
    }
    assert summary["completed"] == "2 of 3 cells completed"
    assert summary["missing"] == "1 of 3 cells missing"


def test_a_diverged_cell_stops_nothing_and_is_counted(copy):
    study = copying.deepcopy(STUDY)
    study["recipes"]["hot"] = {"extends": "base", "optimizer": {"lr": 1e12}}
    study["experiments"]["hot"] = study["experiments"]["baseline"] | {"norm": ["none"], "recipe": ["hot"], "seeds": [1]}
    copy.write(study)
    copy.snakemake()
    assert sorted(row["status"] for row in rows(copy, "cells.csv")) == ["completed"] * 3 + ["diverged"]
    assert "diverged" in (copy.folder / "results/small/report.html").read_text()


def test_a_failing_cell_does_not_stop_the_others_and_a_report_is_rendered(copy):
    study = copying.deepcopy(STUDY)
    study["experiments"]["more"] = study["experiments"]["baseline"] | {"seeds": [5, 6]}
    copy.write(study)
    # Somebody else's run stands where seed 5 belongs, locked by a living process for longer than we wait.
    rule = copy.folder / "workflow/rules/train.smk"
    rule.write_text(rule.read_text().replace("wait=get_wait", "wait=0"))
    lock = copy.folder / "results/runs/digits/tiny_vgg/batch_norm/base/e1/s5/.lock"
    with locked(lock, "test"):
        output = copy.snakemake(expect=1)
    assert "is being written by" in output
    states = {
        row["seed"]: row["status"] for row in rows(copy, "cells.csv", "small.partial") if row["norm"] == "batch_norm"
    }
    assert states["6"] == "completed"
    assert states["5"] == "failed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stduy": "x"}, "stduy: unknown key: did you mean 'study'?"),
        ({"claims": {"original": "claims/obadage2024"}}, "check: unknown 'verdict_cuont': did you mean"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2_before_any_job(make_checkout, tmp_path, change, words):
    """Of the configuration, and of the claims. More of both, without Snakemake, are in tests/study."""
    checkout = make_checkout(tmp_path / "checkout")
    folder = checkout.folder / "claims/obadage2024"
    statements = folder / "statements.yaml"
    statements.write_text(statements.read_text().replace("check: verdict_count", "check: verdict_cuont", 1))
    (folder / "SHA256SUMS").unlink()
    checkout.write(STUDY | change)
    output = checkout.snakemake(expect=2)
    lines = [line for line in output.splitlines() if line.startswith("renorm: ")]
    assert len(lines) == 1 and words in lines[0]
    assert "Traceback" not in output
    assert not (checkout.folder / "results").exists()


def test_killed_in_the_middle_and_run_again_gives_the_same_tables(finished, make_checkout, tmp_path):
    """SIGKILL to Snakemake alone, its jobs going on, and to all of its processes, at random moments."""
    checkout, rng = make_checkout(tmp_path / "checkout"), random.Random(7)
    for kind in ("snakemake", "everything"):
        process = checkout.start("--quiet", "all")
        time.sleep(rng.uniform(4, 9))
        if kind == "snakemake":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
    checkout.snakemake()
    assert timeless(checkout) == timeless(finished)
    assert checkout.pending() == {}
    assert not list(checkout.folder.rglob("*.part"))
    assert not list(checkout.folder.rglob("checkpoint*.pt"))


def test_lint_is_clean(finished):
    output = finished.snakemake("--lint")
    assert "Congratulations, your workflow is in a good condition" in output


def test_snakemakes_own_report_works_too(finished):
    finished.snakemake("--report", "snakemake-report.html")
    assert (finished.folder / "snakemake-report.html").stat().st_size > 10_000


def test_the_command_line_tells_how_far_it_is(finished):
    command = [sys.executable, "-m", "renorm", "status", "--config", "study.yaml", "--json"]
    done = subprocess.run(
        command, cwd=finished.folder, env=finished.environment(), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["experiments"] == {"baseline": {"completed": 2}, "method": {"completed": 1}}
    done = subprocess.run([*command[:3], "plan", "--config", "study.yaml"], cwd=finished.folder, text=True,
                          env=finished.environment(), capture_output=True, check=True)  # fmt: skip
    assert "baseline" in done.stdout and "all" in done.stdout
