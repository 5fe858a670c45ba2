"""Claims: what the documents printed, and what a claims folder may not hold.

The sums were typed from the documents' rows, column by column, and not computed from the files under test.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from renorm.core.errors import RenormError
from renorm.study.claims import COLUMNS, IDENTITY, load_claims

CLAIMS = Path(__file__).parents[2] / "claims"
SOURCES = ("ye2020", "obadage2024", "ye2019", "southampton")
CONDITIONS = [(norm, epochs) for epochs in (1, 20, 100) for norm in ("batch_norm", "deconv")]


@pytest.fixture(scope="module")
def claims():
    return {name: load_claims(CLAIMS / name) for name in SOURCES}


def column_sums(frame, table, dataset, metric="top1"):
    """The sums of a printed table's six value columns, as printed (percent or seconds)."""
    part = frame[(frame.table == table) & (frame.dataset == dataset) & (frame.metric == metric)]
    scale = 100 if metric == "top1" else 1
    return [part[(part.norm == norm) & (part.epochs == epochs)].value.sum() * scale for norm, epochs in CONDITIONS]


@pytest.mark.parametrize(
    ("source", "table", "count"),
    [
        ("ye2020", "Table 1", 120), ("ye2020", "Table 2", 14),
        ("obadage2024", "Table 4", 60), ("obadage2024", "Table 5", 60), ("obadage2024", "Table 6", 6),
        ("obadage2024", "Table 7", 8), ("obadage2024", "Table 8", 60), ("obadage2024", "Table 9", 60),
        ("obadage2024", "Table 10", 7),
        ("ye2019", "Table 1", 18), ("ye2019", "Table 2", 7),
        ("southampton", "Table 1", 6), ("southampton", "Table 2", 32), ("southampton", "Table 3", 8),
        ("southampton", "Table 4", 12),
    ],
)  # fmt: skip
def test_every_printed_number_stands_once(claims, source, table, count):
    assert (claims[source].frame.table == table).sum() == count


def test_no_other_tables(claims):
    assert {name: len(c.frame) for name, c in claims.items()} == {
        "ye2020": 134, "obadage2024": 1341, "ye2019": 25, "southampton": 58,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "table", "dataset", "metric", "sums"),
    [
        ("ye2020", "Table 1", "cifar10", "top1", [440.35, 671.11, 896.17, 919.48, 920.19, 935.50]),
        ("ye2020", "Table 1", "cifar100", "top1", [140.00, 326.07, 669.84, 717.02, 719.59, 749.84]),
        ("obadage2024", "Table 4", "cifar10", "top1", [344.64, 654.24, 877.23, 919.02, 965.61, 974.74]),
        ("obadage2024", "Table 5", "cifar100", "top1", [65.01, 196.99, 739.97, 852.81, 884.03, 925.85]),
        ("obadage2024", "Table 8", "cifar10", "seconds", [656.09, 3097.07, 8869.51, 25147.40, 35451.47, 107593.21]),
        ("obadage2024", "Table 9", "cifar100", "seconds", [470.43, 1207.48, 6998.10, 36349.96, 39360.863, 109663.813]),
    ],
)
def test_column_sums(claims, source, table, dataset, metric, sums):
    assert column_sums(claims[source].frame, table, dataset, metric) == pytest.approx(sums, abs=1e-6)


SMALL = [
    ("ye2020", "Table 2", {"metric": "top1"}, [69.02, 70.38, 71.95, 69.76, 71.24, 74.65, 75.73]),
    ("ye2020", "Table 2", {"metric": "top5"}, [88.63, 89.81, 90.49, 89.08, 90.14, 92.17, 92.75]),
    ("obadage2024", "Table 6", {"metric": "top1"}, [69.61, 71.35, 71.95]),
    ("obadage2024", "Table 6", {"metric": "top5"}, [89.08, 90.25, 90.60]),
    ("obadage2024", "Table 7", {"metric": "top1"}, [70.72, 71.58, 75.88, 75.67]),
    ("obadage2024", "Table 7", {"metric": "top5"}, [89.73, 90.27, 92.96, 92.69]),
    ("ye2019", "Table 1", {"norm": "deconv"}, [91.33, 94.71, 94.05, 74.74, 80.27, 80.43]),
    ("ye2019", "Table 1", {"norm": "batch_norm"}, [89.15, 93.45, 90.6, 70.57, 79.2, 77.78]),
    ("ye2019", "Table 1", {"norm": "channel_deconv"}, [90.23, 93.65, 91.7, 74.31, 79.09, 76.62]),
    ("ye2019", "Table 2", {}, [69.02, 70.38, 71.45, 71.74, 69.76, 69.80, 70.65]),
    ("southampton", "Table 1", {}, [26.71, 35.43, 35.07, 38.76, 36.22, 38.89]),
    ("southampton", "Table 2", {"metric": "top1", "dataset": "cifar10"}, [265.92, 281.06, 283.88, 270.12]),
    ("southampton", "Table 2", {"metric": "top1", "dataset": "cifar100"}, [30.78, 28.23, 38.77, 33.03]),
    ("southampton", "Table 2", {"metric": "seconds"}, [47.3, 206.3, 59.2, 100]),
    ("southampton", "Table 3", {"metric": "top1"}, [81.93, 90.42, 87.21, 92.26]),
    ("southampton", "Table 3", {"metric": "seconds"}, [137.5, 261, 126, 732]),
    ("southampton", "Table 4", {}, [182.63, 270.55, 272.41, 272.12]),
]


@pytest.mark.parametrize(("source", "table", "where", "parts"), SMALL)
def test_sums_of_the_small_tables(claims, source, table, where, parts):
    frame = claims[source].frame[lambda f: f.table == table]
    for column, value in where.items():
        frame = frame[frame[column] == value]
    scale = 1 if where.get("metric") == "seconds" else 100
    assert frame.value.sum() * scale == pytest.approx(sum(parts), abs=1e-6)


def test_table_10_in_seconds(claims):
    frame = claims["obadage2024"].frame
    days = frame[frame.table == "Table 10"].set_index(["arch", "norm"]).value / 86400
    assert days["vgg11_imagenet", "none"] == pytest.approx(1 + 7 / 24 + 23 / 1440)
    assert days["resnet18_imagenet", "batch_norm"] == pytest.approx(13 / 24 + 8 / 1440)
    assert days["resnet18_imagenet", "deconv"] == pytest.approx(1 + 11 / 24 + 48 / 1440)
    assert days["densenet121_imagenet", "deconv"] == pytest.approx(5 + 14 / 24 + 10 / 1440)
    garbled = frame[(frame.table == "Table 10") & (frame.arch == "resnet18_imagenet")]
    assert garbled.note.str.contains("runs two cells together").all()


@pytest.mark.parametrize(
    ("source", "dataset", "arch", "norm", "epochs", "value"),
    [
        ("ye2020", "cifar10", "vgg16", "batch_norm", 1, 0.1412), ("ye2020", "cifar10", "dpn92", "deconv", 20, 0.9374),
        ("ye2020", "cifar100", "efficientnet_b0", "deconv", 100, 0.6237),
        ("obadage2024", "cifar10", "preact_resnet18", "batch_norm", 1, 0.1642),
        ("obadage2024", "cifar100", "resnet18", "deconv", 100, 0.9431),
        ("southampton", "cifar100", "vgg16", "deconv", 1, 0.3133),
    ],
)  # fmt: skip
def test_spot_values(claims, source, dataset, arch, norm, epochs, value):
    frame = claims[source].frame
    row = frame[(frame.dataset == dataset) & (frame.arch == arch) & (frame.norm == norm) & (frame.epochs == epochs)]
    printed = row[(row.metric == "top1") & row.attempt.isna()]
    assert printed.value.tolist() == [value]


def test_what_is_not_said_is_not_claimed(claims):
    assert set(claims["obadage2024"].frame.query("metric == 'top1'").split) == {"unstated"}
    assert set(claims["ye2020"].frame.split) == {"test"}
    assert claims["ye2020"].frame.n.isna().all()
    moved = claims["southampton"].frame.query("dataset == 'cifar100'")
    assert moved.note.str.contains("printed").all()


def test_headers_are_the_contract():
    tables = (Path(__file__).parents[2] / "docs/tables.md").read_text()
    section = tables.split("## Measurements")[1].split("\n## ")[0]
    names = [name for line in section.splitlines() if line.startswith("| `") for name in line.split("|")[1].split()]
    assert tuple(name.strip("`") for name in names) == COLUMNS
    headers = {path.open().readline() for path in CLAIMS.glob("*/*.csv") if path.stem != "attempts"}
    not_printed = {"attempt", "sd", "ci_low", "ci_high", "n_images", "epochs_completed", "status"}
    assert headers == {",".join(c for c in COLUMNS if c not in not_printed) + "\n"}


HEAD = "source,table,page,dataset,arch,norm,recipe,epochs,metric,split,selection,value,unit,n,note\n"
GOOD = "mine,Table 1,1,cifar10,vgg16,deconv,paper,20,top1,test,final,93.2,percent,1,\n"


SOURCE = "name: mine\nlabel: Mine\ntitle: T\nkind: original\n"


def folder(tmp_path, rows=GOOD, head=HEAD, source=SOURCE, statements=None):
    path = tmp_path / "mine"
    path.mkdir()
    (path / "source.yaml").write_text(source)
    (path / "table1.csv").write_text(head + rows)
    if statements is not None:
        (path / "statements.yaml").write_text(statements)
    return path


def test_a_good_folder(tmp_path):
    row = load_claims(folder(tmp_path)).frame.iloc[0]
    assert (row.value, row.unit, row.n, row.line) == (0.932, "fraction", 1, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("93.2", "nan"), ("table1.csv:2: value: 'nan'", "plain decimal")),
        (("93.2", "1e999"), (":2: value: '1e999'",)),
        (("93.2", "9_3"), (":2: value: '9_3'",)),
        (("93.2", ""), (":2: value: ''",)),
        (("93.2", "123"), (":2: value: 123 is not an accuracy",)),
        (("93.2,percent", "93.2,fraction"), ("is the unit percent?",)),
        (("percent", "procent"), (":2: unit: unknown 'procent'", "did you mean 'percent'?")),
        (("percent", "s"), (":2: unit: unknown 's' of top1",)),
        (("top1", "top2"), (":2: metric: unknown 'top2'", "did you mean")),
        (("test", "tset"), (":2: split: unknown 'tset'", "did you mean 'test'?")),
        (("final", "last"), (":2: selection: unknown 'last'",)),
        (("vgg16", "VGG 16"), (":2: arch: 'VGG 16' is not a name",)),
        ((",20,", ",0,"), (":2: epochs: '0' is not a whole number from 1 on",)),
        ((",20,", ",20.5,"), (":2: epochs: '20.5'",)),
        (("percent,1,", "percent,0,"), (":2: n: '0'",)),
        (("mine,", "yours,"), (":2: source: 'yours'", "write 'mine'")),
        (("percent,1,", "percent,1"), (":2: 14 fields where the header has 15",)),
    ],
)
def test_bad_rows_are_one_line(tmp_path, change, said):
    with pytest.raises(RenormError) as error:
        load_claims(folder(tmp_path, GOOD.replace(*change)))
    assert "\n" not in str(error.value)
    assert all(part in str(error.value) for part in said), str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("metric", "metrik"), "unknown column 'metrik': did you mean 'metric'?"),
        ((",unit", ""), "column 'unit' is missing"),
        (("page", "table"), "duplicate column 'table'"),
    ],
)
def test_bad_headers(tmp_path, change, said):
    with pytest.raises(RenormError, match=":1: ") as error:
        load_claims(folder(tmp_path, head=HEAD.replace(*change)))
    assert said in str(error.value)


def test_the_same_claim_twice(tmp_path):
    with pytest.raises(RenormError, match=r"table1.csv:3: cifar10/vgg16.* is a duplicate of .*:2: remove one"):
        load_claims(folder(tmp_path, GOOD + GOOD.replace("93.2", "94.2")))
    assert "value" not in IDENTITY


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("name: mine\nname: mine\n", "duplicate key 'name'"),
        ("name: mine\nlabel: M\ntitle: T\nkind: orignal\n", "did you mean 'original'?"),
        ("name: mine\nlabel: M\ntitle: T\nkind: original\nyaer: 2020\n", "did you mean 'year'?"),
        ("name: yours\nlabel: M\ntitle: T\nkind: original\n", "is not the folder's name"),
        ("name: mine\nlabel: M\nkind: original\n", "title: is missing: add it"),
        ("name: mine\nlabel: M\ntitle: ''\nkind: original\n", "title: is missing: add it"),
        ("name: mine\nlabel: M\ntitle: T\nkind: original\nyear: '2020'\n", "year: Input should be a valid integer"),
        ("name: mine\nlabel: 3\ntitle: T\nkind: original\n", "in quotes"),
        ("!!python/object/apply:os.system ['true']\n", "not readable as YAML"),
        ("- a\n", "expected keys and values"),
    ],
)
def test_bad_heads(tmp_path, source, said):
    with pytest.raises(RenormError) as error:
        load_claims(folder(tmp_path, source=source))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ("a: b\n", "expected a list"),
        ("- {id: a, text: b, place: c, check: d}\n- {id: a, text: b, place: c, check: d}\n", "'a' is a duplicate"),
        ("- {id: a, text: b, place: c}\n", "check: is missing"),
        ("- {id: a, text: b, place: c, chekc: d}\n", "did you mean 'check'?"),
        ("- {id: a, text: b, place: c, check: d, parameters: 3}\n", "parameters: expected keys and values"),
    ],
)
def test_bad_statements(tmp_path, statements, said):
    with pytest.raises(RenormError) as error:
        load_claims(folder(tmp_path, statements=statements))
    assert said in str(error.value)


def test_a_missing_folder(tmp_path):
    with pytest.raises(RenormError, match="no such claims folder"):
        load_claims(tmp_path / "nowhere")


@pytest.fixture
def summed(tmp_path):
    return Path(shutil.copytree(CLAIMS / "ye2020", tmp_path / "ye2020"))


def test_a_changed_digit_is_found_by_the_checksums(summed):
    table = summed / "table1.csv"
    text = table.read_text()
    digit = text.index("93.")
    table.write_text(text[:digit] + "94." + text[digit + 3 :])
    with pytest.raises(RenormError, match=r"table1.csv: was changed since SHA256SUMS was written; if that was meant: "):
        load_claims(summed)
    subprocess.run("sha256sum *.csv *.yaml > SHA256SUMS", shell=True, check=True, cwd=summed)
    assert len(load_claims(summed).frame) == 134


def test_a_table_more_or_less_is_found_by_the_checksums(summed):
    (summed / "more.csv").write_text((summed / "table2.csv").read_text())
    with pytest.raises(RenormError, match="more.csv: is not listed since"):
        load_claims(summed)
    (summed / "more.csv").unlink()
    (summed / "table2.csv").unlink()
    with pytest.raises(RenormError, match="table2.csv: is gone since"):
        load_claims(summed)
    (summed / "SHA256SUMS").write_text("hello\n")
    with pytest.raises(RenormError, match="SHA256SUMS: is not a list of checksums: restore it"):
        load_claims(summed)


def test_claims_without_checksums_are_taken_as_they_are(summed):
    (summed / "SHA256SUMS").unlink()
    (summed / "table2.csv").unlink()
    assert len(load_claims(summed).frame) == 120
