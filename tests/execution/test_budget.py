"""What is trained first when the hours are limited, and which seeds would settle a claim."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from renorm.core.errors import RenormError
from renorm.core.table_specs import TABLES
from renorm.execution import budget, job_log
from renorm.execution.job_log import JobEntry
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


def test_coverage_takes_the_first_seed_of_everything_first(study):
    # DenseNet-121 costs seven times as much as VGG-16.
    assert names(budget.ordered(study, "coverage")) == ["v1", "d1", "v2", "d2", "v3", "d3"]
    assert names(budget.ordered(study, "cheapest")) == ["v1", "v2", "v3", "d1", "d2", "d3"]
    with pytest.raises(RenormError, match="--order: 'best': expected one of coverage, cheapest, undecided"):
        budget.ordered(study, "best")


def test_undecided_takes_the_seeds_that_settle_most_claims_per_hour(study):
    with pytest.raises(RenormError, match="equivalence.csv"):
        budget.ordered(study, "undecided")
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
    assert one.hours == pytest.approx(2 * budget.gpu_hours(study, one.missing[0]))
    assert names(budget.ordered(study, "undecided")) == ["d1", "d2", "v1", "v2", "v3", "d3"]
    judged(study, {"arch": "densenet121", "seeds_needed": "5", "settle_probability": "0.9"},
           {"arch": "vgg16", "seeds_needed": "5", "settle_probability": "0.5"})  # fmt: skip
    cheap, dear = budget.next_seeds(study)
    assert (cheap.group[1], dear.group[1], cheap.more) == ("vgg16", "densenet121", 2) and cheap.worth > dear.worth
    line = budget.describe_next(cheap)
    assert line.startswith(
        "cifar10/vgg16/batch_norm/base/10: missing seeds 1, 2, 3 and 2 more than the configuration has"
    )


def test_a_budget_counts_what_was_spent_and_is_not_exceeded(study):
    cells = budget.ordered(study, "cheapest")
    small, large = budget.gpu_hours(study, cells[0]), budget.gpu_hours(study, cells[-1])
    assert names(budget.affordable(study, cells, 2.5 * small)) == ["v1", "v2"]
    # A failed try has cost as much as any.
    job_log.append(Path(study.results_dir), [JobEntry("1", cells[0].path, 1, 1, "FAILED", "n", 3600 * small)])
    assert budget.spent_hours(study) == pytest.approx(small)
    assert names(budget.affordable(study, cells, 2.5 * small)) == ["v1"]
    assert len(budget.affordable(study, cells, 4.1 * (small + large))) == 6


def test_the_commands(study, tmp_path):
    def renorm(*arguments: str) -> str:
        done = subprocess.run([sys.executable, "-m", "renorm", *arguments, "--config", str(tmp_path / "study.yaml")],
                              cwd=tmp_path, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    hours = 1.1 * (budget.gpu_hours(study, budget.ordered(study, "coverage")[0]))
    assert "the rest allows 1 of 6 missing cells" in renorm("plan", "--budget", f"{hours:.4f}")
    targets = renorm("targets", "--budget", f"{hours:.4f}", "--order", "cheapest").split()
    assert [path.partition("/runs/")[2] for path in targets] == ["cifar10/vgg16/batch_norm/base/e10/s1/run.json"]
    judged(study, {"arch": "vgg16", "seeds_needed": "", "settle_probability": ""})
    assert renorm("next") == "no number of further seeds would settle a claim\n"
