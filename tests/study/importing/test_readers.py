"""Files that the real loggers write, and exports in their documented layouts, read by `renorm import`."""

import json
import os
import sys
import zipfile
from pathlib import Path
from random import Random

import pytest
import yaml

from renorm.core.errors import RenormError
from renorm.study import importing

from .test_convert import SOURCE, imported, made

ROOT = Path(__file__).parents[3]
PAPERS = Path(os.environ.get("RENORM_PAPERS", ROOT.parent / "shared" / "papers"))
WORKBOOK = PAPERS / "obadage2024-rep_values.xlsx"
CELL = {"recipe": "paper", "dataset": "cifar10", "arch": "vgg16"}
ACCURACY = {"metric": "top1", "split": "test", "unit": "fraction"}


def test_the_reproductions_workbook_gives_the_attempts_that_are_in_its_claims(tmp_path):
    pytest.importorskip("openpyxl")
    if not WORKBOOK.exists():
        pytest.skip(f"{WORKBOOK.name} is not in RENORM_PAPERS: it is public, and not ours to copy")
    chosen = yaml.safe_load((ROOT / "examples" / "import_workbook.yaml").read_text())
    rows = imported(WORKBOOK, chosen, tmp_path / "obadage2024")
    written = (tmp_path / "obadage2024" / "rep_values_t1.csv").read_text().splitlines()
    assert sorted(written) == sorted((ROOT / "claims" / "obadage2024" / "attempts.csv").read_text().splitlines())
    assert len(rows) == 1080


@pytest.fixture
def workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Table 1"
    for row in (["network", "CIFAR-10", None], [None, "BN", "ND"], ["VGG-16", 0.1412, "74.18%"], ["ours", "=1/2", 0.5]):
        sheet.append(row)
    sheet.merge_cells("B1:C1")
    path = tmp_path / "results.xlsx"
    book.save(path)
    return path


WIDE = {
    "source": SOURCE, "read": {"header": [1, 2]},
    "fields": {"recipe": "paper", "epochs": 1, "arch": {"column": "network"}},
    "words": {"arch": {"VGG-16": "vgg16", "ours": "ours"}, "dataset": {"CIFAR-10": "cifar10"},
              "norm": {"BN": "batch_norm", "ND": "deconv"}},
    "values": [{"header": r"(?P<dataset>CIFAR-10) \| (?P<norm>..)", "metric": "top1"}],
}  # fmt: skip


def test_merged_headers_are_of_every_column_and_a_formula_without_a_value_is_listed(workbook):
    wide = {**WIDE, "values": [{**WIDE["values"][0], "unit": "fraction"}]}
    chosen = made(wide)
    found = importing.convert(importing.read_grids(workbook, chosen.read), chosen)
    (rows,) = found.tables.values()
    assert [(row.fields["norm"], row.fields["value"], row.place) for row in rows] == [
        ("batch_norm", "0.1412", "Table 1!B3"), ("deconv", "0.5", "Table 1!C4"),
    ]  # fmt: skip
    assert len(found.left) == 2
    assert "unit: fraction, and the cell has a percent sign" in found.left[0] and "Table 1!C3" in found.left[0]
    assert "'=1/2' is not a number" in found.left[1] and "Table 1!B4" in found.left[1]


@pytest.mark.filterwarnings("ignore")
def test_damaged_workbooks_are_read_or_refused_in_a_line(workbook):
    whole = workbook.read_bytes()
    with zipfile.ZipFile(workbook) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    refused = 0
    for number in range(80):
        random = Random(number)
        if number % 2:  # bytes of the file
            damaged = bytearray(whole)
            for _ in range(random.randint(1, 5)):
                damaged[random.randrange(len(damaged))] = random.randrange(256)
            workbook.write_bytes(damaged)
        else:  # a part of it is cut off, changed or gone
            name = random.choice(list(parts))
            part = bytearray(parts[name])[: random.choice([0, random.randrange(len(parts[name])), None])]
            part[random.randrange(len(part) + 1) :][:1] = random.choice([b"<", b"a", b""])
            with zipfile.ZipFile(workbook, "w") as book:
                for other, text in parts.items():
                    book.writestr(other, bytes(part) if other == name else text)
        try:
            importing.read_grids(workbook, importing.Read())
        except RenormError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 20 < refused < 80


def test_a_sheet_that_is_not_there_is_a_line(workbook):
    with pytest.raises(RenormError, match=r"read\.sheets: no sheet 'Table 2': did you mean 'Table 1'\?"):
        importing.read_grids(workbook, importing.Read(sheets=["Table 2"]))


@pytest.mark.parametrize(("module", "name"), [("openpyxl", "a.xlsx"), ("tensorboard", "events.out.tfevents.1")])
def test_a_reader_that_is_not_installed_is_a_line(tmp_path, monkeypatch, module, name):
    for known in [key for key in sys.modules if key.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(RenormError, match=rf"read by {module}: pip install 'renorm\[import\]'"):
        importing.read_grids(tmp_path / name, importing.Read())


def test_tensorboards_event_files_give_the_last_step_of_each_run(tmp_path):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    for norm, best in (("batch_norm", 0.91), ("deconv", 0.93)):
        with SummaryWriter(str(tmp_path / "logs" / f"{norm}_s3")) as writer:
            for epoch in range(1, 4):
                writer.add_scalar("test/acc", best - 0.1 / epoch, epoch)
                writer.add_scalar("train/loss", 1 / epoch, epoch)
    rows = imported(tmp_path / "logs", {
        "source": SOURCE, "read": {"path": r"^(?P<method>\w+)_s(?P<seed>\d+)$"},
        "fields": {**CELL, "norm": {"column": "method"}, "attempt": {"column": "seed"}, "epochs": {"column": "step"}},
        "values": [{"column": "test/acc", **ACCURACY}, {"column": "train/loss", "metric": "loss", "split": "train"}],
    }, tmp_path / "mine")  # fmt: skip
    assert [(row["norm"], row["metric"], row["value"]) for row in rows] == [
        ("batch_norm", "top1", "0.87666667"), ("batch_norm", "loss", "0.33333334"),
        ("deconv", "top1", "0.89666665"), ("deconv", "loss", "0.33333334"),
    ]  # fmt: skip
    assert {(row["attempt"], row["epochs"], row["selection"]) for row in rows} == {("3", "3", "final")}
    assert rows[0]["note"] == "batch_norm_s3: step 3: test/acc"


def test_an_event_file_that_is_cut_off_is_listed(tmp_path):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for epoch in (1, 2):
            writer.add_scalar("acc", epoch / 4, epoch)
    (path,) = tmp_path.glob("events*")
    chosen = made({"source": SOURCE, "values": [{"column": "acc", **ACCURACY}],
                   "fields": {**CELL, "norm": "deconv", "epochs": {"column": "step"}}})  # fmt: skip
    assert not importing.convert(importing.read_grids(path, chosen.read), chosen, True).left
    path.write_bytes(path.read_bytes()[:-5])
    found = importing.convert(importing.read_grids(path, chosen.read), chosen, True)
    ((row,),) = found.tables.values()
    assert (row.fields["epochs"], row.fields["value"]) == ("1", "0.25")
    assert len(found.left) == 1 and "is cut off, or damaged, from byte" in found.left[0]


def test_a_damaged_event_file_is_a_line(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "events.out.tfevents.1").write_bytes(b"\x12\0\0\0 no event file")
    with pytest.raises(RenormError, match="have no scalar|not readable as an event file"):
        importing.read_grids(tmp_path / "events.out.tfevents.1", importing.Read())


def test_the_table_of_a_weights_and_biases_project(tmp_path):
    """As exported from the table of runs: a column per key of config and summary."""
    path = tmp_path / "wandb_export.csv"
    path.write_text(
        '"Name","State","Runtime","norm","seed","epochs","test_acc","_step"\n'
        '"quiet-sun-1","finished","120","batch_norm","1","20","0.91","19"\n'
        '"calm-sea-2","finished","130","deconv","1","20","0.93","19"\n'
    )
    rows = imported(path, {
        "source": SOURCE, "ignore": ["Name", "State", "_step"],
        "fields": {**CELL, **{key: {"column": name} for key, name in
                              (("norm", "norm"), ("attempt", "seed"), ("epochs", "epochs"))}},
        "values": [{"column": "test_acc", **ACCURACY}, {"column": "Runtime", "metric": "seconds", "split": "train"}],
    }, tmp_path / "mine")  # fmt: skip
    assert [(row["norm"], row["metric"], row["value"]) for row in rows] == [
        ("batch_norm", "seconds", "120"), ("batch_norm", "top1", "0.91"),
        ("deconv", "seconds", "130"), ("deconv", "top1", "0.93"),
    ]  # fmt: skip


WANDB = {
    "source": SOURCE, "ignore": ["name", "summary._*", "config.lr"],
    "fields": {**CELL, "norm": {"column": "config.model.norm"}, "attempt": {"column": "config.seed"}, "epochs": 20},
    "values": [{"column": "summary.test_acc", **ACCURACY}],
}  # fmt: skip
RUNS = [
    {"name": f"run-{seed}", "summary": {"test_acc": 0.9 + seed / 100, "_runtime": 5},
     "config": {"seed": seed, "lr": 0.1, "model": {"norm": "deconv"}}}
    for seed in (1, 2)
]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_runs_of_the_weights_and_biases_api(tmp_path, kind):
    """As its documentation exports them: columns summary, config and name; in a CSV they are what Python prints."""
    path = tmp_path / f"project.{kind}"
    if kind == "csv":
        pandas = pytest.importorskip("pandas")
        pandas.DataFrame({key: [run[key] for run in RUNS] for key in ("summary", "config", "name")}).to_csv(path)
    elif kind == "json":
        path.write_text(json.dumps(RUNS))
    else:
        path.write_text("".join(json.dumps(run) + "\n" for run in RUNS))
    rows = imported(path, WANDB, tmp_path / "mine")
    assert [(row["attempt"], row["value"], row["norm"]) for row in rows] == [
        ("1", "0.91", "deconv"),
        ("2", "0.92", "deconv"),
    ]


def test_a_chart_of_weights_and_biases_has_a_column_per_run(tmp_path):
    path = tmp_path / "chart.csv"
    path.write_text(
        '"Step","deconv_s1 - test_acc","deconv_s1 - test_acc__MIN","deconv_s1 - test_acc__MAX"\n"1","0.5","0.5","0.5"\n'
        '"2","0.8","0.8","0.8"\n'
    )
    (row,) = imported(path, {
        "source": SOURCE, "ignore": ["*__MIN", "*__MAX"], "take": "last",
        "fields": {**CELL, "epochs": {"column": "Step"}},
        "values": [{"header": r"^(?P<norm>\w+)_s(?P<attempt>\d+) - test_acc$", **ACCURACY}],
    }, tmp_path / "mine")  # fmt: skip
    assert (row["norm"], row["attempt"], row["epochs"], row["value"]) == ("deconv", "1", "2", "0.8")


def mlflow_run(folder: Path, name: str, norm: str, accuracies: list[float]) -> None:
    run = folder / "123" / name
    for kind, key, text in (("params", "norm", norm), ("params", "seed", "1"), ("tags", "mlflow.user", "me")):
        (run / kind).mkdir(parents=True, exist_ok=True)
        (run / kind / key).write_text(text)
    (run / "metrics").mkdir()
    (run / "metrics" / "test_acc").write_text("".join(f"170{i} {a} {i}\n" for i, a in enumerate(accuracies)))


MLFLOW = {
    "source": SOURCE,
    "fields": {**CELL, "norm": {"column": "params.norm"}, "attempt": {"column": "params.seed"},
               "epochs": {"column": "step", "plus": 1}},
    "values": [{"column": "metrics.test_acc", **ACCURACY}],
}  # fmt: skip


def test_mlflows_folder_of_runs_and_its_export(tmp_path):
    mlflow_run(tmp_path / "mlruns", "a1", "batch_norm", [0.5, 0.91])
    mlflow_run(tmp_path / "mlruns", "b2", "deconv", [0.6, 0.93])
    rows = imported(tmp_path / "mlruns", MLFLOW, tmp_path / "mine")
    expected = [("batch_norm", "0.91"), ("deconv", "0.93")]
    assert [(row["norm"], row["value"]) for row in rows] == expected
    assert {(row["epochs"], row["selection"]) for row in rows} == {("2", "final")}
    export = tmp_path / "runs.csv"
    export.write_text(
        "Start Time,Duration,Run ID,norm,seed,test_acc\n2026-01-01,2s,a1,batch_norm,1,0.91\n"
        "2026-01-01,2s,b2,deconv,1,0.93\n"
    )
    rows = imported(export, {
        "source": SOURCE, "ignore": ["Start Time", "Duration", "Run ID"],
        "fields": {**CELL, "norm": {"column": "norm"}, "attempt": {"column": "seed"}, "epochs": 2},
        "values": [{"column": "test_acc", **ACCURACY}],
    }, tmp_path / "exported")  # fmt: skip
    assert [(row["norm"], row["value"]) for row in rows] == expected


def test_a_damaged_metric_of_mlflow_is_a_line(tmp_path):
    mlflow_run(tmp_path / "mlruns", "a1", "deconv", [0.5])
    (tmp_path / "mlruns" / "123" / "a1" / "metrics" / "test_acc").write_text("170 0.5 1\n17")
    with pytest.raises(RenormError, match=r"test_acc:2: expected 'time value step'"):
        importing.read_grids(tmp_path / "mlruns", importing.Read())


def test_a_folder_of_logs_by_a_pattern_and_the_parts_of_their_paths(tmp_path):
    for norm in ("batch_norm", "deconv"):
        for seed in (1, 2):
            folder = tmp_path / "logs" / norm
            folder.mkdir(parents=True, exist_ok=True)
            lines = [f"epoch {epoch}: test accuracy {80 + 5 * epoch + seed}.5 %" for epoch in (1, 2)]
            (folder / f"seed{seed}.log").write_text("\n".join(["| preparing", *lines, "done"]))
    rows = imported(tmp_path / "logs", {
        "source": SOURCE,
        "read": {"format": "log", "path": r"(?P<norm>\w+)/seed(?P<seed>\d+)\.log",
                 "pattern": r"^epoch (?P<epoch>\d+): test accuracy (?P<acc>[\d.]+ %)"},
        "fields": {**CELL, "norm": {"column": "norm"}, "attempt": {"column": "seed"}, "epochs": {"column": "epoch"}},
        "values": [{"column": "acc", "metric": "top1", "split": "test"}],
    }, tmp_path / "mine")  # fmt: skip
    assert [(row["norm"], row["attempt"], row["epochs"], row["value"], row["unit"]) for row in rows] == [
        (norm, seed, "2", value, "percent")
        for norm in ("batch_norm", "deconv") for seed, value in (("1", "91.5"), ("2", "92.5"))
    ]  # fmt: skip
    assert rows[0]["note"] == "batch_norm/seed1.log:3: acc"


def test_a_folder_needs_a_format_and_paths_that_match(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(RenormError, match=r"read\.format: is missing for a folder"):
        importing.read_grids(tmp_path, importing.Read())
    with pytest.raises(RenormError, match=r"no such file: correct read\.files"):
        importing.read_grids(tmp_path, importing.Read(format="csv"))
    with pytest.raises(RenormError, match=r"read\.path: does not match 'a\.txt'"):
        importing.read_grids(tmp_path, importing.Read(pattern="(?P<a>x)", files="*.txt", path="(?P<b>y)"))


def test_kerass_history_is_an_object_of_lists(tmp_path):
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"epoch": [1, 2], "val_accuracy": [0.5, 0.75]}))
    (row,) = imported(path, {
        "source": SOURCE, "take": "last", "fields": {**CELL, "norm": "deconv", "epochs": {"column": "epoch"}},
        "values": [{"column": "val_accuracy", **ACCURACY}],
    }, tmp_path / "mine")  # fmt: skip
    assert (row["epochs"], row["value"]) == ("2", "0.75")


def test_several_tables_of_a_record_are_named_after_their_files(tmp_path):
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text(f"acc\n0.{len(name)}\n")
    chosen = made({"source": SOURCE, "fields": {**CELL, "norm": "deconv", "epochs": 1},
                   "values": [{"column": "acc", **ACCURACY}]})  # fmt: skip
    grids = [
        grid for name in ("first", "second") for grid in importing.read_grids(tmp_path / f"{name}.csv", chosen.read)
    ]
    found = importing.convert(grids, chosen)
    assert {name: rows[0].fields["table"] for name, rows in found.tables.items()} == {
        "first": "first",
        "second": "second",
    }


def test_files_of_one_name_are_one_table_and_none_is_lost(tmp_path):
    for number, folder in enumerate(("a", "b"), 1):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "results.csv").write_text(f"seed,acc\n{number},0.{number}\n")
    chosen = made({"source": SOURCE, "fields": {**CELL, "norm": "deconv", "epochs": 1, "attempt": {"column": "seed"}},
                   "values": [{"column": "acc", **ACCURACY}]})  # fmt: skip
    grids = [grid for name in "ab" for grid in importing.read_grids(tmp_path / name / "results.csv", chosen.read)]
    found = importing.convert(grids, chosen)
    (path,) = importing.write(found, chosen.source, tmp_path / "mine")
    assert [row.split(",")[-4] for row in path.read_text().splitlines()[1:]] == ["0.1", "0.2"]
