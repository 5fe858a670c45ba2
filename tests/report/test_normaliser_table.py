"""The table of all normalisers, from normalisers.csv."""

import csv

import pandas as pd
import simulate

from renorm.core.table_specs import columns
from renorm.report.inputs import load
from renorm.report.page import render
from renorm.report.tables import normalisers

GIVEN = {"source": "demo", "dataset": "digits", "arch": "tiny_vgg", "recipe": "demo", "epochs": 2, "n": 3,
         "n_expected": 3}  # fmt: skip
ROWS = [
    {**GIVEN, "norm": "channel_deconv", "n": 2, "value": 0.9, "sd": 0.011, "delta_vs_baseline": 0.1,
     "delta_vs_method": -0.05, "epoch_seconds": 1.5, "ratio": 1.25, "pareto_optimal": "true"},
    {**GIVEN, "norm": "deconv", "value": 0.95, "delta_vs_baseline": 0.15, "delta_vs_method": 0, "epoch_seconds": 2.5,
     "ratio": 2.0833, "pareto_optimal": "true"},
    {**GIVEN, "norm": "batch_norm", "value": 0.8, "delta_vs_baseline": 0, "delta_vs_method": -0.15,
     "epoch_seconds": 1.2, "ratio": 1, "pareto_optimal": "false"},
    {**GIVEN, "norm": "none", "n": 0},
]  # fmt: skip


def study(folder):
    simulate.write_study(folder, demo=True)
    with open(folder / "normalisers.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns("normalisers"), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(ROWS)
    return folder


def test_baseline_and_method_first_and_nothing_left_out(tmp_path):
    (table,) = normalisers.tables(load(study(tmp_path / "demo")))
    assert [row.stub[1] for row in table.rows] == ["BN", "ND", *(row.stub[1] for row in table.rows[2:])]
    assert len(table.rows) == 4
    assert table.columns[1:3] == ["over BN", "over ND"]
    texts = {row.stub[1]: [cell.plain for cell in row.cells] for row in table.rows}
    assert texts["ND"] == ["95.00", "+15.00", "+0.00", "2.50", "2.08×", "●"]
    assert texts["channel_deconv"] == ["90.00 ± 1.10 (2 of 3)", "+10.00", "−5.00", "1.50", "1.25×", "●"]
    assert texts["no norm"][0] == "missing"


def test_the_page_shows_it_and_does_without(tmp_path):
    folder = study(tmp_path / "demo")
    assert 'id="normalisers-heading"' in render(folder).read_text()
    pd.read_csv(folder / "normalisers.csv").head(0).to_csv(folder / "normalisers.csv", index=False)
    assert 'id="normalisers-heading"' not in render(folder).read_text()
