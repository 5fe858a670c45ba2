"""`programs:` of a configuration: one clear line for each mistake, and what of a program is part of a cell."""

import copy
import json
import os

import pytest

from renorm.core.errors import RenormError
from renorm.study import config, grid, names, programs

from .. import mutations

PROGRAM = {
    "directory": "theirs",
    "command": "train --arch {arch} --norm {norm} --lr {optimizer.lr} --epochs {epochs} --seed {seed} --out {out}",
    "words": {"norm": {"plain": "--deconv False", "new": "--deconv True --block {norm.block}"}},
    "code": ["train.py", "lib"],
    "results": {"history": {"file": "out/log.csv", "columns": {"epoch": "e", "test.top1": "acc"}, "unit": "percent"}},
    "resume": {"argument": "--resume {checkpoint}", "checkpoint": "out/*.pt"},
}
STUDY = {
    "study": "foreign",
    "programs": {"theirs": PROGRAM},
    "recipes": {"theirs": {"program": "theirs", "optimizer": {"lr": 0.5}}, "ours": {}},
    "experiments": {"one": {"dataset": ["their_data"], "arch": ["their_net"], "norm": ["plain", "new"],
                            "recipe": ["theirs"], "epochs": [3], "seeds": [1, 2]}},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "theirs" / "lib").mkdir(parents=True)
    (tmp_path / "theirs" / "train.py").write_text("print(1)\n")
    (tmp_path / "theirs" / "lib" / "net.py").write_text("x = 1\n")
    return tmp_path


def changed(path: str, value) -> dict:
    """STUDY with `value` at `path` (P: of the program, H: of its history); None takes the key out."""
    study = copy.deepcopy(STUDY)
    place = study
    *parts, last = path.replace("P/", "programs/theirs/").replace("/H/", "/history/").split("/")
    for part in parts:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return study


def complaint(study: dict, folder) -> str:
    with pytest.raises(RenormError) as error:
        config.validate(study, folder=folder)
    return str(error.value)


def test_names_that_renorm_does_not_know_are_a_programs_own(folder):
    study = config.validate(STUDY, folder=folder)
    new = next(cell for cell in grid.cells(study) if cell.norm == "new")
    hyper = grid.hyperparameters(study, new)
    values = hyper["program"]["values"]
    assert values == {"arch": "their_net", "norm": "--deconv True --block 64", "optimizer.lr": "0.5", "epochs": "3",
                      "seed": "1"}  # fmt: skip
    assert hyper["program"]["code"].keys() == {"train.py", "lib"}
    filled = programs.insert(study.programs["theirs"].command, values)
    words = "--arch their_net --norm --deconv True --block 64 --lr 0.5 --epochs 3 --seed 1"
    assert filled == f"train {words} --out {{out}}"


def test_a_cell_depends_on_its_code_its_words_and_the_values_of_its_command_alone(folder):
    def identity(study, norm="new"):
        checked = config.validate(study, folder=folder)
        cell = next(cell for cell in grid.cells(checked) if cell.norm == norm)
        return grid.hyperparameters(checked, cell)

    before = identity(STUDY)
    assert identity(changed("recipes/theirs/batch_size", 7)) == before  # not in the command
    for key, value in (("timeout_minutes", 5), ("exit_codes", [0, 1]), ("resume", None), ("memory_mb", 1)):
        assert identity(changed(f"programs/theirs/{key}", value)) == before
    assert identity(changed("recipes/theirs/optimizer", {"lr": 0.1})) != before
    words = {"plain": "--deconv False", "new": "--deconv yes"}
    assert identity(changed("P/words/norm", words)) != before
    assert identity(changed("P/words/norm", words), "plain") == identity(STUDY, "plain")
    net = folder / "theirs" / "lib" / "net.py"
    net.write_text("x = 1  # a comment\n")
    assert identity(STUDY) == before
    net.write_text("x = 2\n")
    assert identity(STUDY) != before


def test_code_of_another_python_counts_by_its_bytes(folder):
    (folder / "theirs" / "lib" / "old.py").write_text("print 'Python 2'\n")
    assert config.validate(STUDY, folder=folder).programs["theirs"].code_sha256["lib"]


def test_values_are_quoted_and_words_are_not(folder):
    study = changed("recipes/theirs/values", {"title": "a b; rm -rf $HOME", "flag": True})
    study["programs"]["theirs"]["command"] += " --title {title} --flag {flag} ${HOME} {{arch}} '{print $1}'"
    checked = config.validate(study, folder=folder)
    values = grid.hyperparameters(checked, next(iter(grid.cells(checked))))["program"]["values"]
    filled = programs.insert(checked.programs["theirs"].command, values)
    assert filled.endswith("--title 'a b; rm -rf $HOME' --flag True ${HOME} {arch} '{print $1}'")


def test_a_study_that_was_written_elsewhere_is_read_as_the_same(folder, monkeypatch):
    study = changed("P/links", {"data": "theirs/lib", "sets": "{data_dir}"})
    study["programs"]["theirs"]["environment"] = {"python": "theirs/train.py"}
    checked = config.validate(study, folder=folder)
    deep = folder / "results" / "foreign"
    deep.mkdir(parents=True)
    (deep / "config.json").write_text(json.dumps(checked.written_for(deep)))
    again = config.load(deep / "config.json").programs["theirs"]
    assert again == checked.programs["theirs"]
    assert os.path.samefile(again.directory, folder / "theirs")
    assert str(folder) not in (deep / "config.json").read_text()


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("P/directory", "nowhere", "programs.theirs.directory: '{}/nowhere' is not a folder: clone the"),
        ("P/code", ["train.py", "missing.py"], "programs.theirs.code: 'missing.py' is not in {}/theirs"),
        ("P/code", ["../secret"], "must be a path below the program's directory"),
        ("P/code", [], "programs.theirs.code: Value should have at least 1 item"),
        ("P/command", "train {arch} {norm} {epochs} {seed} {optimizer.rl}",
         "programs.theirs.command: unknown placeholder {{optimizer.rl}}: did you mean 'optimizer.lr'?"),
        ("P/words/nrom", {"a": "b"}, "programs.theirs.words.nrom: the command has no placeholder {{nrom}}:"
         " did you mean 'norm'?"),
        ("P/words/norm", {"plain": "", "mew": ""}, "experiments.one: program 'theirs': words.norm: no "
         "word for 'new': did you mean 'mew'?"),
        ("P/words/norm", {"plain": "{norm}", "new": "x"}, "words.norm: contains itself"),
        ("P/results/H/columns", {"epoch": "e", "test.topp1": "acc"},
         "columns.test.topp1: metric: unknown 'topp1': did you mean 'top1'?"),
        ("P/results/H/columns", {"top1": "acc"}, "columns.top1: write epoch or <split>.<metric>"),
        ("P/results/H/columns", {"epoch": "e", "test.seconds": "s"}, "unit: unknown 'percent' of"),
        ("P/results/H/unit", "percents", "unit: unknown 'percents' of top1: did you mean 'percent'?"),
        ("P/results/H/unit", {"loss": "nats"}, "unit.loss: no column has this metric: known: top1"),
        ("P/results/H/file", "out/log.txt", "format: is missing for 'out/log.txt'"),
        ("P/results/H/file", "/abs.csv", "must be a path below the program's directory"),
        ("P/results/H/file", "**x/log.csv", "** stands for folders and is a part of its own"),
        ("P/results/H/pattern", "(?P<e>[)", "pattern: not a regular expression"),
        ("P/results/H/pattern", "(?P<e>.)", "columns.test.top1: the pattern has no group 'acc'"),
        ("P/results", {}, "history: is missing: name the files that the program writes"),
        ("P/resume/argument", "--resume", "argument: expected the placeholder {{checkpoint}}"),
        ("P/environment", {"python": "a", "conda": "b"}, "give one of python, conda and container"),
        ("P/environment", {"container": "x.sif"}, "environment.container: '{}/x.sif' is not there"),
        ("P/links", {"data": "nowhere"}, "programs.theirs.links.data: '{}/nowhere' is not there"),
        ("P/links", {"a/b": "theirs"}, "is not the name of one entry of the working directory"),
        ("P/comand", "x", "programs.theirs.comand: unknown key: did you mean 'command'?"),
        ("recipes/theirs/program", "their", "recipes.theirs.program: unknown program 'their': did you mean"),
        ("recipes/theirs/values", {"dropout": 0.1}, "recipes.theirs.values.dropout: the command of program 'theirs' "
         "has no placeholder {{dropout}}"),
        ("recipes/ours/values", {"dropout": 0.1}, "values: fill in the command of a program"),
        ("experiments/one/recipe", ["theirs", "ours"], "experiments.one.arch: unknown arch 'their_net'"),
        ("experiments/one/dataset", ["a", "b"], "experiments.one: 2 values of dataset, and the command of program "
         "'theirs' has no placeholder {{dataset}}"),
        ("experiments/one/arch", ["No Name"], "experiments.one.arch: 'No Name' is not a name"),
        ("layer_views", {"v": {"kind": "image", "cell": "their_data/their_net/new/theirs/e3/s1"}}, "layer_views.v.c"),
        ("comparisons", [{"name": "c", "baseline": "new", "method": "newest"}],
         "comparisons.0.method: unknown norm 'newest' of comparison 'c'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_line(folder, path, value, line):
    study = changed(path, value) if "/" in path else STUDY | {path: value}
    assert line.format(folder) in complaint(study, folder)


WORDS = (
    "{data_dir}/x", "{by_arch}", "{normalise}", "a/**", "regex", "csv", "percent", "epoch", "test.top1", "none", "sgd",
    "theirs", "train.py", "0123456789abcdef", "plain",
)  # fmt: skip


def test_mutated_programs_are_read_or_refused_in_lines(folder):
    def read(number: int) -> None:
        study = mutations.mutated(STUDY, number, WORDS, ("programs", "recipes", "experiments"))
        checked = config.validate(study, folder=folder)
        for cell in grid.cells(checked):
            grid.hyperparameters(checked, cell)

    assert 0.5 * mutations.COUNT < mutations.refused(read) < mutations.COUNT


PINNED = {"train.py": "0123456789abcdef", "lib": "fedcba9876543210"}


def test_pinned_code_is_known_without_the_program_and_no_other_code_runs(folder):
    there = config.validate(STUDY, folder=folder)
    digests = there.programs["theirs"].digests()
    absent = config.validate(changed("P/code", digests), folder=folder / "elsewhere")
    assert {cell: grid.hyperparameters(absent, cell) for cell in grid.cells(absent)} == {
        cell: grid.hyperparameters(there, cell) for cell in grid.cells(there)
    }
    with pytest.raises(RenormError, match=r"theirs\.directory: '.*' is not a folder: clone the program there"):
        names.check_programs(absent, grid.cells(absent))
    other = config.validate(changed("P/code", PINNED), folder=folder)
    with pytest.raises(RenormError, match=r"theirs\.code\.lib: is [0-9a-f]{16} in .*, and fedcba9876543210 here"):
        names.check_programs(other, grid.cells(other))
    names.check_programs(config.validate(changed("P/code", digests), folder=folder), grid.cells(there))
    assert "code: train.py: 'abc' is not a digest (16 hexadecimal digits)" in complaint(
        changed("P/code", {"train.py": "abc"}), folder
    )


def test_a_program_reports_the_studys_own_metrics(folder):
    study = changed("P/results/H/columns", {"epoch": "e", "test.rmse": "err"})
    study["programs"]["theirs"]["results"]["history"]["unit"] = {"rmse": "K"}
    assert "columns.test.rmse: metric: unknown 'rmse'" in complaint(study, folder)
    study["metrics"] = {"rmse": {"direction": "lower", "unit": "K", "label": "RMSE"}, "other": {"direction": "higher"}}
    study["judge"] = {"metric": "rmse"}
    made = config.validate(study, folder=folder)
    assert [part.name for part in made.programs["theirs"].results.columns] == ["test_rmse"]
    cell = next(iter(grid.cells(made)))
    before = grid.hyperparameters(made, cell)
    assert before["program"]["results"]["history"][0]["defined"] == {"rmse": {"direction": "lower", "unit": "K"}}
    relabelled = copy.deepcopy(study)
    relabelled["metrics"]["rmse"] |= {"label": "error", "digits": 5}
    assert grid.hyperparameters(config.validate(relabelled, folder=folder), cell) == before
    again = config.validate(json.loads(json.dumps(made.written_for(folder))), folder=folder)
    assert grid.hyperparameters(again, cell) == before
