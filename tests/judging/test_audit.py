"""The audit's words, notes and sentences, on files as people write them and on the published tables."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from audit_tables import Plant, claims_of, clean
from studies import ROOT, judge, one, pick

from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS, Metric
from renorm.judging import audit, load_runs_csv
from renorm.judging.audit import CHECKS, NOT_CHECKED, TITLES, as_written, places, titled
from renorm.study.claims import load_claims

RECORDED = sorted((ROOT / "resources/recorded").rglob("runs.csv"))


def table(tmp_path: Path, text: str) -> pd.DataFrame:
    path = tmp_path / "runs.csv"
    path.write_text(text)
    return load_runs_csv(path)


def audited(tmp_path: Path, text: str, *claims, **options) -> list[tuple[str, str]]:
    return [(f.kind, f.sentence) for f in audit(table(tmp_path, text), claims, **options)]


def accused(findings) -> set[str]:
    return {f.kind for f in findings if f.kind != NOT_CHECKED}


def test_every_kind_has_a_title():
    assert titled(["grim", "grim", "duplicate_attempt"]) == (
        "2 accuracies that no number of images gives, 1 duplicate attempt"
    )
    source = "".join(path.read_text() for path in (ROOT / "src/renorm/judging/audit").glob("*.py"))
    assert all(f'"{kind}"' in source for kind in TITLES) and len(CHECKS) == 24


# What the field study tried: words, units, spreads, spellings.
HEADER = "dataset,arch,norm,epochs,{}value\n"
RUN = "cifar10,vgg16,batch_norm,20,{}\n"


@pytest.mark.parametrize("word", ["accuracy", "acc@1", "Top1", "top-1", "Top-1 accuracy"])
def test_metrics_by_other_names(tmp_path, word):
    ((kind, sentence),) = audited(tmp_path, HEADER.format("metric,") + RUN.format(f"{word},193.2"))
    assert kind == "out_of_range" and "top-1 193.2 % is impossible: not from 0 to 100" in sentence


@pytest.mark.parametrize("unit", ["%", "percent", "Percent", "pct"])
def test_units_by_other_names(tmp_path, unit):
    assert audited(tmp_path, HEADER.format("unit,") + RUN.format(f"{unit},93.21") + RUN.format(f"{unit},0.93")) == [
        ("mixed_units", "cifar10, vgg16, batch_norm, 20 epochs: 0.93 is among percentages near 93.21: "
         "is it a fraction of 1?")
    ]  # fmt: skip


def test_minutes_are_seconds(tmp_path):
    text = HEADER.format("attempt,metric,split,unit,") + "".join(
        RUN.format(f"{attempt},seconds,train,min,{value}") for attempt, value in ((1, 10), (2, 10.2), (3, 20))
    )
    ((kind, sentence),) = audited(tmp_path, text)
    assert kind == "runtime_outlier" and "attempt 3 took 60 s an epoch, the median of the cell is 30.6 s" in sentence


def test_a_spread_row_is_the_spread_of_its_average(tmp_path):
    rows = ["1,93.21", "2,93.31", "mean,93.26", "std,{}"]
    text = HEADER.format("attempt,") + "".join(RUN.format(row) for row in rows)
    assert audited(tmp_path, text.format(0.07)) == [] == audited(tmp_path, text.format(0.05))
    ((kind, sentence),) = audited(tmp_path, text.format(0.5))
    assert kind == "sd_mismatch" and "the SD 0.5 does not follow from its 2 attempts (0.07071)" in sentence


def test_diverged_runs_are_no_attempts(tmp_path):
    rows = ["1,Diverged,10.0", "2,,93.2", "3,,93.3", "4,nan,10.0"]
    assert audited(tmp_path, HEADER.format("attempt,status,") + "".join(map(RUN.format, rows))) == []


def test_spellings_of_data_sets(tmp_path):
    text = (HEADER.format("") + RUN.format("93.2345")).replace("cifar10", "CIFAR-10")
    assert audited(tmp_path, text) == [
        ("grim", "cifar10, vgg16, batch_norm, 20 epochs: top-1 93.2345 % is impossible: no whole number of 10,000 "
         "test images gives it (nearest: 93.2300 and 93.2400)")
    ]  # fmt: skip
    ((kind, sentence),) = audited(tmp_path, text.replace("CIFAR-10", "cifar_10a"))
    assert kind == NOT_CHECKED
    assert sentence.startswith("number of test images not known for 'cifar_10a': 1 accuracy not checked")


@pytest.mark.parametrize(
    ("column", "word", "said"),
    [
        ("metric", "acurracy", ":2: metric: unknown 'acurracy'"),
        ("unit", "permille", ":2: unit: unknown 'permille' of top1"),
        ("split", "holdout", ":2: split: unknown 'holdout'"),
        ("selection", "mid", ":2: selection: unknown 'mid'"),
        ("status", "divreged", ":2: status: unknown 'divreged': did you mean 'diverged'?"),
        ("attempt", "typical", ":2: attempt: unknown 'typical': give each run a number, or write mean or sd"),
    ],
)
def test_unknown_words_are_refused(tmp_path, column, word, said):
    with pytest.raises(RenormError) as error:
        audited(tmp_path, HEADER.format(f"{column},") + RUN.format(f"{word},93.2"))
    assert said in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataset,arch,norm,epochs\n", "column 'value' is missing"),
        ("dataset,arch,norm,epochs,value,epoch\n", "unknown column 'epoch': did you mean 'epochs'?"),
        ("dataset,arch,norm,epochs,value\na,b,c,1,x\n", ":2: value: 'x' is not a number"),
        ("dataset,arch,norm,epochs,value\na,b,c,0,1\n", ":2: epochs: '0'"),
        ("dataset,arch,norm,epochs,value\na,b,c,1\n", ":2: 4 fields where the header has 5"),
        ("dataset,arch,norm,epochs,value\n", "has a header and no row"),
        ("dataset;arch;norm;epochs;value\na;b;c;1;93,2\n", ":1: columns are separated by ';'"),
        ("dataset\tarch\tnorm\tepochs\tvalue\n", ":1: columns are separated by tabs"),
        ("sep=,\ndataset,arch,norm,epochs,value\n", "'sep='"),
        (",dataset,arch,norm,epochs,value\n0,a,b,c,1,2\n", ":1: column 1 has no name"),
    ],
)
def test_unreadable_tables(tmp_path, text, said):
    with pytest.raises(RenormError) as error:
        table(tmp_path, text)
    assert said in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_table_that_matches_no_claim_says_so(tmp_path):
    text = (ROOT / "claims/obadage2024/table5.csv").read_text()
    papers = load_claims(ROOT / "claims/ye2020")
    assert "training_accuracy" in {kind for kind, _ in audited(tmp_path, text, papers)}
    # The same names in another spelling are the same names.
    spelt = text.replace(",cifar100,", ",CIFAR-100,").replace(",batch_norm,", ",BatchNorm,")
    assert audited(tmp_path, spelt, papers) == audited(tmp_path, text, papers)
    ((kind, sentence),) = audited(tmp_path, text.replace(",batch_norm,", ",BN,").replace(",deconv,", ",ND,"), papers)
    assert (kind, sentence) == (NOT_CHECKED, "0 of 60 rows match a claim; no claim is about norm 'BN', 'ND'")


def test_an_average_of_unknown_runs_and_other_summaries_are_said(tmp_path):
    text = HEADER.format("attempt,") + RUN.format("mean,93.2345") + RUN.format("median,93.1")
    assert [sentence for kind, sentence in audited(tmp_path, text) if kind == NOT_CHECKED] == [
        "1 average without a number of runs: not checked for granularity (column n)",
        "1 row not checked: other summaries than mean and SD",
    ]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_diverged_runs_took_no_time_and_that_is_no_finding(path):
    """The recorded studies have 15 diverged runs of 0 s each for training and testing."""
    assert accused(audit(load_runs_csv(path))) <= {"runtime_outlier", "bimodal"}


def test_attempts_spread_evenly_are_no_clusters():
    for values, odd in (
        (("48.33", "62.78", "64.44"), False), (("13.85", "20.11", "38.55"), False), (("92.1", "92.3", "10.0"), True),
        (("92.1", "10.0"), False),
    ):  # fmt: skip
        frame = clean(0).iloc[: len(values)].assign(value=values)
        assert ("bimodal" in accused(audit(frame))) == odd, values
    plant = Plant(0)
    for row, value in zip(plant.cell, ("71.00", "78.00", "85.00"), strict=True):
        plant.put(row, value)
    assert "bimodal" not in accused(audit(plant.frame))


def test_a_finding_names_its_recipe_where_there_are_several():
    plant = Plant(0)
    plant.put(plant.cell[0], 40)
    frame = plant.frame.assign(recipe="b32")
    assert ", b32" not in one_kind(audit(frame), "bimodal").sentence
    frame.loc[:5, "recipe"] = "b4"
    found = one_kind(audit(frame), "bimodal")
    assert ", b32, " in found.sentence and found.recipe == "b32"


def one_kind(findings, kind):
    (found,) = [f for f in findings if f.kind == kind]
    return found


def test_test_seconds_are_compared_and_one_cold_start_hides_nothing():
    plant = Plant(0)
    keys = {"dataset": "cifar10", "arch": "net3", "epochs": 20}
    slow = plant.at(**keys, norm="batch_norm")
    plant.frame.loc[plant.at(**keys, norm="deconv"), "train_seconds"] = plant.frame.loc[slow, "train_seconds"].values
    assert "baseline_speed" in accused(audit(plant.frame))
    plant.frame.loc[slow[0], "train_seconds"] *= 4
    plant.frame.loc[plant.at(**keys, norm="deconv")[1], "train_seconds"] *= 9
    assert one_kind(audit(plant.frame), "baseline_speed").arch == "net3"


def test_an_average_is_checked_to_the_mean_of_its_roundings(tmp_path):
    """0.963 has lost its zero: the coarsest rounding of the attempts would hide what the others show."""
    rows = ["1,0.963", "2,0.9630", "3,0.9630", "mean,{}"]
    text = HEADER.format("attempt,") + "".join(RUN.format(row) for row in rows)
    assert audited(tmp_path, text.format("0.9632")) == []
    assert audited(tmp_path, text.format("0.9634"))[0][0] == "average_mismatch"


def test_a_slip_is_named(tmp_path):
    rows = ["1,93.21", "2,93.31", "3,93.29", "mean,93.72"]
    ((kind, sentence),) = audited(tmp_path, HEADER.format("attempt,") + "".join(map(RUN.format, rows)))
    assert kind == "average_mismatch"
    assert sentence.endswith("does not follow from its 3 attempts, whose mean is 93.27; transposed digits: 93.27?")


def test_an_exchanged_attempt_is_named(tmp_path):
    rows = [("batch_norm", 1, 90.0), ("batch_norm", 2, 90.2), ("batch_norm", 3, 90.4), ("batch_norm", "mean", 91.4),
            ("deconv", 1, 93.5), ("deconv", 2, 94.0), ("deconv", 3, 94.4)]  # fmt: skip
    text = HEADER.format("attempt,") + "".join(f"cifar10,vgg16,{norm},20,{a},{value}\n" for norm, a, value in rows)
    ((_, sentence),) = audited(tmp_path, text)
    assert sentence.endswith("it is the mean with attempt 3 replaced by attempt 2 of deconv")


def test_fewer_digits_and_float32_are_possible():
    frame = clean(0)
    frame.loc[0, "value"] = "93.3"
    frame.loc[1, "value"] = repr(float(np.float32(0.9325)) * 100)
    assert "grim" not in accused(audit(frame))


def test_a_value_of_training_images_is_recognised(tmp_path):
    text = HEADER.format("attempt,split,") + RUN.format("1,{},99.958")
    ((_, sentence),) = audited(tmp_path, text.format("unstated"))
    assert sentence.endswith("it is possible for 50,000 training images: is it training accuracy?")
    assert "training" not in audited(tmp_path, text.format("test"))[0][1]
    assert audited(tmp_path, text.format("train")) == []


def test_any_metric_is_audited(tmp_path):
    metrics = METRICS.extended(
        Metric("f1", "F1", "fraction", True, 0.0, 1.0), Metric("rmse", "RMSE", "K", False, 0.0, difference="K"),
        Metric("hit", "hit rate", "fraction", True, 0.0, 1.0, True, {"percent": 100.0}, (), 100.0),
    )  # fmt: skip
    text = HEADER.format("attempt,metric,n_images,") + "".join(
        f"own,net,batch_norm,5,{row}\n"
        for row in ("1,rmse,,-0.3", "1,f1,,1.2", "1,hit,30,0.55", "1,loss,,-4", "2,rmse,,0.5", "3,rmse,,0.7",
                    "mean,rmse,,0.8")
    )  # fmt: skip
    kinds = [kind for kind, _ in audited(tmp_path, text, metrics=metrics)]
    assert kinds == ["out_of_range", "out_of_range", "grim", "average_mismatch"]


def test_the_published_reproduction():
    """The audit of the printed tables finds what a reader of the appendix would want to know."""
    claims = load_claims(ROOT / "claims/obadage2024")
    found = audit(as_written(claims.frame), load_claims(ROOT / "claims/ye2020"))
    blocks = {(f.dataset, f.epochs) for f in found if f.kind == "training_accuracy"}
    assert blocks == {("cifar100", 20), ("cifar10", 100), ("cifar100", 100)}
    assert {(f.dataset, f.epochs) for f in found if f.kind == "metric_mixup"} == {("cifar100", 1)}
    ye2020 = load_claims(ROOT / "claims/ye2020")
    assert accused(audit(as_written(ye2020.frame), ye2020)) == set()


def test_the_single_attempts_of_the_reproduction():
    """What they say of its printed tables: a column of other runs' means, exchanged attempts, a wrong digit."""
    claims = load_claims(ROOT / "claims/obadage2024")
    found = audit(as_written(claims.frame), load_claims(ROOT / "claims/ye2020"))
    (column,) = [f for f in found if f.kind == "column_mixup"]
    assert (column.dataset, column.norm, column.epochs) == ("cifar100", "deconv", 20)
    assert column.sentence.endswith(
        "holds the means of cifar100, batch_norm, paper, 100 epochs for 10 of 10 networks"
    ), column.sentence
    assert {row.partition(":")[0] for row in column.rows} == {"table9.csv"}
    averages = [f for f in found if f.kind == "average_mismatch"]
    exchanged = {f.arch for f in averages if "attempt 3 replaced by attempt 2 of deconv" in f.sentence}
    assert exchanged == {"resnet18", "preact_resnet18", "mobilenet_v2", "pnasnet_a", "efficientnet_b0"}
    (digit,) = [f for f in averages if "one wrong digit" in f.sentence]
    assert digit.sentence.endswith("the average 158.08 does not follow from its 3 attempts, whose mean is 153.08; "
                                   "one wrong digit: 153.08?")  # fmt: skip
    # None of the printed seconds of batch norm's 100 epochs follows from the runs either.
    rest = {(f.dataset, f.norm, f.epochs) for f in averages if f not in (digit,) and f.arch not in exchanged}
    assert rest == {("cifar100", "batch_norm", 100)}


@pytest.mark.parametrize("keep", ["epochs > 1", "dataset == 'cifar100' and epochs == 20"])
def test_a_table_without_a_contrasting_block_is_seen_by_its_level(keep):
    ye2020 = load_claims(ROOT / "claims/ye2020")
    frame = ye2020.frame[ye2020.frame.metric == "top1"].query(keep).assign(source="", unit="fraction", split="unstated")
    assert accused(audit(frame.assign(value=(frame.value - 0.01).round(4)), ye2020)) == set()
    high = frame.assign(value=(1 - (1 - frame.value) * 0.3).round(4))
    assert accused(audit(high, ye2020)) == {"training_accuracy"}


def test_a_file_of_somebody_else(tmp_path):
    plant = Plant(3)
    plant.put(plant.cell[0], "90.556")
    path = tmp_path / "runs.csv"
    dropped = ["source", "unit", "epochs_completed", "metric", "split", "parameters"]
    plant.frame.drop(columns=dropped).to_csv(path, index=False)
    (finding,) = audit(load_runs_csv(path))
    assert path.read_text().splitlines()[finding.rows[0] - 1].split(",")[5] == "90.556"
    json.dumps(finding.__dict__)


def test_numbers_need_no_text():
    frame = clean(4)
    assert audit(frame.assign(value=frame.value.astype(float)), claims_of(clean(5))) == audit(frame)
    assert audit(pd.DataFrame(columns=["dataset", "arch", "norm", "epochs", "value"])) == []


def test_a_wrong_unit_in_a_claims_folder_is_found_inside_a_study(study, tmp_path):
    """0.763 with the unit percent is a valid claim of 0.763 %: only the table as written shows it."""
    folder = tmp_path / "mini"
    folder.mkdir()
    paper = load_claims(ROOT / "claims/ye2020")
    (folder / "source.yaml").write_text("name: mini\nlabel: Mini\ntitle: t\nkind: original\n")
    lines = (ROOT / "claims/ye2020/table1.csv").read_text().replace("ye2020,", "mini,").splitlines()
    with open(ROOT / "claims/ye2020/table1.csv", newline="") as file:
        values = [row["value"] for row in csv.DictReader(file)]
    wrong = f"{float(values[2]) / 100:.4f}"
    lines[3] = lines[3].replace(f",{values[2]},", f",{wrong},")
    (folder / "table1.csv").write_text("\n".join(lines) + "\n")
    mini = load_claims(folder)
    found = one_kind(audit(as_written(mini.frame)), "mixed_units")
    assert wrong in found.sentence and found.rows == (4,)
    assert "mixed_units" not in accused(audit(mini.frame))
    assert paper.source.model_copy(update={"name": "mini"}).name == mini.source.name


def test_own_runs_are_audited_before_judging(study):
    study.against("ye2020", "obadage2024")
    for seed in (1, 2, 3):
        study.cell("cifar10", "vgg16", "deconv", 20, seed, 0.93 + seed / 1000, seconds=100.0 + seed)
    study.runs[0]["value"] = 0.93057
    tables = judge(study.write())
    own = one(tables["audit"], source="mine")
    assert (own["kind"], own["rows"]) == ("grim", "2")
    assert {r["source"] for r in tables["audit"]} == {"mine", "obadage2024"}
    assert ".csv:" in pick(tables["audit"], source="obadage2024")[0]["rows"]
    text = one(tables["summary"], section="audit", source="mine")["text"]
    assert text == "this study: audit: 1 accuracy that no number of images gives"


def test_other_networks_and_code_inside_a_cell_of_the_study(study):
    for seed in (1, 2, 3):
        study.cell("cifar10", "vgg16", "deconv", 20, seed, 0.93 + seed / 1000, seconds=100.0 + seed)
    for cell in study.cells:
        cell["parameters"] = 1000 + (cell["seed"] == 2)
    folder = study.write()
    columns = ["dataset", "arch", "norm", "recipe", "epochs", "seed", "code_sha256"]
    rows = [",".join([*(str(cell[c]) for c in columns[:-1]), "ab" * 32 if cell["seed"] > 1 else "cd" * 32])
            for cell in study.cells]  # fmt: skip
    (folder / "provenance.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    found = {r["kind"]: r["sentence"] for r in judge(folder)["audit"] if r["source"] == "mine"}
    assert found["mixed_parameters"].endswith("its runs have 2 different numbers of parameters: 1000, 1001")
    assert found["mixed_code"].endswith("its runs have 2 different versions of the code: abababa, cdcdcdc")


def test_places():
    assert places("7 8 12") == "7–8, 12" and places("") == ""
