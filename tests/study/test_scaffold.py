"""`renorm new` writes a study that is valid, and says in one line why it cannot."""

import csv
import os

import pytest
import yaml

from renorm.core.errors import RenormError
from renorm.study import claims, config, grid, scaffold

PROGRAM = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("-b", "--batch-size", type=int)
parser.add_argument("--lr", type=float)
parser.add_argument('--seed', type=int)
parser.add_argument("--epochs", type=int)
parser.add_argument("--model")
parser.add_argument("--arch")
parser.add_argument("--colour")
"""
OTHER = """
# A study with comments.
study: other
claims:
  original: elsewhere/ye2020
  # a comment of the claims

  reproductions: [elsewhere/obadage2024]
adopt: [recorded]
plugins: [nets/mine.py]
recipes:
  base: {batch_size: 32}  # small
experiments:
  digits: {dataset: [digits], arch: [my_net], norm: [batch_norm, deconv], recipe: [base], epochs: [1, 2], seeds: [1, 2]}
"""


def test_the_example_is_a_valid_study_with_its_claims(tmp_path):
    written = scaffold.new(tmp_path / "my_study", None, None)
    names = {str(path.relative_to(tmp_path / "my_study")) for path in written}
    assert names == {".gitignore", "README.md", "Snakefile", "config.yaml", "slurm/config.yaml",
                     "claims/paper/source.yaml", "claims/paper/statements.yaml", "claims/paper/table1.csv"}  # fmt: skip
    study = config.load(tmp_path / "my_study/config.yaml")
    assert study.study == "my_study" and len(grid.cells(study)) == 8
    loaded = claims.load_claims(study.claims_folders[0])
    assert len(loaded.frame) == 4 and set(loaded.frame["norm"]) == {"batch_norm", "group_norm"}


def test_a_study_from_another_keeps_its_comments_and_not_its_claims(tmp_path):
    (tmp_path / "old/nets").mkdir(parents=True)
    (tmp_path / "old/config.yaml").write_text(OTHER)
    (tmp_path / "old/nets/mine.py").write_text(
        "from renorm.models import register_arch\n\n\n@register_arch('Mine')\ndef my_net(c, s, n): ...\n"
    )
    scaffold.new(tmp_path / "newer", tmp_path / "old/config.yaml", None)
    text = (tmp_path / "newer/config.yaml").read_text()
    assert "# A study with comments." in text and "# small" in text and "elsewhere" not in text
    study = config.load(tmp_path / "newer/config.yaml")
    assert study.study == "newer" and study.adopt == [] and len(grid.cells(study)) == 8
    with open(tmp_path / "newer/claims/paper/table1.csv.template", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["norm"], row["epochs"], row["value"]) for row in rows] == [
        ("batch_norm", "1", ""), ("batch_norm", "2", ""), ("deconv", "1", ""), ("deconv", "2", "")
    ]  # fmt: skip
    assert claims.load_claims(study.claims_folders[0]).frame.empty


def test_the_command_of_a_program_has_the_options_that_it_takes(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/main.py").write_text(PROGRAM)
    scaffold.new(tmp_path / "around", None, tmp_path / "code/main.py")
    study = config.load(tmp_path / "around/config.yaml")
    program = study.programs["mine"]
    command = (
        "python main.py --batch-size {batch_size} --lr {optimizer.lr} --seed {seed} --epochs {epochs} --model {arch}"
    )
    assert program.command.strip() == command
    assert os.path.realpath(program.directory) == str(tmp_path / "code")
    assert not (tmp_path / "around/main.py").exists() and study.comparisons == []


def test_an_example_program_is_written_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scaffold.new(tmp_path / "mine", None, tmp_path.__class__("fit.py"))
    study = config.load("mine/config.yaml")
    assert "python fit.py" in study.programs["mine"].command and (tmp_path / "mine/fit.py").exists()


def test_mistakes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "bad.yaml").write_text("study: 3\n")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe")
    for folder, source, program, words in (
        ("full", None, None, "full is there and not empty"),
        ("My Study", None, None, "'My Study' is not a name"),
        ("a", "none.yaml", None, "none.yaml: cannot be read"),
        ("a", "bad.yaml", None, "bad.yaml: study: expected text"),
        ("a", None, "no/train.py", "no/train.py: no such file"),
        ("a", None, "binary.py", "binary.py: cannot be read"),
        ("a", "bad.yaml", "train.py", "give one of them"),
    ):
        with pytest.raises(RenormError) as error:
            scaffold.new(*(tmp_path / folder, *(path and tmp_path.__class__(path) for path in (source, program))))
        assert words in str(error.value)
        assert not (tmp_path / "a").exists()


def test_the_ten_lines_of_the_readme_are_a_study(root):
    text = (root / "README.md").read_text().partition("with ten lines")[2].partition("```yaml\n")[2].partition("```")[0]
    assert len(text.splitlines()) == 10
    study = config.validate(yaml.safe_load(text) | {"study": "mine"})
    assert len(grid.cells(study)) == 6 and study.comparisons[0].method == "adamw"
