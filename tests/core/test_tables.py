"""Tables: the specifications, the reader that names file, line and mistake, the writer, and the generated page."""

from pathlib import Path

import pytest

from renorm.core import table_specs, tables_doc
from renorm.core.errors import RenormError
from renorm.core.tables import Column, TableSpec, cell_text, read_cells, to_csv

ROOT = Path(__file__).parents[2]
SPEC = TableSpec("mine", "renorm judge", "A new table", (
    Column("name", "text", "a name"), Column("value", "number", "a number", empty=True),
    Column("note", "text", "a note", empty=True, optional=True),
))  # fmt: skip


def test_the_page_is_that_of_the_specifications():
    page = (ROOT / "docs/tables.md").read_text(encoding="utf-8")
    assert tables_doc.updated(page) == page, "python -m renorm.core.tables_doc docs/tables.md"
    with pytest.raises(RenormError, match="the mark <!-- judged --> is missing"):
        tables_doc.updated(page.replace("<!-- judged -->", ""))


def test_a_new_table_is_its_specification(tmp_path, monkeypatch):
    monkeypatch.setattr(tables_doc, "JUDGED", (SPEC,))
    page = tables_doc.updated((ROOT / "docs/tables.md").read_text(encoding="utf-8"))
    assert "### `mine.csv`\n\nA new table." in page and "| `value` | number | yes | a number |" in page
    SPEC.write(tmp_path / SPEC.file, [{"name": "none", "value": 0.1 + 0.2}, {"name": "b", "note": "x,y"}])
    assert (tmp_path / SPEC.file).read_text() == 'name,value,note\nnone,0.3,\nb,,"x,y"\n'
    rows = SPEC.read(tmp_path / SPEC.file)
    assert rows == [{"name": "none", "value": "0.3", "note": ""}, {"name": "b", "value": "", "note": "x,y"}]


def test_every_column_is_described_once_and_every_table_has_one_writer():
    specs = (*table_specs.SPECS, *table_specs.COMPARED)
    assert all(column.meaning for spec in specs for column in spec.columns)
    assert all(len(set(spec.names)) == len(spec.names) for spec in specs)
    assert len(table_specs.TABLES) == len(table_specs.SPECS) == len(table_specs.COLLECTED) + len(table_specs.JUDGED)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name;value\na;1\n", ":1: columns are separated by ';': save with commas"),
        ("name\tvalue\na\t1\n", ":1: columns are separated by tabs: save with commas"),
        ("sep=,\nname,value\n", ":1: 'sep=' is a spreadsheet's separator line: remove it"),
        ("name,value,\na,1,\n", ":1: column 3 has no name"),
        (",name,value\n0,a,1\n", ":1: column 1 has no name"),
        ("name,name\na,b\n", ":1: duplicate column 'name': remove one"),
        ("name,value\na,1\nb\n", ":3: 1 fields where the header has 2"),
        ("", ":1: the header is empty"),
        (b"name,value\n\xff,1\n", ": is not UTF-8 text"),
        ('name,value\n"a,1\n', "is not readable as CSV"),
        ("name\na\n", ":1: column 'value' is missing; run `renorm judge` again"),
        (None, ": not there; run `renorm judge` first"),
    ],
)
def test_a_mistake_is_one_line_with_the_file(tmp_path, content, words):
    path = tmp_path / "mine.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RenormError) as error:
        SPEC.read(path)
    assert str(error.value).startswith(str(path)) and words in str(error.value) and "\n" not in str(error.value)


def test_what_spreadsheets_leave_is_read(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(b"\xef\xbb\xbfname, value\r\na,1\r\n,\r\n\r\n")
    assert read_cells(path) == (["name", "value"], [(2, ["a", "1"])])


def test_the_same_numbers_are_the_same_bytes():
    assert [cell_text(v) for v in (None, float("nan"), -0.0, 0.1 + 0.2, True, 3)] == ["", "", "0", "0.3", "true", "3"]
    with pytest.raises(ValueError, match="'other'"):
        to_csv(("a",), [{"other": 1}])
