"""study.json: the configuration's part that tables are judged and printed by, there and back again."""

import json
from pathlib import Path

import pytest

from renorm.core.errors import RenormError
from renorm.study import config, description

STUDY = {
    "study": "mine", "title": "Mine", "recipes": {"bs": {"axes": {"batch_size": [32, 8]}}},
    "experiments": {"e": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm", "deconv"],
                          "recipe": ["bs"], "epochs": [1], "seeds": [1, 2]}},
    "comparisons": [{"name": "nd", "baseline": "batch_norm", "method": "deconv"}],
    "labels": {"norm": {"deconv": "ND"}, "axis": {"batch_size": "batches of"}},
    "judge": {"threshold": 0.2, "margins": [{"points": 1}], "metric": "rmse"},
    "metrics": {"rmse": {"direction": "lower", "unit": "K"}},
}  # fmt: skip


def test_what_is_written_is_read(tmp_path):
    study = config.validate(STUDY)
    study = study.model_copy(update={"claims": config.Claims(original=str(tmp_path / "claims" / "paper"))})
    folder = tmp_path / "results" / "mine"
    description.write(description.of(study, folder), folder)
    found = description.read(folder)
    assert found == description.of(study, folder)
    assert found.judge == study.judge and found.comparisons == study.comparisons
    assert found.claims.original == ["../../claims/paper"]
    assert found.claims_folders(folder) == ([tmp_path / "claims" / "paper"], [])
    assert found.registry["rmse"].unit == "K" and [(one.name, one.cells) for one in found.experiments] == [("e", 8)]
    assert {name: place.axes for name, place in found.recipe_axes.items()} == {
        "bs.batch_size-32": {"batch_size": "32"}, "bs.batch_size-8": {"batch_size": "8"},
    }  # fmt: skip


def test_labels():
    labels = description.of(config.validate(STUDY), Path("results/mine")).labels
    assert labels.of("norm", "deconv") == labels.value("norm", "deconv") == "ND"
    assert labels.of("norm", "none") == "none" and labels.of("split", "test") == "test"
    assert labels.value("batch_size", "8") == "batches of 8"
    assert labels.of("recipe", "bs.batch_size-8") == "bs, batches of 8"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"study": "s", "judge": {"treshold": 1}}', "judge.treshold: unknown key: did you mean 'threshold'?"),
        ('{"study": "s", "judge": {"metric": "top2"}}', "judge.metric: unknown 'top2': did you mean 'top5'?"),
        ('{"study": "s", "metrics": {"top1": {"direction": "higher"}}}', "metrics.top1: 'top1' is another metric's"),
        ("{}", "study: is missing: add it"),
        ("[]", "expected keys and values"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_run(tmp_path, text, line):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(RenormError) as error:
        description.read(tmp_path)
    said = str(error.value)
    assert said.startswith(f"{tmp_path / 'study.json'}: ") and line in said and said.count("renorm collect` again") == 1
    assert "\n" not in said


def test_a_description_of_another_version_is_refused(tmp_path):
    described = description.of(config.validate(STUDY), tmp_path).model_dump(mode="json")
    (tmp_path / "study.json").write_text(json.dumps(described | {"labels": {"norms": {"deconv": "ND"}}}))
    with pytest.raises(RenormError, match=r"labels\.norms: unknown key: did you mean 'norm'\?; run `renorm collect`"):
        description.read(tmp_path)
