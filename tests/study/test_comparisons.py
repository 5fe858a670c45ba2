"""`comparisons:` of the configuration: what they may name, and what is refused in one line."""

import pytest

from renorm.core.errors import RenormError
from renorm.study import config

STUDY = {
    "study": "compared",
    "recipes": {"paper": {}, "adam": {"optimizer": {"name": "adam"}}, "bs": {"axes": {"batch_size": [128, 32]}}},
    "experiments": {"e": {
        "dataset": ["digits"], "arch": ["tiny_vgg", "tiny_resnet"], "norm": ["batch_norm", "deconv"],
        "recipe": ["paper", "adam", "bs"], "epochs": [1], "seeds": [1],
    }},
}  # fmt: skip
GOOD = [
    {"name": "norms", "baseline": "batch_norm", "method": "deconv"},
    {"name": "optimisers", "axis": "recipe", "baseline": "adam", "method": "paper", "where": {"norm": "deconv"}},
    {"name": "networks", "axis": "arch", "baseline": "tiny_vgg", "method": "tiny_resnet", "where": {"epochs": [1, 2]}},
    {"name": "sizes", "axis": "batch_size", "baseline": 128, "method": 32, "where": {"recipe": "bs"}},
]


def test_every_axis_may_be_compared():
    found = config.validate(STUDY | {"comparisons": GOOD}).comparisons
    assert [(one.axis, one.baseline, one.method) for one in found] == [
        ("norm", "batch_norm", "deconv"), ("recipe", "adam", "paper"), ("arch", "tiny_vgg", "tiny_resnet"),
        ("batch_size", "128", "32"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"method": "decon"}, "comparisons.0.method: unknown norm 'decon' of comparison 'c': did you mean 'deconv'?"),
        ({"baseline": "batchnorm"}, "comparisons.0.baseline: unknown norm 'batchnorm' of comparison 'c': did you mean"),
        ({"axis": "recipes"}, "comparisons.0.axis: unknown axis 'recipes' of comparison 'c': did you mean 'recipe'?"),
        ({"axis": "recipe", "method": "pape"}, "comparisons.0.method: unknown recipe 'pape'"),
        ({"axis": "arch", "baseline": "tiny_vg"}, "comparisons.0.baseline: unknown arch 'tiny_vg'"),
        ({"axis": "batch_size", "baseline": 128, "method": 64}, "comparisons.0.method: unknown batch_size '64'"),
        ({"baseline": "deconv"}, "comparisons.0.method: 'deconv' is the baseline of comparison 'c' too"),
        ({"where": {"norm": "deconv"}}, "comparisons.0.where.norm: is what comparison 'c' varies: leave it out"),
        ({"where": {"archs": "tiny_vgg"}}, "comparisons.0.where: unknown axis 'archs': did you mean 'arch'?"),
        ({"where": {"arch": ["tiny_vggg"]}}, "comparisons.0.where.arch: unknown arch 'tiny_vggg': did you mean"),
        ({"methods": 1}, "comparisons.0.methods: unknown key: did you mean 'method'?"),
    ],
)
def test_a_comparison_of_nothing_is_one_clear_line(change, line):
    one = {"name": "c", "baseline": "batch_norm", "method": "deconv"} | change
    with pytest.raises(RenormError) as error:
        config.validate(STUDY | {"comparisons": [one]})
    assert line in str(error.value)


def test_each_has_a_name_of_its_own():
    with pytest.raises(RenormError, match=r"comparisons.1.name: 'norms' is there twice"):
        config.validate(STUDY | {"comparisons": [GOOD[0], GOOD[0]]})


def test_an_experiment_alone_keeps_the_comparisons_of_its_recipes():
    values = STUDY | {"comparisons": GOOD}
    values["experiments"] = STUDY["experiments"] | {"small": STUDY["experiments"]["e"] | {"recipe": ["bs"]}}
    alone = config.validate(values).alone("small")
    assert [one.name for one in alone.comparisons] == ["norms", "networks", "sizes"]
    assert config.validate(alone.model_dump()).comparisons == alone.comparisons
