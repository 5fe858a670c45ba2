"""Equivalence verdicts, method against baseline, and convergence, on studies whose answer is known."""

import numpy as np
import pytest
from studies import judge, one, pick, printed_averages

from renorm.study.claims import load_claims

CLAIMED = 0.9007  # the original's first architecture, baseline, 20 epochs on the smaller data set
CELL = ("cifar10", "vgg16", "batch_norm", 20)
SIBLINGS = ("resnet18", "senet18", "densenet121", "dpn92")


def fill(study, offsets, siblings=SIBLINGS, sd=0.001):
    """Runs of the cell under test at the claim plus `offsets`, and calm siblings that give the pooled SD."""
    study.against()
    for seed, offset in enumerate(offsets, 1):
        study.cell(*CELL, seed, None if offset is None else round(CLAIMED + offset, 4))
    for arch in siblings:
        for seed, deviation in ((1, -sd), (2, 0), (3, sd)):
            study.cell("cifar10", arch, "batch_norm", 20, seed, round(0.93 + deviation, 4))
    return study


def own_claims(folder, split_and_selection):
    """A claims folder of one's own, with the one claim."""
    folder = folder / "claimed"
    folder.mkdir(exist_ok=True)
    (folder / "source.yaml").write_text("{name: claimed, label: Claimed, title: Claimed, kind: original}")
    header = "source,table,page,dataset,arch,norm,recipe,epochs,attempt,metric,split,selection,value,unit,n"
    row = f"claimed,1,1,cifar10,vgg16,batch_norm,paper,20,,top1,{split_and_selection},{CLAIMED},fraction,1"
    (folder / "table.csv").write_text(f"{header}\n{row}\n")
    return folder


def rung(study):
    return one(judge(study.write())["equivalence"], source="mine", arch="vgg16")


def test_reproduced(study):
    row = rung(fill(study, (-0.001, 0.0, 0.001)))
    # Two degrees of freedom of its own, and one of its siblings'.
    assert (row["verdict"], row["spread"], row["spread_df"]) == ("reproduced", "moderated", 3)
    assert row["spread_sd"] == pytest.approx(0.0012, abs=1e-4)
    assert row["equivalence_p"] < 0.05
    assert "within ±1 point (1 point)" in row["reason"]
    assert row["seeds_needed"] is None
    assert row["error_change"] == pytest.approx(0, abs=1e-9)


def test_not_reproduced_below_and_above(study):
    row = rung(fill(study, (-0.041, -0.04, -0.039)))
    assert (row["verdict"], row["one_sided"], row["inside_prediction"]) == ("not reproduced", "within", False)
    assert row["error_change"] == pytest.approx(0.04 / (1 - CLAIMED))


def test_far_too_high_is_not_better_but_flagged(study):
    study = fill(study, (0.089, 0.09, 0.091))
    tables = judge(study.write())
    row = one(tables["equivalence"], source="mine", arch="vgg16")
    assert row["verdict"] == "not reproduced"
    assert row["flags"] == "above_claim;near_perfect"
    green = one(tables["threshold_rule"], source="mine", arch="vgg16")
    assert (green["colour"], green["flags"]) == ("green", "above_claim;near_perfect")


def test_inconclusive_says_how_many_more_seeds(study):
    row = rung(fill(study, (0.003, 0.013), siblings=()))
    assert (row["verdict"], row["spread"]) == ("inconclusive", "own")
    assert row["seeds_needed"] > 3
    assert "reaches over ±1 point" in row["reason"] and 0.3 < row["settle_probability"] < 1


def test_the_promised_seeds_do_settle_it(study):
    offsets = [0.001, 0.011, 0.006]
    row = rung(fill(study, offsets, siblings=()))
    assert row["verdict"] == "inconclusive"
    # The same mean and SD with as many runs as were asked for.
    n = 3 + row["seeds_needed"]
    spread = np.linspace(-1, 1, n)
    more = 0.006 + spread * 0.005 / spread.std(ddof=1)
    study.cells.clear()
    study.runs.clear()
    for seed, offset in enumerate(more, 1):
        study.cell(*CELL, seed, CLAIMED + offset)
    assert rung(study)["verdict"] == "reproduced"


def test_missing_and_diverged(study):
    row = rung(fill(study, (None, None)))
    assert (row["verdict"], row["reason"]) == ("missing", "2 missing of 2 runs")
    study.cells.clear()
    study.runs.clear()
    for seed in (1, 2, 3):
        study.cell(*CELL, seed, status="diverged")
    row = rung(study)
    assert (row["verdict"], row["reason"]) == ("not reproduced", "diverged: all 3 runs did")


def test_a_diverged_run_is_not_averaged_away(study):
    study = fill(study, (-0.001, 0.0, 0.001))
    study.cell(*CELL, 4, status="diverged")
    row = rung(study)
    assert row["verdict"] == "inconclusive" and "1 diverged of 4 runs" in row["reason"]
    assert row["seeds_needed"] is None


def test_one_run_alone_says_nothing_and_with_siblings_something(study):
    assert rung(fill(study, (0.0,), siblings=()))["verdict"] == "inconclusive"
    study.cells.clear()
    study.runs.clear()
    assert rung(fill(study, (0.0,)))["verdict"] == "reproduced"


def test_a_wide_cell_keeps_its_own_spread(study):
    row = rung(fill(study, (-0.05, 0.0, 0.05)))
    assert (row["spread"], row["verdict"]) == ("own", "inconclusive")


def test_an_unstable_sibling_leaves_the_others_alone(study):
    fill(study, (-0.001, 0.0, 0.001))
    for seed, test in ((1, 0.7), (2, 0.72), (3, 0.3)):
        study.cell("cifar10", "pnasnet_a", "batch_norm", 20, seed, test)
    row = rung(study)
    assert (row["verdict"], row["spread"]) == ("reproduced", "moderated")
    assert row["spread_sd"] < 0.003  # the unstable cell counts as one of six
    unstable = one(judge(study.write())["equivalence"], source="mine", arch="pnasnet_a")
    assert (unstable["spread"], unstable["verdict"]) == ("own", "inconclusive")


def test_equal_runs_decide_nothing(study):
    row = rung(fill(study, (-0.02, -0.02), siblings=()))
    assert (row["verdict"], row["reason"]) == (
        "inconclusive", "its 2 runs are equal: they say nothing about the spread")  # fmt: skip


def test_a_claim_of_another_epoch_is_flagged(study, tmp_path):
    fill(study, (-0.001, 0.0, 0.001))
    study.json["claims"]["original"] = str(own_claims(tmp_path, "test,final"))
    assert rung(study)["flags"] == ""
    study.json["claims"]["original"] = str(own_claims(tmp_path, "test,best"))
    assert rung(study)["flags"] == "selection_differs"


def test_short_trainings_have_a_wider_margin(study):
    study.against()
    for seed, test in ((1, 0.74), (2, 0.742), (3, 0.744)):
        study.cell("cifar10", "vgg16", "deconv", 1, seed, test)
    row = one(judge(study.write())["equivalence"], source="mine")
    assert row["margin"] == pytest.approx(0.03)  # the smaller of 10 % of 74.18 and 3 points
    assert "(3 points or 10 % of the claim, whichever is smaller)" in row["reason"]


def test_accuracy_must_be_a_number_of_images(study):
    row = rung(fill(study, (-0.00013, 0.0, 0.001), siblings=()))
    assert row["flags"] == ""  # written with four digits
    study.runs[0]["value"] = 0.90061
    assert rung(study)["flags"] == "granularity"


def test_which_split_is_it(study):
    study.against("ye2020", "obadage2024")
    for seed in (1, 2, 3):
        study.cell("cifar10", "vgg16", "batch_norm", 100, seed, 0.936 + seed / 1000, train=0.9985 + seed / 10000)
    tables = judge(study.write())
    theirs = one(
        tables["equivalence"], source="obadage2024", arch="vgg16", norm="batch_norm", epochs=100, dataset="cifar10"
    )
    assert (theirs["value_nearer_split"], theirs["claim_nearer_split"]) == ("train", "test")
    assert theirs["flags"] == "above_claim;near_perfect;nearer_train"


def test_published_averages_have_no_spread(study, tmp_path):
    study.against("ye2020").json["claims"]["reproductions"] = [printed_averages(tmp_path)]
    rows = pick(judge(study.write())["equivalence"], source="obadage2024")
    assert {r["verdict"] for r in rows} == {"inconclusive", "not reproduced"}
    refuted = pick(rows, verdict="not reproduced")
    assert {r["spread"] for r in refuted} == {"floor"} and all(abs(r["change"]) > 0.03 for r in refuted)
    assert "binomial SDs of 10,000 images" in max(refuted, key=lambda r: abs(r["change"]))["reason"]
    assert sum(r["two_sided_relative"] for r in rows) == 72
    assert sum(r["two_sided_absolute"] for r in rows) == 91


def superior(study, gains, sd=0.002, seeds=5):
    rng = np.random.default_rng(0)
    for arch, gain in gains.items():
        for seed in range(seeds):
            base = 0.9 + rng.normal(0, sd)
            study.cell("cifar10", arch, "batch_norm", 20, seed, round(base, 4))
            study.cell("cifar10", arch, "deconv", 20, seed, round(base + gain + rng.normal(0, sd / 4), 4))
    return study


def test_better_worse_undecided(study):
    tables = judge(superior(study, {"vgg16": 0.02, "resnet18": -0.02, "senet18": 0.0001}).write())
    rows = {r["arch"]: r for r in tables["method_vs_baseline"] if r["metric"] == "top1"}
    assert {a: r["outcome"] for a, r in rows.items()} == {
        "vgg16": "better",
        "resnet18": "worse",
        "senet18": "undecided",
    }
    assert {r["test"] for r in rows.values()} == {"paired t"}
    assert rows["vgg16"]["low"] < rows["vgg16"]["difference"] < rows["vgg16"]["high"]
    assert all(r["p_holm"] >= r["p"] for r in rows.values())
    text = one(tables["summary"], section="method_vs_baseline", name="sign_test_p", dataset="")["text"]
    assert text.startswith("this study: ") and "sign test p" in text
    chance = one(tables["summary"], section="method_vs_baseline", name="probability_of_improvement", dataset="")
    assert 0.3 < chance["value"] < 0.7 and chance["of"] == 3


def test_other_seeds_are_not_paired(study):
    for seed in range(3):
        study.cell("cifar10", "vgg16", "batch_norm", 20, seed, 0.9 + seed / 1000)
        study.cell("cifar10", "vgg16", "deconv", 20, seed + 10, 0.93 + seed / 1000)
    row = one(judge(study.write())["method_vs_baseline"], metric="top1")
    assert (row["test"], row["n_pairs"], row["outcome"]) == ("Welch t", 0, "better")


def test_single_runs_are_not_tested(study):
    study.cell("cifar10", "vgg16", "batch_norm", 20, 1, 0.9).cell("cifar10", "vgg16", "deconv", 20, 1, 0.93)
    study.cell("cifar10", "vgg11", "batch_norm", 20, 1).cell("cifar10", "vgg11", "deconv", 20, 1, 0.93)
    rows = {r["arch"]: r for r in judge(study.write())["method_vs_baseline"] if r["metric"] == "top1"}
    assert (rows["vgg16"]["outcome"], rows["vgg16"]["difference"]) == ("undecided", pytest.approx(0.03))
    assert rows["vgg11"]["outcome"] == "missing"


def test_a_method_that_diverges_has_lost(study):
    for seed in (1, 2, 3):
        study.cell("cifar10", "vgg16", "batch_norm", 20, seed, 0.9 + seed / 1000)
        study.cell("cifar10", "vgg16", "deconv", 20, seed, status="diverged")
    tables = judge(study.against("ye2020", "obadage2024").write())
    row = one(tables["comparison"], source="mine", metric="top1")
    assert (row["holds"], row["improvement"]) == (False, None)
    row = one(tables["method_vs_baseline"], metric="top1", source="mine")
    assert (row["outcome"], row["reason"]) == ("worse", "deconv: 3 diverged of 3 runs")
    assert one(tables["summary"], section="comparison", source="mine", name="fails", dataset="")["value"] == 1
    where = {"section": "method_vs_baseline", "source": "mine", "dataset": ""}
    assert one(tables["summary"], name="probability_of_improvement", **where)["value"] == 0
    assert not pick(tables["summary"], name="mean_improvement", **where)  # no run to take a mean of
    assert "0 pairs for, 1 against" in one(tables["summary"], name="sign_test_p", **where)["text"]
    sentence = one(tables["statements"], id="always-better", role="study")
    assert (sentence["outcome"], sentence["found"]) == ("fails", "0 of 1 pairs better")
    time = one(tables["statements"], id="always-slower", role="study")
    assert time["outcome"] == "not testable"  # no run of the method has a time


def test_a_diverged_run_keeps_its_side_from_winning(study):
    for seed in (1, 2, 3):
        study.cell("cifar10", "vgg16", "batch_norm", 20, seed, 0.9 + seed / 10_000)
        study.cell("cifar10", "vgg16", "deconv", 20, seed, 0.93 + seed / 5_000)
    row = one(judge(study.write())["method_vs_baseline"], metric="top1")
    assert row["outcome"] == "better"
    study.cell("cifar10", "vgg16", "deconv", 20, 4, status="diverged")
    tables = judge(study.write())
    row = one(tables["method_vs_baseline"], metric="top1")
    assert row["outcome"] == "undecided" and row["reason"].endswith("; deconv: 1 diverged of 4 runs")
    chance = one(tables["summary"], section="method_vs_baseline", name="probability_of_improvement", dataset="")
    assert chance["value"] == 0.75


def test_single_runs_claim_no_certainty(study):
    for arch in ("vgg16", "vgg11"):
        study.cell("cifar10", arch, "batch_norm", 20, 1, 0.9).cell("cifar10", arch, "deconv", 20, 1, 0.93)
    rows = pick(judge(study.write())["summary"], section="method_vs_baseline", dataset="")
    phrase = {r["name"]: r["text"] for r in rows if "improvement" in r["name"]}
    won = "(2 pairs; no interval: every run of deconv is better than every run of the other side; "
    won += "exact permutation p = 0.5)"
    assert phrase["probability_of_improvement"] == (
        f"this study: top-1: a run of deconv beats one of batch_norm with probability 1.000 {won}"
    )
    assert phrase["mean_improvement"] == f"this study: top-1: mean improvement +3.00 points {won}"
    assert not any(name.endswith(("_low", "_high")) for name in phrase)


def test_a_diverged_run_never_gets_there(study):
    for seed in (1, 2):
        study.cell("cifar10", "vgg16", "batch_norm", 1, seed, 0.5, seconds=10)
    study.cell("cifar10", "vgg16", "deconv", 1, 1, 0.6, seconds=10)
    study.cell("cifar10", "vgg16", "deconv", 1, 2, status="diverged").cell(
        "cifar10", "vgg16", "none", 1, 1, status="diverged")  # fmt: skip
    for cell in study.cells:
        if cell["status"] == "completed":
            row = {k: cell[k] for k in ("dataset", "arch", "norm", "recipe", "epochs", "seed")}
            top1 = 0.5 if cell["norm"] == "batch_norm" else 0.6
            study.histories.append(row | {"epoch": 1, "test_top1": top1, "train_seconds": 10})
    tables = judge(study.write())
    found = {r["norm"]: (r["n_reached"], r["n"]) for r in pick(tables["convergence"], level=1.0)}
    assert found == {"batch_norm": (2, 2), "deconv": (1, 2), "none": (0, 1)}
    assert one(tables["summary"], section="convergence", name="reached", dataset="")["value"] == 0


def test_time_to_the_same_accuracy(study):
    for norm, curve, seconds in (("batch_norm", (0.2, 0.5, 0.7, 0.8), 10), ("deconv", (0.6, 0.85, 0.9, 0.91), 30)):
        study.cell("cifar10", "vgg16", norm, 4, 1, curve[-1])
        for epoch, top1 in enumerate(curve, 1):
            cell = {k: study.cells[-1][k] for k in ("dataset", "arch", "norm", "recipe", "epochs", "seed")}
            study.histories.append(cell | {"epoch": epoch, "test_top1": top1, "train_seconds": seconds})
    tables = judge(study.write())
    found = {(r["norm"], r["level"]): r for r in tables["convergence"]}
    assert (found["batch_norm", 0.5]["epochs_needed"], found["batch_norm", 1.0]["epochs_needed"]) == (2, 4)
    assert (found["deconv", 1.0]["epochs_needed"], found["deconv", 1.0]["seconds_needed"]) == (2, 60)
    assert found["deconv", 1.0]["ratio"] == pytest.approx(60 / 40)
    ratio = one(tables["summary"], section="convergence", name="time_ratio", dataset="")
    assert ratio["value"] == pytest.approx(1.5)


def test_a_faithful_simulated_study_is_mostly_reproduced_and_never_refuted(study):
    """Every claim is one run of the same distribution as ours: at 95 % few claims may fall outside the prediction."""
    claims = load_claims(study.against().json["claims"]["original"]).frame.query(
        "epochs >= 20 and dataset != 'imagenet'"
    )
    rng = np.random.default_rng(11)
    for row in claims.itertuples():
        truth = row.value + rng.normal(0, 0.002)
        for seed in range(3):
            study.cell(row.dataset, row.arch, row.norm, int(row.epochs), seed, round(truth + rng.normal(0, 0.002), 4))
    rows = pick(judge(study.write())["equivalence"], source="mine")
    assert len(rows) == 80
    assert sum(r["verdict"] == "reproduced" for r in rows) >= 76
    assert not any(r["verdict"] == "not reproduced" for r in rows)
    assert 0.88 <= np.mean([r["inside_prediction"] for r in rows]) <= 1
