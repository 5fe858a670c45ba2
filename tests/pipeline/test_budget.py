"""A study with a budget: what fits is trained in its order, what does not is left out, and the page says so."""

import copy
import re

import pytest

from renorm.core.table_specs import TABLES
from renorm.execution import budget
from renorm.study import config

from .conftest import STUDY, Checkout

pytestmark = pytest.mark.pipeline


def test_what_fits_is_trained_in_order_and_the_rest_is_left_out(make_checkout, tmp_path, monkeypatch):
    checkout: Checkout = make_checkout(tmp_path / "limited")
    study = copy.deepcopy(STUDY)
    # It costs more than all others together, whatever they take.
    study["experiments"]["long"] = study["experiments"]["method"] | {"epochs": [2000]}
    monkeypatch.chdir(checkout.folder)
    whole = config.validate(study)
    cells = budget.ordered(whole, "coverage", budget.records_of(whole))
    hours = 1.01 * sum(budget.expected_hours(whole, cell) for cell in cells[:2])
    # The long cell is third: its norm, recipe and epochs have no seed yet.
    assert [(cell.norm, cell.epochs, cell.seed) for cell in cells] == [
        ("batch_norm", 1, 1), ("deconv", 1, 1), ("deconv", 2000, 1), ("batch_norm", 1, 2),
    ]  # fmt: skip
    checkout.write(study | {"budget": {"cpu_hours": hours}})
    said = f"budget: 2 of 4 missing cells fit into {hours:g} CPU-hours, of which 0.00 are spent; 2 are left out"
    output = checkout.snakemake("--dry-run")
    assert output.count(said) == 1 and re.search(r"^train +2$", output, re.M)
    # The cheapest first: both seeds of the baseline, then the method.
    hours = 1.01 * sum(budget.expected_hours(whole, cell) for cell in (cells[0], cells[1], cells[3]))
    checkout.write(study | {"budget": {"cpu_hours": hours, "order": "cheapest"}})
    output = checkout.snakemake("--cores", "1")
    assert re.findall(r"Job \d+: Cell digits/tiny_vgg/(\w+)/\w+/(\w+)/(\w+)", output) == [
        ("batch_norm", "e1", "s1"), ("batch_norm", "e1", "s2"), ("deconv", "e1", "s1"),
    ]  # fmt: skip
    assert re.search(
        rf"3 of 4 cells, 1 missing, 1 of them left out by the budget, spent 0\.\d\d of {hours:g} CPU-hours", output
    )
    folder = checkout.folder / "results/small"
    total = TABLES["costs"].read(folder / "costs.csv")[-1]
    assert total["experiment"] == "all" and float(total["hours"]) > 0 and float(total["budget"]) == hours
    page = (folder / "report.html").read_text()
    assert f"of {hours:g} CPU-hours; 1 of 4 cells have no result" in page and "CPU-hours by experiment" in page
    assert checkout.planned() == {}
    # The hours that the missing cell needs are allowed: it is wanted again.
    checkout.write(study | {"budget": {"cpu_hours": 1000 * hours}})
    assert checkout.planned()["train"] == 1
