"""The command line as a person meets it: one line and exit code 2 for a mistake, never a traceback."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
import typer
from typer.testing import CliRunner

from renorm.cli import app as cli
from renorm.core.errors import RenormError
from renorm.study import config

TRAIN = ["train", "--dataset", "digits", "--arch", "tiny_vgg", "--norm", "deconv", "--epochs", "1"]

WHOLE = config.Recipe().resolved("deconv", "tiny_vgg")


def complaint(*arguments: str) -> str:
    """The `RenormError` that the command ends with; `main` prints it and exits with 2."""
    result = CliRunner().invoke(cli.app, list(arguments))
    assert isinstance(result.exception, RenormError), (result.exception, result.output)
    return str(result.exception)


def with_option(option: str, value: str) -> list[str]:
    out = list(TRAIN)
    if option in out:
        out[out.index(option) + 1] = value
        return out
    return [*out, option, value]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--arch", "resnet81", "--arch: unknown arch 'resnet81': did you mean 'resnet18'?"),
        ("--dataset", "cifar", "--dataset: unknown dataset 'cifar': did you mean 'cifar10'?"),
        ("--norm", "batchnorm", "--norm: unknown norm 'batchnorm': did you mean 'batch_norm'?"),
        ("--epochs", "0", "epochs: 0 is not a whole number from 1"),
        ("--seed", "-1", "seed: -1 is not a whole number from 0"),
        ("--recipe", "papr", "--recipe: unknown recipe 'papr': did you mean 'paper'?"),
        ("--set", "optimizer.rl=1", "--set: optimizer.rl: unknown key: known: lr, momentum, name, nesterov"),
        ("--set", "optimizer.lr=-1", "--set: optimizer.lr: Input should be greater than 0 (found -1)"),
        ("--set", "lr", "--set: 'lr' is not key=value"),
        ("--set", "batch_size=[", "--set batch_size: line 1: not readable as YAML"),
        ("--hyper", "{", "--hyper: not a JSON object"),
        ("--hyper", "[]", "--hyper: not a JSON object"),
        ("--hyper", '{"protocol": 1, "batchsize": 1}', "--hyper: batchsize: unknown key"),
        ("--hyper", "{}", "--hyper: protocol: is missing: by hand, use --set"),
        ("--hyper", json.dumps(WHOLE | {"optimizer": {"name": "sgd"}}), "--hyper: optimizer.lr: is missing"),
        ("--hyper", json.dumps(WHOLE | {"norm": {}}), "--hyper: norm.block: is missing"),
        ("--hyper", json.dumps(WHOLE | {"protocol": "1"}), "--hyper: protocol: '1' is not 1"),
        ("--arch", "../../x", "arch: '../../x' is not a name"),
    ],
)
def test_mistakes_of_train(option, value, words):
    assert words in complaint(*with_option(option, value))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["collect", "--config", "none.yaml"], "none.yaml: cannot be read: No such file"),
        (["report"], "report: name the study's folder"),
        (["audit", "none.csv"], "none.csv"),
        (["prepare", "cifar11"], "unknown dataset 'cifar11': did you mean 'cifar10'?"),
        (["judge", "nowhere"], "nowhere"),
        (["figures", "nowhere"], "nowhere"),
        (["report", "nowhere"], "nowhere"),
        (["report", "x", "--out", "page.html"], "report: --out page.html is for --compare: leave it out"),
        (["report", "x", "--only", "one"], "report: --only one is for --partial: leave it out"),
        (["report", "x", "--compare", "a", "b"], "report: a folder and --compare make pages of their own"),
        (["report", "--partial", "c.yaml", "--compare", "a", "b"], "report: --partial and --compare make pages"),
        ([*TRAIN, "--hyper", "{}", "--set", "batch_size=8"], "train: --hyper holds all hyper-parameters"),
        ([*TRAIN, "--hyper", "{}", "--config", "c.yaml"], "train: --hyper holds all hyper-parameters"),
        (["prepare", "cifar10", "here", "--data-dir", "there"], "'here' or, by --data-dir, in 'there': give one"),
        (["inspect", "{}", "--out", "d.json", "--hyper", "{}", "--config", "c.yaml"], "inspect: --hyper comes with"),
    ],
)
def test_mistakes_of_the_other_commands(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = complaint(*arguments)
    assert words in line
    assert "\n" not in line


def test_draw_without_prepared_data_names_the_command(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    words = "results/data/digits: data set digits is not prepared: `renorm prepare digits --out results/data/digits`"
    assert complaint("inspect", "covariance", "--config", str(root / "config/demo.yaml"), "--out", "d.json") == words


def test_the_real_program_prints_one_line_and_exits_with_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "renorm", *with_option("--arch", "resnet81")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr == "renorm: --arch: unknown arch 'resnet81': did you mean 'resnet18'?\n"
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_every_keyword_of_the_original_code_has_its_equivalent(tmp_path, prepared_digits):
    """arch, dataset, batch-size, epochs, lr, wd, norm, block, block-fc, loss, optimizer: all arrive in the record."""
    settings = [
        "batch_size=32", "optimizer.name=adam", "optimizer.lr=0.002", "optimizer.weight_decay=0.01", "norm.block=32",
        "norm.block_fc=128", "loss=mse", "train_images=64", "test_images=50",
    ]  # fmt: skip
    command = [*TRAIN, "--out", str(tmp_path), "--prepared", str(prepared_digits), "--device", "cpu"]
    result = CliRunner().invoke(cli.app, [*command, *(word for s in settings for word in ("--set", s))])
    assert result.exit_code == 0, result.output
    hyper = json.loads((tmp_path / "run.json").read_text())["hyperparameters"]
    assert hyper["optimizer"] == {"name": "adam", "lr": 0.002, "weight_decay": 0.01}
    assert (hyper["batch_size"], hyper["loss"], hyper["train_images"]) == (32, "mse", 64)
    assert (hyper["norm"]["block"], hyper["norm"]["block_fc"]) == (32, 128)
    assert "test top-1" in result.output


def test_recipes_of_a_study_are_found_by_name(tmp_path, prepared_digits, root):
    command = [*TRAIN, "--recipe", "demo", "--config", str(root / "config/demo.yaml"), "--set", "train_images=64",
               "--out", str(tmp_path), "--prepared", str(prepared_digits), "--device", "cpu", "--quiet"]  # fmt: skip
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run.json").read_text())["hyperparameters"]["augment"] == "crop"


AWAY = """
import sys
sys.modules["renorm"] = None
import torch
images, expected = torch.load("expected.pt")
found = torch.export.load("plain.pt2").module()(images)
torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
print("the same")
"""


def test_a_trained_network_leaves_the_repository_as_the_readme_says(tmp_path, monkeypatch, root):
    """README's lines, and then the saved program in a process that has no renorm."""
    monkeypatch.chdir(tmp_path)
    text = (root / "README.md").read_text().replace("\\\n", "")
    words = re.search(r"\$ renorm (train .*--keep-weights.*)", text)[1].split()
    result = CliRunner().invoke(cli.app, [*words, "--device", "cpu", "--set", "train_images=256"])
    assert result.exit_code == 0, result.output
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], names)
    dataset, model = names["dataset"], names["model"].eval()
    pixels = torch.from_numpy(dataset.test.images[:5]).float()
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (dataset.mean, dataset.std))
    images = (pixels / 255 - mean) / std
    with torch.no_grad():
        torch.save((images, model(images)), "expected.pt")
    done = subprocess.run([sys.executable, "-c", AWAY], capture_output=True, text=True)
    assert done.stdout == "the same\n", done.stderr
    kept = [type(module).__name__ for module in names["plain"].modules()]
    assert "Conv2d" in kept and not any("Deconv" in name for name in kept)


def test_audit_finds_what_the_published_tables_hold(root):
    """The published reproduction's CIFAR-100 seconds against its accuracies: findings, exit code 1, JSON on request."""
    command = ["audit", str(root / "claims/obadage2024/table5.csv"), "--claims", str(root / "claims/ye2020"), "--json"]
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 1, result.output
    found = json.loads(result.output)
    assert {item["kind"] for item in found} == {"training_accuracy", "metric_mixup"}
    assert any("above their claims (median +20.2 points)" in item["sentence"] for item in found)


def test_audit_of_a_clean_table_finds_nothing(root):
    table = str(root / "claims/ye2020/table1.csv")
    result = CliRunner().invoke(cli.app, ["audit", table])
    assert (result.exit_code, result.output) == (0, f"{table}: nothing found in 120 rows\n")
    result = CliRunner().invoke(cli.app, ["audit", str(root / "claims/ye2020/table1.csv"), "--json"])
    assert (result.exit_code, result.output) == (0, "[]\n")


def test_audit_prints_sentences_and_what_it_could_not_check(tmp_path, root):
    rows = (root / "claims/ye2020/table1.csv").read_text().replace("vgg16", "vgg_sixteen", 2).splitlines()[:9]
    (tmp_path / "t.csv").write_text("\n".join(rows).replace("batch_norm", "BN") + "\n")
    claims = str(root / "claims/obadage2024")
    result = CliRunner().invoke(cli.app, ["audit", str(tmp_path / "t.csv"), "--claims", claims, "--baseline", "BN"])
    lines = result.output.splitlines()
    assert result.exit_code == 0 and lines[-1].endswith("t.csv: nothing found in 8 rows")
    assert not any("norm" in line for line in lines[:-1])  # BN was translated
    assert lines[0].startswith("not checked: 6 of 8 rows match a claim; no claim is about arch 'vgg_sixteen' [lines")


def test_audit_refuses_a_normaliser_that_the_table_does_not_have(root):
    table = str(root / "claims/ye2020/table1.csv")
    words = f"audit: --method: 'deconvv' is in no row of {table}: did you mean 'deconv'?"
    assert complaint("audit", table, "--method", "deconvv") == words
    assert "audit: --baseline: 'bn' is in no row" in complaint("audit", table, "--baseline", "bn")
    assert CliRunner().invoke(cli.app, ["audit", table, "--method", "batch_norm"]).exit_code == 0


def test_the_schema_is_printed():
    result = CliRunner().invoke(cli.app, ["schema"])
    assert json.loads(result.output)["properties"]["study"]


def test_version_and_help():
    version = CliRunner().invoke(cli.app, ["--version"])
    assert version.exit_code == 0, version.output
    assert re.fullmatch(r"renorm \S+, commit (unknown|[0-9a-f]{40})(, modified)?\n", version.output)
    short, long = (CliRunner().invoke(cli.app, ["train", option]) for option in ("-h", "--help"))
    assert short.exit_code == 0 and short.output == long.output


def commands() -> list[str]:
    return sorted(typer.main.get_command(cli.app).commands)


@pytest.mark.parametrize("command", commands())
def test_no_option_is_cut_on_a_narrow_terminal(command):
    """80 columns: the names of all options are whole."""
    result = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(cli.app, [command, "-h"])
    assert result.exit_code == 0 and max(map(len, result.output.splitlines())) <= 80
    for option in typer.main.get_command(cli.app).commands[command].params:
        for name in (*option.opts, *option.secondary_opts):
            if name.startswith("-"):
                assert re.search(rf"{name}(?![\w-])", result.output), name


def test_every_command_is_in_a_group():
    groups = [c.rich_help_panel for c in typer.main.get_command(cli.app).commands.values()]
    assert set(groups) == {"Every day", "One cell", "Hand on", "Cluster", "Used by the workflow"}


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_help_in_another_encoding(encoding):
    """The frame of the help is outside of these encodings."""
    done = subprocess.run(
        [sys.executable, "-m", "renorm", "train", "--help"], capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"--checkpoint-minutes" in done.stdout
