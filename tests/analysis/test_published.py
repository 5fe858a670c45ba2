"""The published rules, recounted from the printed tables: what was printed beside what the tables give.

Where the two differ, the number found is the one asserted; the printed one stands beside it as a comment.
"""

import pytest
from studies import judge, one, pick


@pytest.fixture
def summary(published):
    return judge(published)["summary"]


def count(summary, section, name, dataset=""):
    row = one(summary, section=section, source="obadage2024", name=name, dataset=dataset)
    return row["value"], row["of"]


@pytest.mark.parametrize(
    ("name", "dataset", "found", "printed"),
    [
        ("reproduced", "", (105, 134), 116),
        ("better", "", (83, 134), 80),
        ("better", "cifar10", (36, 60), 36),
        ("better", "cifar100", (36, 60), 36),
        ("better", "imagenet", (11, 14), 9),
        ("reproduced", "imagenet", (14, 14), 14),
        ("below", "cifar10", (7, 60), None),
        ("below", "cifar100", (22, 60), None),
    ],
)
def test_sentences_of_the_reproduction(summary, name, dataset, found, printed):
    assert count(summary, "verdicts", name, dataset) == found
    differs = {"": {"reproduced", "better"}, "imagenet": {"better"}}
    if printed is not None:
        assert (found[0] != printed) == (name in differs.get(dataset, set()))


def test_the_printed_parts_do_not_add_up_either():
    assert 36 + 36 + 9 != 80  # "36 out of 60" twice and "9 out of 14", against "80 results are better"


def test_within_ten_points_instead_of_ten_percent(published, study):
    study.json["judge"] = {"threshold_kind": "absolute", "threshold": 0.1}
    assert count(judge(study.write())["summary"], "verdicts", "reproduced") == (118, 134)  # printed: 116


@pytest.mark.parametrize(("dataset", "low", "high"), [("cifar10", "0.00", "0.23"), ("cifar100", "0.00", "0.11")])
def test_consistency_ranges_as_printed(summary, dataset, low, high):
    where = {"section": "consistency", "source": "obadage2024", "dataset": dataset}
    assert f"{one(summary, name='minimum', **where)['value']:.2f}" == low
    assert f"{one(summary, name='maximum', **where)['value']:.2f}" == high
    assert one(summary, name="consistent", **where)["value"] == 60


def test_method_against_baseline(summary):
    assert one(summary, section="comparison", source="ye2020", name="holds", dataset="")["value"] == 66
    holds = {d: count(summary, "comparison", "holds", d) for d in ("cifar10", "cifar100", "imagenet")}
    assert holds == {"cifar10": (27, 30), "cifar100": (27, 30), "imagenet": (4, 6)}  # printed: "always better"


def test_training_time(summary):
    def ratio(name):
        return one(summary, section="timing", source="obadage2024", dataset="", name=name)["value"]

    assert ratio("ratio_minimum") - 1 == pytest.approx(0.0248, abs=1e-4)  # printed: 2 %
    assert ratio("ratio_maximum") - 1 == pytest.approx(8.306, abs=1e-3)  # printed: 358 %
    assert ratio("ratio_maximum_e100") - 1 == pytest.approx(3.582, abs=1e-3)  # which is the maximum at 100 epochs
    assert ratio("slower") == 63


def test_every_claim_is_answered(published):
    tables = judge(published)
    assert len(pick(tables["verdicts"], source="obadage2024")) == 134
    assert not pick(tables["verdicts"], source="mine")
    row = one(tables["verdicts"], arch="vgg11_imagenet", norm="deconv", metric="top1")
    assert (row["verdict"], row["change"], row["reproduced_split"]) == ("within", 0, "unstated")
