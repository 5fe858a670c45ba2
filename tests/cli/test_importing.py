"""`renorm import`, and a study of imported sources alone: nothing is trained, everything is judged."""

import csv

import pytest
import yaml
from typer.testing import CliRunner

from renorm.cli.options import app
from renorm.core.errors import RenormError
from renorm.judging import judge
from renorm.report.page import render
from renorm.runs.collect import collect
from renorm.study import config
from renorm.study.claims import load_claims

RUNS = "optimizer,seed,val_acc\n" + "".join(
    f"{name},{seed},{value + seed / 1000}\n" for name, value in (("sgd", 0.90), ("adamw", 0.93)) for seed in (1, 2, 3)
)
MAP = {
    "source": {"label": "My runs", "title": "SGD and AdamW", "kind": "reproduction"},
    "fields": {"recipe": "paper", "dataset": "cifar10", "arch": "my_net", "epochs": 20,
               "norm": {"column": "optimizer"}, "attempt": {"column": "seed"}},
    "values": [{"column": "val_acc", "metric": "top1", "split": "test", "unit": "fraction"}],
}  # fmt: skip
PAPER = "norm,top1\nsgd,90.1\nadamw,92.8 %\n"


def run(*arguments: str) -> str:
    import renorm.cli.app  # noqa: F401 - adds the commands

    done = CliRunner().invoke(app, list(arguments), catch_exceptions=True)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(RUNS)
    (tmp_path / "map.yaml").write_text(yaml.safe_dump(MAP))
    (tmp_path / "paper.csv").write_text(PAPER)
    paper = {**MAP, "source": {"label": "The paper", "title": "AdamW", "kind": "original"},
             "fields": {**MAP["fields"], "norm": {"column": "norm"}, "n": 3},
             "values": [{"column": "top1", "metric": "top1", "split": "test", "unit": "percent"}]}  # fmt: skip
    del paper["fields"]["attempt"]
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(paper))
    return tmp_path


def test_imported_sources_alone_are_a_study(folder):
    assert run("import", "runs.csv", "--as", "claims/mine") == "6 values: claims/mine/runs.csv\n"
    assert run("import", "paper.csv", "--as", "claims/paper", "--map", "paper.yaml").startswith("2 values")
    (folder / "study.yaml").write_text(yaml.safe_dump({
        "study": "ours", "claims": {"original": "claims/paper", "reproductions": "claims/mine"},
        "comparisons": [{"name": "optimisers", "baseline": "sgd", "method": "adamw"}],
    }))  # fmt: skip
    study = config.load(folder / "study.yaml")
    collect(study)
    judge(study.folder)
    answers = {row["question"]: row for row in csv.DictReader((study.folder / "answers.csv").open())}
    assert answers["holds"]["verdict"] == "holds" and answers["sure"]["verdict"] == "holds"
    assert "adamw is more accurate than sgd" in answers["holds"]["text"]
    assert answers["complete"]["text"] == "the study trains nothing; 2 of 2 claimed values have one in My runs"
    judged = {row["norm"]: row for row in csv.DictReader((study.folder / "equivalence.csv").open())}
    assert float(judged["adamw"]["value"]) == pytest.approx(0.932) and judged["sgd"]["verdict"] == "reproduced"
    page = render(study.folder).read_text()
    assert "My runs" in page and "0 of 1 planned" not in page


def test_a_study_needs_experiments_or_claims(folder):
    (folder / "study.yaml").write_text("study: nothing\n")
    with pytest.raises(RenormError, match="experiments: is missing: name at least one, or claims"):
        config.load(folder / "study.yaml")


def test_what_is_not_explained_is_refused_line_by_line_or_listed(folder):
    (folder / "runs.csv").write_text(RUNS.replace("seed,val_acc", "seed,val_acc,lr").replace("\n", ",1\n").replace(
        "val_acc,lr,1", "val_acc,lr"))  # fmt: skip
    with pytest.raises(RenormError) as caught:
        run("import", "runs.csv", "--as", "claims/mine")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("runs.csv: column 'lr': is not in the map: 6 cells")
    assert lines[-1] == "map.yaml: 1 line above to be explained: complete the map, or import the rest with --partial"
    assert not (folder / "claims").exists()
    output = run("import", "runs.csv", "--as", "claims/mine", "--partial")
    assert output.startswith("not imported: runs.csv: column 'lr'") and output.endswith(
        "6 values: claims/mine/runs.csv\n"
    )


def test_a_first_map_is_written_once(folder):
    output = run("import", "runs.csv", "--as", "claims/mine", "--map", "first.yaml", "--map-from-header")
    assert output.startswith("first.yaml: complete it, then: renorm import runs.csv --as claims/mine")
    first = yaml.safe_load((folder / "first.yaml").read_text())
    assert first["values"] == [{"column": "val_acc", "metric": "top1", "split": "validation", "unit": "fraction"}]
    with pytest.raises(RenormError, match=r"first\.yaml: .*: '\?' is to be replaced"):
        run("import", "runs.csv", "--as", "claims/mine", "--map", "first.yaml")
    with pytest.raises(RenormError, match=r"first\.yaml: is there: name another file"):
        run("import", "runs.csv", "--as", "claims/mine", "--map", "first.yaml", "--map-from-header")


def test_values_of_a_studys_own_metric(folder):
    (folder / "study.yaml").write_text(yaml.safe_dump({
        "study": "s", "claims": {"original": "claims/paper"},
        "metrics": {"f1": {"direction": "higher", "kind": "share"}, "rmse": {"direction": "lower"}},
    }))  # fmt: skip
    (folder / "runs.csv").write_text("optimizer,seed,f1,rmse\nsgd,1,81.5,0.7\n")
    own = {**MAP, "values": [{"column": "f1", "metric": "f1", "split": "test", "unit": "percent"},
                             {"column": "rmse", "metric": "rmse", "split": "test"}]}  # fmt: skip
    (folder / "map.yaml").write_text(yaml.safe_dump(own))
    with pytest.raises(RenormError, match=r"metric: unknown 'f1': .*name the study that has it with --config"):
        run("import", "runs.csv", "--as", "claims/mine")
    assert run("import", "runs.csv", "--as", "claims/mine", "--config", "study.yaml").startswith("2 values")
    study = config.load(folder / "study.yaml")
    frame = load_claims(folder / "claims/mine", study.registry).frame
    assert dict(zip(frame["metric"], frame["value"], strict=True)) == {"f1": 0.815, "rmse": 0.7}
    options = ("--map", "first.yaml", "--config", "study.yaml")
    said = run("import", "runs.csv", "--as", "claims/mine", *options, "--map-from-header")
    assert said.strip().endswith(f"renorm import runs.csv --as claims/mine {' '.join(options)}")
    first = yaml.safe_load((folder / "first.yaml").read_text())
    assert [entry["metric"] for entry in first["values"]] == ["f1", "rmse"]
