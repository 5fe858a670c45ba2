"""The same tables for a paper: equal values in CSV, LaTeX and Markdown, nothing that breaks the format."""

import csv
import re

import simulate

from renorm.report.export import latex, write_tables
from renorm.report.inputs import load
from renorm.report.tables import build


def test_every_table_in_three_formats(full):
    tables = build(load(full))
    written = {path.name for path in (full / "tables").iterdir()}
    assert written == {f"{table.id}.{ending}" for table in tables for ending in ("csv", "tex", "md")}


def test_all_rows_are_as_long_as_their_headings(full):
    for path in (full / "tables").glob("*.csv"):
        rows = list(csv.reader(path.open(encoding="utf-8")))
        assert len({len(row) for row in rows}) == 1 and len(rows) > 1
        markdown = path.with_suffix(".md").read_text(encoding="utf-8").strip().splitlines()[2:]
        assert len(markdown) == len(rows) + 1
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in markdown} == {len(rows[0]) + 1}
        body = path.with_suffix(".tex").read_text(encoding="utf-8").split(r"\midrule")[1].split(r"\bottomrule")[0]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in body.strip().splitlines()} == {len(rows[0]) - 1}


def test_latex_groups_its_headings(full):
    text = (full / "tables" / "comparison-cifar10.tex").read_text(encoding="utf-8")
    assert r"\toprule" in text and r"\multicolumn{3}{c}{100 epochs}" in text and r"\cmidrule(lr){3-5}" in text


def test_latex_means_what_it_says():
    assert latex("50 % of a_b & <c> \\ {d}") == r"50 \% of a\_b \& \textless{}c\textgreater{} \textbackslash{} \{d\}"


def test_a_label_with_a_bar_stays_one_cell(tmp_path):
    folder = simulate.write_study(tmp_path / "bar", vgg16="VGG|16\n& more")
    write_tables(folder)
    line = (folder / "tables" / "own-cifar10-top1.md").read_text(encoding="utf-8").splitlines()[4]
    assert line.startswith(r"| VGG\|16 &amp; more |")
