"""normalisers.csv: every normaliser of a study on the same thing."""

import pytest
from studies import judge, pick


def rows(study, found):
    for norm, (values, seconds) in found.items():
        for seed, value in enumerate(values, 1):
            study.cell("cifar10", "vgg16", norm, 5, seed, value, train=0.99, seconds=seconds)
    return judge(study.write())["normalisers"]


def test_accuracy_time_and_what_nothing_beats(study):
    found = rows(study, {"batch_norm": ((0.8, 0.9), 10.0), "deconv": ((0.91, 0.93), 40.0),
                         "channel_deconv": ((0.84, 0.84), 20.0), "deconv_every": ((0.9, 0.92), 30.0)})  # fmt: skip
    table = {row["norm"]: row for row in found}
    assert list(table) == sorted(table)
    row = table["deconv_every"]
    assert (row["n"], row["n_expected"], row["epoch_seconds"], row["ratio"]) == (2, 2, 6.0, 3.0)
    assert row["value"] == pytest.approx(0.91)
    assert row["sd"] == pytest.approx(0.02 / 2**0.5)
    assert row["delta_vs_baseline"] == pytest.approx(0.06)
    assert row["delta_vs_method"] == pytest.approx(-0.01)
    assert table["batch_norm"]["ratio"] == 1
    assert {norm: row["pareto_optimal"] for norm, row in table.items()} == {
        "batch_norm": True, "channel_deconv": False, "deconv": True, "deconv_every": True,
    }  # fmt: skip


def test_two_are_no_choice(study):
    assert rows(study, {"batch_norm": ((0.8,), 10.0), "deconv": ((0.9,), 40.0)}) == []


def test_equal_points_are_both_kept_and_missing_ones_neither(study):
    found = rows(study, {"none": ((0.8,), 10.0), "deconv": ((0.8,), 10.0), "batch_norm": ((None, None), None)})
    table = {row["norm"]: row for row in found}
    assert table["none"]["pareto_optimal"] is table["deconv"]["pareto_optimal"] is True
    missing = table["batch_norm"]
    assert (missing["n"], missing["n_expected"]) == (0, 2)
    assert all(missing[key] is None for key in ("value", "delta_vs_method", "epoch_seconds", "ratio", "pareto_optimal"))
    assert table["deconv"]["delta_vs_baseline"] is None


def test_other_recipes_and_epochs_are_other_things(study):
    for recipe, norm in (("a", "none"), ("a", "batch_norm"), ("b", "deconv")):
        study.cell("cifar10", "vgg16", norm, 5, 1, 0.5, train=0.5, seconds=1.0, recipe=recipe)
    tables = judge(study.write())
    assert tables["normalisers"] == []
    assert len(pick(tables["study_means"], metric="top1", split="test")) == 3
