"""Tables that people and tools write → rows of claims; what the map does not explain is listed."""

import csv
import io
from pathlib import Path

import pytest
import yaml

from renorm.core.errors import RenormError
from renorm.core.validation import validate_model
from renorm.study import claims, importing
from renorm.study.importing.grid import letters
from renorm.study.importing.numbers import parse

from ... import mutations

SOURCE = {"label": "My runs", "title": "Runs of mine"}
LONG = """Model,data,method,seed,epochs,test_acc,train loss,comment
VGG-16,cifar10,BN,1,20.0,90.1,0.21,first
VGG-16,cifar10,ND,1,20.0,93.0,0.19,
"""
FIELDS = {
    "recipe": "paper", "arch": {"column": "Model"}, "dataset": {"column": "data"}, "norm": {"column": "method"},
    "epochs": {"column": "epochs"}, "attempt": {"column": "seed"},
}  # fmt: skip
MAP = {
    "source": SOURCE, "fields": FIELDS,
    "words": {"arch": {"VGG-16": "vgg16"}, "norm": {"BN": "batch_norm", "ND": "deconv"}},
    "values": [
        {"column": "test_acc", "metric": "accuracy", "split": "test", "unit": "percent"},
        {"column": "train loss", "metric": "loss", "split": "train"},
    ],
    "ignore": ["comment"],
}  # fmt: skip


def made(values: dict) -> importing.Map:
    return validate_model(importing.Map, values, "map.yaml")


def imported(path: Path, values: dict, folder: Path, partial: bool = False) -> list[dict[str, str]]:
    """All rows of the claims folder that an import writes, read back by the claims' own reader and as text."""
    chosen = made(values)
    found = importing.convert(importing.read_grids(path, chosen.read), chosen, importing.is_history(path, chosen.read))
    assert partial or not found.left, found.left
    tables = importing.write(found, chosen.source, folder)
    assert len(claims.load_claims(folder).frame) == sum(map(len, found.tables.values()))
    return [row for table in tables for row in csv.DictReader(io.StringIO(table.read_text()))]


def left(path: Path, values: dict) -> list[str]:
    chosen = made(values)
    return importing.convert(importing.read_grids(path, chosen.read), chosen).left


def short(row: dict[str, str]) -> tuple:
    return tuple(row[key] for key in ("arch", "norm", "epochs", "metric", "split", "selection", "value", "unit"))


@pytest.fixture
def long_table(tmp_path) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text(LONG)
    return path


def test_a_long_table_becomes_a_value_per_row_and_column(long_table, tmp_path):
    rows = imported(long_table, MAP, tmp_path / "mine")
    assert [short(row) for row in rows] == [
        ("vgg16", "batch_norm", "20", "top1", "test", "unstated", "90.1", "percent"),
        ("vgg16", "batch_norm", "20", "loss", "train", "unstated", "0.21", "nats"),
        ("vgg16", "deconv", "20", "top1", "test", "unstated", "93.0", "percent"),
        ("vgg16", "deconv", "20", "loss", "train", "unstated", "0.19", "nats"),
    ]
    assert [row["note"] for row in rows][:2] == ["runs.csv:2: test_acc", "runs.csv:2: train loss"]
    assert {(row["source"], row["table"], row["page"], row["attempt"], row["n"]) for row in rows} == {
        ("mine", "runs", "runs.csv", "1", "1")
    }
    source = yaml.safe_load((tmp_path / "mine" / "source.yaml").read_text())
    assert source == {"name": "mine", "kind": "reproduction", **SOURCE}


def test_a_table_as_a_pdf_prints_it_has_groups_of_columns_and_spreads(tmp_path):
    path = tmp_path / "table2.tsv"
    path.write_text(
        "network\tBN\t\tND\t\n\t1\t20\t1\t20\nVGG-16\t14.1±0.3\t90.1 ± 0.2\t$74.2 \\pm 1$\t\\textbf{93.2%}\n"
    )
    rows = imported(path, {
        "source": SOURCE, "read": {"header": [1, 2]}, "words": MAP["words"],
        "fields": {"recipe": "paper", "dataset": "cifar10", "arch": {"column": "network"}, "n": 3},
        "values": [{"header": r"^(?P<norm>BN|ND) \| (?P<epochs>\d+)", "metric": "top1", "unit": "percent"}],
    }, tmp_path / "paper")  # fmt: skip
    assert [(row["norm"], row["epochs"], row["value"], row["sd"]) for row in rows] == [
        ("batch_norm", "1", "14.1", "0.3"), ("batch_norm", "20", "90.1", "0.2"), ("deconv", "1", "74.2", "1"),
        ("deconv", "20", "93.2", ""),
    ]  # fmt: skip
    frame = claims.load_claims(tmp_path / "paper").frame
    assert frame["sd"].round(6).tolist()[:3] == [0.003, 0.002, 0.01]


def test_an_interval_and_a_spread_in_a_column_of_its_own(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("acc,std,acc5\n0.9,0.01,0.99 +- 0.002\n")
    rows = imported(path, {
        "source": SOURCE, "fields": {"recipe": "paper", "dataset": "d", "arch": "a", "norm": "n", "epochs": 1, "n": 5},
        "values": [{"column": "acc", "metric": "top1", "unit": "fraction", "sd": {"column": "std"}},
                   {"column": "acc5", "metric": "top5", "unit": "fraction", "plus_minus": "ci"}],
    }, tmp_path / "paper")  # fmt: skip
    assert (rows[0]["sd"], rows[1]["ci_low"], rows[1]["ci_high"]) == ("0.01", "0.988", "0.992")


@pytest.mark.parametrize(("change", "table", "line"), [
    ({"ignore": []}, LONG, "runs.csv: column 'comment': is not in the map: 1 cells, as 'first'"),
    ({}, LONG.replace("VGG-16,cifar10,ND", "VGG-61,cifar10,ND"),
     "words.arch: no word for 'VGG-61': did you mean 'VGG-16'? (2 values, the first at runs.csv:3: test_acc)"),
    ({}, LONG.replace("93.0", "diverged"), "'diverged' is not a number: correct it, or add words.value"),
    ({}, LONG.replace("cifar10,ND", "CIFAR 10,ND"), "words.dataset: 'CIFAR 10' is not a name"),
    ({"fields": {**FIELDS, "epochs": {"column": "comment", "pattern": r"e(\d+)"}}, "ignore": []}, LONG,
     "epochs: pattern 'e(\\d+)' finds nothing in 'first'"),
    ({"values": {"column": "test_acc", "metric": "top1"}, "ignore": ["comment", "train loss"]}, LONG,
     "unit: percent or fraction? Add it to the entry of values"),
    ({"values": {"column": "test_acc", "metric": "top1", "unit": "fraction"}, "ignore": ["comment", "train *"]},
     LONG.replace("93.0", "93.0 %").replace("90.1", "0.9"), "unit: fraction, and the cell has a percent sign"),
    ({"fields": {key: FIELDS[key] for key in FIELDS if key != "recipe"}}, LONG, "recipe: is missing"),
])  # fmt: skip
def test_what_the_map_does_not_explain_is_listed_with_its_place(tmp_path, change, table, line):
    path = tmp_path / "runs.csv"
    path.write_text(table)
    found = left(path, MAP | change)
    assert any(line in one for one in found), found


def test_a_partial_import_takes_the_rest(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(LONG.replace("VGG-16,cifar10,ND", "Average,cifar10,ND"))
    assert {row["norm"] for row in imported(path, MAP, tmp_path / "mine", partial=True)} == {"batch_norm"}


def test_words_may_leave_a_row_out_and_say_what_no_number_means(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(LONG.replace("VGG-16,cifar10,ND", "Average,cifar10,ND").replace("90.1", "NaN").replace("0.21", "-"))
    words = {**MAP["words"], "arch": {"VGG-16": "vgg16", "Average": None},
             "value": {"NaN": "diverged", "-": "missing"}}  # fmt: skip
    (row,) = imported(path, MAP | {"words": words}, tmp_path / "mine")
    assert (row["value"], row["status"], row["metric"]) == ("", "diverged", "top1")


@pytest.mark.parametrize(("values", "line"), [
    ({"values": []}, "values: List should have at least 1 item"),
    ({"values": [{"metric": "top1"}]}, "give column, the label of one column, or header"),
    ({"values": [{"header": "(", "metric": "top1"}]}, "header: not a regular expression"),
    ({"values": [{"header": "(?P<colour>a)"}]}, "unknown field 'colour'"),
    ({"fields": {"network": "a"}}, "fields.network: unknown field: "),
    ({"fields": FIELDS | {"recipe": "?"}}, "fields.recipe: '?' is to be replaced"),
    ({"words": {"net": {}}}, "words.net: unknown field"),
    ({"words": {"value": {"-": "zero"}}}, "words.value.-: 'zero' is not missing or diverged"),
    ({"read": {"format": "csv", "pattern": "(?P<a>b)"}}, "pattern: is of format log, not of csv"),
    ({"read": {"header": [3, 2]}}, "header: expected the first and the last line"),
    ({"read": {"files": "../*.csv"}}, "files: expected a glob below the folder"),
    ({"take": "first"}, "take"),
])  # fmt: skip
def test_a_mistake_in_a_map_is_a_line(values, line):
    with pytest.raises(RenormError) as caught:
        made(MAP | values)
    assert line in str(caught.value)


@pytest.mark.parametrize(("name", "content", "read", "line"), [
    ("no.csv", None, {}, "no.csv: not there"),
    ("empty.csv", "", {}, "empty.csv:1: no header"),
    ("short.csv", "a,b\n1\n", {}, "short.csv:2: 1 cells where the header has 2"),
    ("semicolon.csv", "a;b\n1,2;3\n", {}, "is it separated by semicolons?"),
    ("latin.csv", b"a,b\n\xe9,1\n", {}, "latin.csv: is not UTF-8 text"),
    ("half.json", '[{"a": 1', {}, "half.json: not readable as JSON"),
    ("text.json", '"a"', {}, "text.json: expected an object"),
    ("list.jsonl", "[1]\n", {}, "list.jsonl:1: expected an object"),
    ("what.dat", "a", {}, "what.dat: read.format: cannot be seen from the name"),
    ("train.log", "epoch 1", {}, "read.pattern: is missing"),
    ("train.log", "epoch 1", {"pattern": r"step (?P<epochs>\d+)"}, "no line matches"),
    ("book.xlsx", "no workbook", {}, "book.xlsx: not readable as a workbook"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_line(tmp_path, name, content, read, line):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    with pytest.raises(RenormError) as caught:
        importing.read_grids(path, importing.Read(**read))
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_column_and_an_impossible_value_name_their_place(long_table, tmp_path):
    with pytest.raises(
        RenormError, match=r"values\.0: column 'test_accuracy': no such column: did you mean 'test_acc'"
    ):
        left(long_table, MAP | {"values": {"column": "test_accuracy", "metric": "top1"}})
    long_table.write_text(LONG.replace("93.0", "930"))
    with pytest.raises(RenormError, match=r"runs\.csv:3: test_acc: value: 930 is not an accuracy"):
        imported(long_table, MAP, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_two_values_of_one_run_are_refused_with_both_places(long_table, tmp_path):
    long_table.write_text(LONG + LONG.splitlines()[1] + "\n")
    with pytest.raises(RenormError, match=r"runs\.csv:4: test_acc: .*duplicate of runs\.csv:2: test_acc"):
        imported(long_table, MAP, tmp_path / "mine")


def test_another_table_joins_the_folder_and_a_changed_one_needs_replace(long_table, tmp_path):
    imported(long_table, MAP, tmp_path / "mine")
    second = tmp_path / "more.csv"
    second.write_text(LONG.replace(",1,20.0", ",2,20.0"))
    chosen = made(MAP)
    importing.write(
        importing.convert(importing.read_grids(second, chosen.read), chosen), chosen.source, tmp_path / "mine"
    )
    assert len(claims.load_claims(tmp_path / "mine").frame) == 8
    long_table.write_text(LONG.replace("93.0", "93.1"))
    found = importing.convert(importing.read_grids(long_table, chosen.read), chosen)
    with pytest.raises(RenormError, match=r"mine/runs\.csv: is there, with other values: give --replace"):
        importing.write(found, chosen.source, tmp_path / "mine")
    importing.write(found, chosen.source, tmp_path / "mine", replace=True)
    assert 0.931 in claims.load_claims(tmp_path / "mine").frame["value"].tolist()


def test_who_says_so_is_in_the_map_or_in_the_folder(long_table, tmp_path):
    nameless = {key: value for key, value in MAP.items() if key != "source"}
    with pytest.raises(RenormError, match=r"mine/source\.yaml: is not there: add source"):
        imported(long_table, nameless, tmp_path / "mine")
    imported(long_table, MAP, tmp_path / "mine")
    imported(long_table, nameless, tmp_path / "mine")
    other = MAP | {"source": SOURCE | {"label": "Theirs"}}
    with pytest.raises(RenormError, match=r"source\.yaml: label: 'My runs' is 'Theirs' in the map: make them equal"):
        imported(long_table, other, tmp_path / "mine")
    chosen = made(other)
    found = importing.convert(importing.read_grids(long_table, chosen.read), chosen)
    importing.write(found, chosen.source, tmp_path / "mine", replace=True)
    assert claims.load_claims(tmp_path / "mine").source.label == "Theirs"


def test_of_a_history_the_last_or_the_best_epoch_counts(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,acc,loss\n0,0.5,2.0\n1,0.9,0.5\n2,0.8,0.6\n")
    values = {
        "source": SOURCE, "take": "best",
        "fields": {"recipe": "paper", "dataset": "d", "arch": "a", "norm": "n", "attempt": 1,
                   "epochs": {"column": "epoch", "plus": 1}},
        "values": [{"column": "acc", "metric": "top1", "unit": "fraction"}, {"column": "loss", "metric": "loss"}],
    }  # fmt: skip
    best = imported(path, values, tmp_path / "best")
    assert [(row["value"], row["epochs"], row["selection"]) for row in best] == [
        ("0.9", "3", "best"),
        ("0.5", "3", "best"),
    ]
    last = imported(path, values | {"take": "last"}, tmp_path / "last")
    assert [(row["value"], row["epochs"], row["selection"]) for row in last] == [
        ("0.8", "3", "final"),
        ("0.6", "3", "final"),
    ]
    every = imported(path, values | {"take": "all"}, tmp_path / "all")
    assert [row["epochs"] for row in every] == ["1", "1", "2", "2", "3", "3"]


@pytest.mark.parametrize(("text", "value", "spread", "percent"), [
    ("93.2", "93.2", "", False), ("93.2 %", "93.2", "", True), ("93.2±.3", "93.2", ".3", False),
    ("$\\mathbf{93.2} \\pm 0.3$", "93.2", "0.3", False), ("93.2% +/- 0.3%", "93.2", "0.3", True), 
    ("93.2*", "93.2", "", False), ("−1.5", "-1.5", "", False), ("1e-3", "1e-3", "", False),
])  # fmt: skip
def test_numbers_as_people_write_them(text, value, spread, percent):
    found = parse(text)
    assert found is not None and (found.value, found.spread, found.percent) == (value, spread, percent)


@pytest.mark.parametrize("text", ["", "-", "nan", "inf", "93,2", "1 2", "93.2 (0.3)", "±", "1±2±3", "=B2*2", "9.3.2"])
def test_other_texts_are_no_numbers(text):
    assert parse(text) is None


def test_a_comma_is_a_decimal_mark_where_the_map_says_so():
    assert parse("93,2 ± 0,3", ",") == parse("93.2 ± 0.3")
    assert parse("93.2", ",") is None


def test_letters_of_columns_are_those_of_a_spreadsheet():
    assert [letters(column) for column in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


FULL = MAP | {"read": {"header": 1, "rows": [2, 3], "decimal": "."}, "take": "all"}
WORDS = (
    "(?P<norm>.*)", "!A", "!ZZ", "test_acc", "percent", "fraction", "best", "csv", "log", "missing", "diverged",
    "metric", "header", "column", "carry", "plus_minus", "ci", "top1", "2", "sd", "n",
)  # fmt: skip
CELLS = (
    "",
    " ",
    "-",
    "nan",
    "inf",
    "1e400",
    "93.0 ± 0.1",
    "±",
    "930",
    "-1",
    "\0",
    "é\u2028",
    '"',
    "a" * 300,
    "1,5",
    "BN",
    "20.5",
)


def test_mutated_maps_and_tables_are_read_or_refused_in_lines(tmp_path):
    """Half of them with a mistake in the map, half with another cell in the table as well."""
    path, written = tmp_path / "runs.csv", []

    def read(number: int) -> None:
        values = mutations.mutated(FULL, number, WORDS) if number % 4 else FULL
        rows = [line.split(",") for line in LONG.splitlines()]
        if number % 2 == 0:
            rows[number // 2 % 3][number // 6 % 8] = CELLS[number // 48 % len(CELLS)]
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        path.write_text(out.getvalue())
        chosen = made(values)
        found = importing.convert(importing.read_grids(path, chosen.read), chosen)
        assert found.left or any(found.tables.values())
        if any(found.tables.values()) and number % 10 == 0:
            written.append(importing.write(found, chosen.source, tmp_path / "mine", replace=True))

    assert 0.2 * mutations.COUNT < mutations.refused(read) < 0.9 * mutations.COUNT and written
