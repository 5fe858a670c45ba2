"""The audit: silent on clean tables, and every kind of finding when it is planted."""

import json

import numpy as np
import pandas as pd
import pytest
from studies import ROOT, judge, one, pick

from renorm.core.errors import RenormError
from renorm.judging import audit, load_runs_csv
from renorm.study.claims import load_claims

ARCHS = [f"net{i}" for i in range(10)]
EPOCHS = (1, 20, 100)
SD = {1: 0.02, 20: 0.003, 100: 0.0015}


def clean(seed: int) -> pd.DataFrame:
    """360 runs as an honest laboratory writes them: spreads that differ by cell, seconds with some noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for dataset, hard in (("cifar10", 0.0), ("cifar100", 0.2)):
        for i, arch in enumerate(ARCHS):
            for norm, gain, slow in (("batch_norm", 0, 1), ("deconv", 0.02, 2 + i / 4)):
                for epochs in EPOCHS:
                    accuracy = {1: 0.45, 20: 0.90, 100: 0.94}[epochs] - hard - i / 200 + gain
                    sd = SD[epochs] * rng.lognormal(0, 0.4)
                    for attempt in (1, 2, 3):
                        value = round(np.clip(accuracy + rng.normal(0, sd), 0.01, 0.999), 4)
                        seconds = round((5 + i) * slow * epochs * rng.lognormal(0, 0.04), 2)
                        rows.append(
                            ("lab", dataset, arch, norm, epochs, attempt, "top1", "test", round(value * 100, 2),
                             "percent", seconds, round(epochs * rng.lognormal(0, 0.1), 2), epochs)
                        )  # fmt: skip
    columns = (
        "source dataset arch norm epochs attempt metric split value unit train_seconds test_seconds epochs_completed"
    )
    return pd.DataFrame(rows, columns=columns.split())


def claims_of(frame: pd.DataFrame) -> "load_claims":
    """What an original would have published of the same networks: one run each."""
    first = frame[frame.attempt == 1].assign(source="original", selection="unstated", value=lambda f: f.value / 100)
    claims = load_claims(ROOT / "claims/ye2020")
    return type(claims)(claims.source, first)


def test_clean_tables_raise_no_alarm():
    flagged = 0
    for seed in range(200):
        frame = clean(seed)
        found = audit(frame, claims_of(clean(1000 + seed)) if seed % 10 == 0 else None)
        flagged += len({(f.dataset, f.arch, f.norm, f.epochs) for f in found})
    assert flagged / (200 * 120) < 0.01


def at(frame, **where):
    """The positions of the rows of one cell."""
    mask = pd.Series(True, index=frame.index)
    for column, value in where.items():
        mask &= frame[column] == value
    return list(frame.index[mask])


CELL = {"dataset": "cifar10", "arch": "net3", "norm": "deconv", "epochs": 20}


def plant_impossible(frame, at):
    frame.loc[at[0], "value"] = 90.556


def plant_above_all(frame, at):
    frame.loc[at[0], "value"] = 930.0


def plant_duplicate_row(frame, at):
    other = frame.index[(frame.arch == "net7") & (frame.epochs == 20)][0]
    for column in ("value", "train_seconds", "test_seconds"):
        frame.loc[other, column] = frame.loc[at[0], column]


def plant_duplicate_attempt(frame, at):
    for column in ("value", "train_seconds", "test_seconds"):
        frame.loc[at[1], column] = frame.loc[at[0], column]


def plant_same_seconds(frame, at):
    frame.loc[at[0], "test_seconds"] = frame.loc[at[0], "train_seconds"]


def plant_accuracy_as_seconds(frame, at):
    frame.loc[at[0], "test_seconds"] = frame.loc[at[0], "value"]


def plant_slow(frame, at):
    frame.loc[at[0], "train_seconds"] *= 1.6


def plant_fast(frame, at):
    frame.loc[at[0], "train_seconds"] /= 1.6


def plant_truncated(frame, at):
    frame.loc[at[0], "epochs_completed"] = 12


def plant_bimodal(frame, at):
    frame.loc[at[0], "value"] = 71.5


def plant_fraction(frame, at):
    frame.loc[at[0], "value"] = round(frame.loc[at[0], "value"] / 100, 4)


def plant_percent(frame, at):
    frame["value"] = (frame["value"] / 100).round(4)
    frame["unit"] = "fraction"
    frame.loc[at[0], "value"] *= 100


def plant_baseline_speed(frame, at):
    twin = frame.index[(frame.dataset == "cifar10") & (frame.arch == "net3") & (frame.norm == "batch_norm")]
    method = frame.index[(frame.dataset == "cifar10") & (frame.arch == "net3") & (frame.norm == "deconv")]
    frame.loc[method, "train_seconds"] = frame.loc[twin, "train_seconds"].to_numpy() * 1.02


def plant_other_machine(frame, at):
    frame.loc[at, "train_seconds"] *= 2.2


def plant_identity(frame, at):
    frame.loc[at[1], "attempt"] = 1


@pytest.mark.parametrize(
    ("plant", "kind", "said"),
    [
        (plant_impossible, "impossible", "90.556 % cannot be: no whole number of 10,000 test images"),
        (plant_above_all, "impossible", "930 % is no accuracy"),
        (plant_duplicate_row, "duplicate_row", "the same seconds in different cells"),
        (plant_duplicate_attempt, "duplicate_attempt", "attempts 1, 2 have the same accuracy and the same seconds"),
        (plant_same_seconds, "seconds_equal", "training and testing both took"),
        (plant_accuracy_as_seconds, "seconds_equal", "which is the run's accuracy"),
        (plant_slow, "runtime_outlier", "attempt 1 took"),
        (plant_fast, "runtime_outlier", "attempt 1 took"),
        (plant_truncated, "truncated", "12 epochs were completed"),
        (plant_bimodal, "bimodal", "attempts form two clusters: 71.50"),
        (plant_fraction, "units", "a fraction of 1?"),
        (plant_percent, "units", "a percentage?"),
        (plant_baseline_speed, "baseline_speed", "was it deconv?"),
        (plant_other_machine, "seconds_scale", "seconds do not scale with epochs"),
        (plant_identity, "identity", "attempt 1 has top1 twice"),
    ],
)
def test_planted(plant, kind, said):
    frame = clean(0)
    before = set(audit(frame))
    cell = at(frame, **CELL)
    plant(frame, cell)
    found = [f for f in audit(frame) if f.kind == kind and f not in before]
    assert found, f"{kind} not found"
    assert said in found[0].sentence
    assert found[0].dataset == "cifar10" and found[0].arch == "net3"
    assert set(found[0].rows) & {index + 2 for index in cell} or kind == "baseline_speed"


def test_planted_wrong_average():
    frame = clean(0).assign(n=1)
    cell = at(frame, **CELL)
    mean = frame.loc[cell, "value"].mean()
    average = frame.loc[cell[0]].to_dict() | {"attempt": "", "n": 3, "train_seconds": None, "test_seconds": None}
    for value, expected in ((round(mean, 2), []), (round(mean + 0.5, 2), ["average"])):
        rows = pd.concat([frame, pd.DataFrame([average | {"value": value}])], ignore_index=True)
        found = [f for f in audit(rows) if f.kind == "average"]
        assert [f.kind for f in found] == expected
    assert "does not follow from its 3 attempts" in found[0].sentence


@pytest.mark.parametrize(("shift", "word"), [(5.5, "above"), (-9.0, "below")])
def test_planted_mixed_metric(shift, word):
    frame, claims = clean(0), claims_of(clean(1))
    assert not [f for f in audit(frame, claims) if f.kind == "mixed_metric"]
    block = at(frame, dataset="cifar10", epochs=20)
    frame.loc[block, "value"] = (frame.loc[block, "value"] + shift).round(2)
    found = [f for f in audit(frame, claims) if f.kind == "mixed_metric"]
    assert [(f.dataset, f.epochs) for f in found] == [("cifar10", 20)]
    assert f"20 of 20 cells lie more than 2 points {word} their claims" in found[0].sentence


def test_fewer_digits_and_float32_are_possible():
    frame = clean(0)
    frame.loc[0, "value"] = 93.3
    frame.loc[1, "value"] = float(np.float32(0.9325)) * 100
    assert not [f for f in audit(frame) if f.kind == "impossible"]


@pytest.mark.parametrize(
    ("values", "odd"),
    [((48.33, 62.78, 64.44), False), ((13.85, 20.11, 38.55), False), ((92.1, 92.3, 10.0), True), ((92.1, 10.0), False)],
)
def test_two_camps_without_siblings(values, odd):
    frame = clean(0).iloc[: len(values)].assign(value=values)
    assert any(f.kind == "bimodal" for f in audit(frame)) == odd


def test_the_published_reproduction():
    """The audit of the printed tables finds what a reader of the appendix would want to know."""
    found = audit(load_claims(ROOT / "claims/obadage2024").frame, load_claims(ROOT / "claims/ye2020"))
    blocks = {(f.dataset, f.epochs) for f in found if f.kind == "mixed_metric"}
    assert blocks == {("cifar100", 1), ("cifar100", 20), ("cifar10", 100), ("cifar100", 100)}
    fast = {(f.dataset, f.arch, f.epochs) for f in found if f.kind == "baseline_speed"}
    assert fast == {("cifar10", "efficientnet_b0", 20), ("cifar10", "efficientnet_b0", 100)}
    scale = [f for f in found if f.kind == "seconds_scale"]
    assert len(scale) == 13
    assert all(str(row).startswith(("table8.csv:", "table9.csv:")) for f in scale for row in f.rows)
    assert not audit(load_claims(ROOT / "claims/ye2020").frame)


def test_a_file_of_somebody_else(tmp_path):
    frame = clean(3)
    plant_impossible(frame, at(frame, **CELL))
    path = tmp_path / "runs.csv"
    frame.drop(columns=["source", "unit", "epochs_completed", "metric", "split"]).to_csv(path, index=False)
    (finding,) = audit(load_runs_csv(path))
    assert path.read_text().splitlines()[finding.rows[0] - 1].split(",")[5] == "90.556"
    json.dumps(finding.__dict__)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataset,arch,norm,epochs\n", "column 'value' is missing"),
        ("dataset,arch,norm,epochs,value,epoch\n", "unknown column 'epoch': did you mean 'epochs'?"),
        ("dataset,arch,norm,epochs,value\na,b,c,1,x\n", ":2: value: 'x' is not a number"),
        ("dataset,arch,norm,epochs,value\na,b,c,0,1\n", ":2: epochs: '0'"),
        ("dataset,arch,norm,epochs,value\na,b,c,1\n", ":2: 4 fields where the header has 5"),
    ],
)
def test_unreadable_tables(tmp_path, text, said):
    path = tmp_path / "runs.csv"
    path.write_text(text)
    with pytest.raises(RenormError) as error:
        load_runs_csv(path)
    assert said in str(error.value)


def test_an_empty_table():
    assert audit(pd.DataFrame(columns=["dataset", "arch", "norm", "epochs", "value"])) == []


def test_own_runs_are_audited_before_judging(study):
    study.against("ye2020", "obadage2024")
    for seed in (1, 2, 3):
        study.cell("cifar10", "vgg16", "deconv", 20, seed, 0.93 + seed / 1000, seconds=100.0 + seed)
    study.runs[0]["value"] = 0.93057
    tables = judge(study.write())
    own = one(tables["audit"], source="mine")
    assert (own["kind"], own["rows"]) == ("impossible", "2")
    assert {r["source"] for r in tables["audit"]} == {"mine", "obadage2024"}
    assert pick(tables["audit"], source="obadage2024")[0]["rows"].startswith("table")
    assert one(tables["summary"], section="audit", source="mine")["text"] == "this study: audit: 1 impossible"
