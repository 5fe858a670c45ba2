"""The same tables for a paper: equal values in CSV, LaTeX and Markdown, nothing that breaks the format."""

import csv
import re
import shutil
import subprocess

import pytest
import simulate

from renorm.report.export import LATEX, LETTERS, latex, write_tables
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
        columns = {len(re.findall(r"(?<!\\)\|", line)) - 1 for line in markdown}
        assert len(columns) == 1
        body = path.with_suffix(".tex").read_text(encoding="utf-8").split(r"\midrule")[1].split(r"\bottomrule")[0]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in body.strip().splitlines()} == {columns.pop() - 1}


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


def test_csvs_hold_numbers_with_marks_in_columns_of_their_own(full):
    with (full / "tables" / "comparison-cifar10.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = [name for name in rows[0] if name not in ("Architecture", "Norm") and not name.endswith(")")]
    values = [row[name] for row in rows for name in numbers]
    assert len(values) > 100 and all(0 <= float(value) <= 1 for value in values if value)
    assert {row[name] for row in rows for name in row if name.endswith("(mark)")} >= {"▲", "=", "▼"}
    assert {row[name] for row in rows for name in row if name.endswith("(verdict)")} >= {"better", "below"}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Tables of a study with every mark of the real judge in them."""
    folder = simulate.write_judged(tmp_path_factory.mktemp("export") / "judged", demo=True)
    write_tables(folder)
    return folder / "tables"


def test_latex_has_no_character_that_it_cannot_print(judged):
    texts = [path.read_text(encoding="utf-8") for path in judged.glob("*.tex")]
    assert len(texts) > 5
    assert not {char for text in texts for char in text if not char.isascii() and ord(char) not in LETTERS}
    assert not re.findall(r"\[U\+\w+\]", "".join(texts))  # a mark of the tables is missing in LATEX
    assert latex("⚑ ✓ é 漢") == r"$\dagger$ $\checkmark$ é [U+6F22]" and "⚑" in LATEX


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles(judged, tmp_path):
    bodies = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(judged.glob("*.tex")))
    head = "\\documentclass{article}\n\\usepackage{booktabs,amssymb}\n\\begin{document}\n"
    (tmp_path / "all.tex").write_text(f"{head}{bodies}\n\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
