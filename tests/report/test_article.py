"""The article skeleton: what it says is what the tables say, and it compiles."""

import csv
import shutil
import subprocess

import pytest
import simulate
import yaml

from renorm.core.errors import RenormError
from renorm.report.article import write_article
from renorm.report.export import LETTERS


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Real claims, so that there are sources and statements."""
    folder = tmp_path_factory.mktemp("article") / "judged"
    return simulate.write_judged(folder, demo=True)


@pytest.fixture
def written(judged, tmp_path):
    def write(headline: str = ""):
        folder = shutil.copytree(judged, tmp_path / (headline or "judged").replace(" ", "-"))
        with (folder / "answers.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        rows[0]["verdict"] = headline or rows[0]["verdict"]
        with (folder / "answers.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return write_article(folder)[0].parent, rows

    return write


@pytest.mark.parametrize(
    ("headline", "title"),
    [("holds", "[Re] Network"), ("holds mostly", "[Re] Network"), ("fails", "[¬Re] Network"),
     ("cannot say yet", "Network")],
)  # fmt: skip
def test_the_title_says_whether_the_claim_was_reproduced(written, headline, title):
    folder, _ = written(headline)
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))
    assert metadata["title"] == f"{title} Deconvolution"
    printed = title.replace("¬", r"$\neg$")
    assert rf"\title{{{printed} Deconvolution}}" in (folder / "article.tex").read_text(encoding="utf-8")


def test_metadata_name_the_original_and_the_abstract_has_the_answers(written):
    folder, answers = written()
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))
    assert "Chengxi Ye" in metadata["replication"][0]["cite"] and metadata["replication"][1]["bib"] == "ye2020"
    assert metadata["replication"][2]["url"].startswith("https://") and metadata["type"] == "Replication"
    assert all(row["text"] in metadata["abstract"] for row in answers)
    entries = (folder / "bibliography.bib").read_text(encoding="utf-8")
    assert "@misc{ye2020," in entries and "Aloimonos" in entries and " and " in entries
    assert {path.name for path in (folder / "tables").glob("*.tex")} >= {
        "own-digits-top1.tex",
        "runtime-digits-demo.tex",
    }


def test_what_an_author_wrote_is_not_overwritten(written, judged):
    folder, _ = written()
    (folder / "article.tex").write_text("mine")
    with pytest.raises(RenormError, match=r"article\.tex: is there already: name another folder with --out"):
        write_article(folder.parent)
    assert (folder / "article.tex").read_text() == "mine"
    assert write_article(folder.parent, folder / "again")[1] == folder / "again" / "metadata.yaml"


def test_no_character_that_latex_cannot_print(written):
    folder, _ = written("fails")
    text = (folder / "article.tex").read_text(encoding="utf-8")
    assert not {char for char in text if not char.isascii() and ord(char) not in LETTERS} and "[U+" not in text
    assert text.count("\\input{#1}") == 1 and "To be written." in text and "((" not in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_it_compiles(written):
    folder, _ = written("fails")
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article"]
    for command in (latex, ["bibtex", "article"], latex, latex):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined references" not in (folder / "article.log").read_text(errors="replace")
