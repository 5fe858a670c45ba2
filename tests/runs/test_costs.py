"""What a study has cost: jobs where there were any, records else; each cell once in the total."""

from dataclasses import replace
from pathlib import Path

import pytest

from renorm.core import files
from renorm.runs import adopt, costs, job_log
from renorm.runs.collect import collect, find
from renorm.runs.job_log import JobEntry
from renorm.study import config

from ..execution.test_status import STUDY, cell, real, write_run  # noqa: F401 - fixtures


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return config.validate(STUDY | {"threads": 2})


def found(study) -> dict[str, costs.Cost]:
    return costs.by_experiment(study, {f.cell: f.record for f in find(study)})


def test_hours_are_those_of_all_jobs_of_a_cell_or_of_its_record(study):
    for seed in (1, 6):
        write_run(study, cell(seed), seconds=360)
    # 360 s on two cores; cell 6 is in both experiments and counts once in the total.
    assert found(study) == {
        "one": costs.Cost(hours=0.4, training_hours=0.4), "two": costs.Cost(hours=0.2, training_hours=0.2),
        "all": costs.Cost(hours=0.4, training_hours=0.4),
    }  # fmt: skip
    failed = JobEntry("1", cell(1).path, 0, 2, "FAILED", "n", 1800)
    jobs = [failed, replace(failed, job="2", state="COMPLETED", seconds=900), JobEntry("3", cell(7).path, 0, 2)]
    job_log.append(Path(study.results_dir), jobs)
    one, two, whole = found(study).values()
    assert one == costs.Cost(2, pytest.approx(1.7), 1.0, 0.4, 0)
    assert two == costs.Cost(1, 0.2, 0.0, 0.2, 1)
    assert whole == costs.Cost(3, pytest.approx(1.7), 1.0, 0.4, 1)


def test_an_adopted_run_has_cost_nothing_here(study):
    folder = write_run(study, cell(1), seconds=360)
    assert found(study)["all"].hours == 0.2
    files.write_json(folder / adopt.ORIGIN, {"from": "elsewhere"})
    assert found(study)["all"] == costs.Cost()


def test_a_budget_counts_what_the_grid_has_not(study):
    write_run(study, cell(1), seconds=360)
    entry = JobEntry("1", cell(1).path.replace("tiny_vgg", "vgg11"), 0, 2, "TIMEOUT", "n", 1800)
    job_log.append(Path(study.results_dir), [entry])
    assert list(found(study)) == ["one", "two", "all"]
    limited = study.model_copy(update={"budget": config.Budget(cpu_hours=9)})
    assert found(limited)["other"] == costs.Cost(1, 1.0, 1.0) and found(limited)["all"].hours == 1.2
    narrow = limited.model_copy(update={"only": ["two"]})
    assert found(narrow)["other"].hours == 1.2 and found(narrow)["all"].hours == 1.2


def test_tables_are_stale_when_a_job_has_cost_something(study):
    from renorm.execution.pending import Pending

    for seed in range(1, 8):
        write_run(study, cell(seed))
    collect(study)
    assert "collect" not in Pending(study).steps("s")
    text = (study.folder / "costs.csv").read_text().splitlines()
    assert text[0] == "experiment,unit,jobs,hours,lost_hours,training_hours,unknown,budget" and len(text) == 4
    job_log.append(Path(study.results_dir), [JobEntry("1", cell(1).path, 0, 2, "FAILED", "n", 1800)])
    assert "collect" in Pending(study).steps("s")
