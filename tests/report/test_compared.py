"""Comparisons besides the leading one, and the metric over a recipe's axis, on the page."""

import json

import pytest

from renorm.core.table_specs import TABLES
from renorm.report.export import write_tables
from renorm.report.figures import along_axis, draw
from renorm.report.inputs import load
from renorm.report.labels import Names
from renorm.report.page import render
from tests.judging.studies import StudyFolder, compared, judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    study = compared(StudyFolder(tmp_path_factory.mktemp("compared") / "mine"))
    study.json["recipes"] = ["sgd", "adam", "bs.32", "bs.8"]
    path = study.write()
    for name in ("provenance", "cells"):
        spec = TABLES[name]
        spec.write(path / spec.file, study.cells if name == "cells" else [])
    judge(path)
    draw(path)
    write_tables(path)
    render(path)
    return path


def test_every_comparison_is_in_one_table_with_its_verdicts(folder):
    table = (folder / "tables/comparisons.md").read_text()
    lines = [line for line in table.splitlines() if line.startswith("|") and "against" in line]
    assert [line.split("|")[1].strip() for line in lines] == [
        "SGD against Adam", "deconv against batch\\_norm", "net against vgg", "batches of 8 against batches of 32",
    ]  # fmt: skip
    assert "faster" in lines[0] and "slower" in lines[3]


def test_the_page_shows_each_with_tests_and_figures(folder):
    page = (folder / "report.html").read_text()
    assert 'id="comparisons"' in page and "Everything that is compared" in page
    assert "net minus vgg" in page and "batches of 8 minus batches of 32" in page
    names = [entry["name"] for entry in json.loads((folder / "figures/figures.json").read_text())]
    assert {"compared-digits-network", "compared-digits-batch", "forest-digits", "forest-digits-batch"} <= set(names)
    assert "compared-digits-optimiser" not in names  # it leads: the claims' dumbbells and the first forest plot are it


def test_the_metric_over_the_axis(folder):
    inputs = load(folder)
    (figure,) = along_axis.figures(inputs)
    assert figure.name == "axis-digits-bs-batch-size" and "digits: top-1 over batches of" in figure.title
    (axes,) = figure.canvas.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "32"]
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() not in "_|"][:1]
    assert list(line.get_ydata()) == pytest.approx([88.425, 90.425])


def test_recipes_keep_the_order_of_the_study(folder):
    names = Names(load(folder))
    assert names.order("recipe", load(folder)["study_means"]) == ["sgd", "adam", "bs.32", "bs.8"]
    assert names.row_label(("vgg", "sgd"), load(folder)["study_means"]) == "vgg (SGD)"
