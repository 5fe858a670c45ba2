"""What is trained first when the hours are limited, and which seeds would settle a claim."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from renorm.core.errors import RenormError
from renorm.core.table_specs import TABLES
from renorm.execution import budget, cost_model, status
from renorm.execution.announce import closing_line
from renorm.execution.pending import Pending
from renorm.runs import job_log, made_from
from renorm.runs.job_log import JobEntry
from renorm.study import config


@pytest.fixture
def study(tmp_path):
    values = {
        "study": "s", "results_dir": str(tmp_path / "results"), "gpu": 1,
        "recipes": {"base": {"optimizer": {"lr": 0.1}}},
        "experiments": {
            "one": {"dataset": ["cifar10"], "arch": ["vgg16", "densenet121"], "norm": ["batch_norm"],
                    "recipe": ["base"], "epochs": [10], "seeds": [1, 2, 3]},
        },
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    return config.load(tmp_path / "study.yaml")


def judged(study, *rows: dict) -> None:
    """equivalence.csv, with the columns that a judgement writes."""
    blank = dict.fromkeys(TABLES["equivalence"].names, "")
    base = {"dataset": "cifar10", "norm": "batch_norm", "recipe": "base", "epochs": "10", "source": "s",
            "verdict": "inconclusive"}  # fmt: skip
    TABLES["equivalence"].write(Path(study.folder, TABLES["equivalence"].file), [blank | base | row for row in rows])


def names(cells) -> list[str]:
    return [f"{cell.arch[0]}{cell.seed}" for cell in cells]


def ordered(study, order: str):
    return budget.ordered(study, order, budget.records_of(study))


def allowed(study, hours: float | None = None, order: str | None = None) -> budget.Allowance:
    return budget.allowance(study, budget.records_of(study), hours, order)


def test_coverage_takes_the_first_seed_of_everything_first(study):
    # DenseNet-121 costs seven times as much as VGG-16.
    assert names(ordered(study, "coverage")) == ["v1", "d1", "v2", "d2", "v3", "d3"]
    assert names(ordered(study, "cheapest")) == ["v1", "v2", "v3", "d1", "d2", "d3"]
    with pytest.raises(RenormError, match="--order: 'best': expected one of coverage, cheapest, undecided"):
        ordered(study, "best")


def test_undecided_takes_the_seeds_that_settle_most_claims_per_hour(study):
    assert ordered(study, "undecided") == ordered(study, "coverage")  # before there is a judgement
    judged(
        study,
        {"arch": "densenet121", "seeds_needed": "2", "settle_probability": "0.9", "metric": "top1"},
        {"arch": "densenet121", "seeds_needed": "1", "settle_probability": "0.7", "metric": "top5"},
        {"arch": "densenet121", "seeds_needed": "3", "settle_probability": "1", "source": "other"},
        {"arch": "vgg16", "verdict": "reproduced"},
    )
    (one,) = budget.next_seeds(study)
    assert (names(one.missing), one.more, one.claims) == (["d1", "d2"], 0, 2)
    assert one.probability == pytest.approx(0.8)
    assert one.hours == pytest.approx(2 * budget.expected_hours(study, one.missing[0]))
    assert names(ordered(study, "undecided")) == ["d1", "d2", "v1", "v2", "v3", "d3"]
    judged(study, {"arch": "densenet121", "seeds_needed": "5", "settle_probability": "0.9"},
           {"arch": "vgg16", "seeds_needed": "5", "settle_probability": "0.5"})  # fmt: skip
    cheap, dear = budget.next_seeds(study)
    assert (cheap.group[1], dear.group[1], cheap.more) == ("vgg16", "densenet121", 2) and cheap.worth > dear.worth
    line = budget.describe_next(cheap)
    assert line.startswith(
        "cifar10/vgg16/batch_norm/base/10: missing seeds 1, 2, 3 and 2 more than the configuration has"
    )


def test_a_budget_counts_what_was_spent_and_is_not_exceeded(study):
    cells = ordered(study, "cheapest")
    small, large = budget.expected_hours(study, cells[0]), budget.expected_hours(study, cells[-1])
    assert names(allowed(study, 2.5 * small, "cheapest").taken) == ["v1", "v2"]
    # A failed try has cost as much as any.
    job_log.append(Path(study.results_dir), [JobEntry("1", cells[0].path, 1, 1, "FAILED", "n", 3600 * small)])
    found = allowed(study, 2.5 * small, "cheapest")
    assert found.spent == pytest.approx(small) and names(found.taken) == ["v1"]
    assert names(found.left_out) == ["v2", "v3", "d1", "d2", "d3"]
    assert len(allowed(study, 4.1 * (small + large)).taken) == 6
    # What may be running is reserved before anything else.
    job_log.append(Path(study.results_dir), [JobEntry("2", cells[-1].path, 1, 1)])
    assert names(allowed(study, small + large + 1e-6, "cheapest").taken) == ["d3"]


def test_a_budget_of_the_configuration_limits_a_start(study, tmp_path):
    cells = ordered(study, "cheapest")
    small = budget.expected_hours(study, cells[0])
    document = study.model_dump() | {"budget": {"gpu_hours": 2.5 * small, "order": "cheapest"}}
    limited = config.validate(document)
    pending = Pending(limited)
    assert names(sorted(pending.to_train("s"))) == ["v1", "v2"]
    assert [pending.place(cell) for cell in cells] == [2, 1, 0, 0, 0, 0] and pending.is_left_out(cells[2])
    assert names(Pending(study).to_train("s")) == names(sorted(cells)) and Pending(study).place(cells[0]) == 0
    # In the default order the dear cell is second, and no cheaper one overtakes it.
    by_coverage = config.validate(document | {"budget": {"gpu_hours": 2.5 * small}})
    assert names(Pending(by_coverage).to_train("s")) == ["v1"]
    # The report of the rest is made: it is not left alone because cells are missing.
    assert made_from.COLLECT in Pending(limited).steps("s")
    job_log.append(Path(study.results_dir), [JobEntry("1", cells[0].path, 1, 1, "FAILED", "n", 3 * 3600 * small)])
    spent = Pending(limited)
    assert spent.to_train("s") == [] and spent.allowance.line().endswith("are spent; 6 are left out")
    seen = status.survey(limited)
    assert seen.left_out == set(cells) and not status._open(seen) and status._open(status.survey(study))
    assert ": would not be trained: the budget leaves it out (0 of 6 missing" in status.why(limited, cells[0].path)
    assert closing_line(limited).startswith("0 of 6 cells, 6 missing, 6 of them left out by the budget, spent ")


def test_a_layer_view_of_a_cell_that_is_left_out_is_not_made(study):
    document = study.model_dump()
    document["experiments"]["one"] |= {"norm": ["deconv"], "arch": ["vgg16"], "seeds": [1]}
    view = {"kind": "covariance", "cell": "cifar10/vgg16/deconv/base/e10/s1"}
    document |= {"layer_views": {"trained": view, "initial": view | {"trained": False}}}
    assert Pending(config.validate(document)).to_inspect("s") == ["trained", "initial"]
    document |= {"budget": {"gpu_hours": 1e-6}}
    assert Pending(config.validate(document)).to_inspect("s") == ["initial"]


@pytest.mark.parametrize(
    ("gpu", "given", "said"),
    [
        (1, {"cpu_hours": 5}, "budget.cpu_hours: cells have gpu: 1: write gpu_hours"),
        (0, {"gpu_hours": 5}, "budget.gpu_hours: cells have gpu: 0: write cpu_hours"),
        (1, {"gpu_hours": 5, "cpu_hours": 5}, "budget: expected either gpu_hours or"),
        (1, {"order": "cheapest"}, "budget: expected either gpu_hours or"),
        (1, {"gpu_hours": 5, "order": "best"}, "budget.order: "),
        (1, {"gpu_hours": 0}, "budget.gpu_hours: "),
    ],
)
def test_a_budget_is_in_the_hours_that_a_study_has(study, gpu, given, said):
    with pytest.raises(RenormError, match=said):
        config.validate(study.model_dump() | {"gpu": gpu, "budget": given})


def test_cpu_hours_are_those_of_all_cores(study):
    one, four = (config.validate(study.model_dump() | {"gpu": 0, "threads": threads}) for threads in (1, 4))
    cell = ordered(one, "cheapest")[0]
    assert cost_model.estimate(four, cell).seconds < cost_model.estimate(one, cell).seconds
    assert budget.expected_hours(four, cell) == pytest.approx(4 * cost_model.estimate(four, cell).seconds / 3600)


def test_the_commands(study, tmp_path):
    def renorm(*arguments: str) -> str:
        done = subprocess.run([sys.executable, "-m", "renorm", *arguments, "--config", str(tmp_path / "study.yaml")],
                              cwd=tmp_path, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    hours = 1.1 * (budget.expected_hours(study, ordered(study, "coverage")[0]))
    assert "1 of 6 missing cells fit into " in renorm("plan", "--budget", f"{hours:.4f}")
    targets = renorm("targets", "--budget", f"{hours:.4f}", "--order", "cheapest").split()
    assert [path.partition("/runs/")[2] for path in targets] == ["cifar10/vgg16/batch_norm/base/e10/s1/run.json"]
    document = study.model_dump(exclude_unset=True) | {"budget": {"gpu_hours": hours}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(document))
    assert "Budget, in the order 'coverage': 1 of 6 missing cells fit into " in renorm("plan")
    assert json.loads(renorm("plan", "--json"))["budget"]["left_out"] == 5
    assert renorm("targets", "--minutes", "1e6").split() == targets  # of the short cells, those that the budget allows
    judged(study, {"arch": "vgg16", "seeds_needed": "", "settle_probability": ""})
    assert renorm("next") == "no number of further seeds would settle a claim\n"
