"""The page: complete, self-contained, escaped, and the same bytes twice."""

import json
import re
import time
from html.parser import HTMLParser

import pandas as pd
import pytest
import simulate

from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS
from renorm.judging.audit import places
from renorm.report import figures, formatting
from renorm.report.figures import draw, dumbbell
from renorm.report.page import render

VOID = {"meta", "input", "br", "link", "img", "hr", "col"}


class Page(HTMLParser):
    """Checks the nesting of every element and collects what the tests ask for."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.ids, self.links, self.cells, self.styles = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        self.links += [attrs[key] for key in ("href", "src", "xlink:href", "action", "srcset") if key in attrs]
        self.styles.append(attrs.get("style", ""))
        if tag == "td":
            self.cells.append({"id": attrs.get("id", ""), "class": attrs.get("class", ""), "text": ""})

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]} at line {self.getpos()}"
        self.open.pop()

    def handle_data(self, data):
        if "td" in self.open and "dl" not in self.open and "small" not in self.open:
            self.cells[-1]["text"] += data


@pytest.fixture(scope="module")
def text(full):
    return (full / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_every_element_is_closed_and_every_id_is_there_once(page):
    assert page.open == []
    twice = {name for name in page.ids if page.ids.count(name) > 1}
    assert not twice


def test_every_link_leads_somewhere_and_only_runs_and_papers_are_outside_the_page(page, text, full):
    files = {link for link in page.links if not link.startswith(("#", "data:", "https://"))}
    assert all((full / link).is_file() for link in files)
    exports = {link for link in files if link.startswith(("tables/", "figures/"))}
    written = {f"{folder}/{path.name}" for folder in ("tables", "figures") for path in (full / folder).iterdir()}
    assert exports == written - {"figures/figures.json"}
    outside = files - exports
    assert all(link.startswith("../runs/") for link in outside)
    assert len(outside) == (pd.read_csv(full / "cells.csv")["status"] == "completed").sum()
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text and "<link" not in text and 'http-equiv="Content-Security-Policy"' in text


def test_only_one_script_runs_and_the_policy_names_it(text):
    assert text.count("<script") == 1 and "'sha256-" in text
    assert not re.search(r"\son\w+=", text.split("<script")[0])


def test_small_enough(full):
    assert (full / "report.html").stat().st_size < 3_000_000


def values_shown(page: Page, folder) -> int:
    """Every row of threshold_rule.csv has a cell of its own that shows it; how many there are."""
    verdicts = pd.read_csv(folder / "threshold_rule.csv")
    shown = {cell["id"]: cell for cell in page.cells if cell["id"]}
    for row in verdicts.itertuples():
        parts = (row.claim_source, row.dataset, row.arch, row.norm, row.recipe, row.epochs, row.metric, row.split,
                 row.selection, row.source)  # fmt: skip
        cell = shown["-".join(re.sub("[^a-z0-9]+", "-", str(part)) for part in parts)]
        assert row.verdict in cell["class"].split()
        number = formatting.measure(METRICS[row.metric], row.value)
        expected = "missing" if pd.isna(row.value) else f"{number} {row.mark}"
        assert cell["text"].replace("⚑", "").split() == expected.split()
    return len(verdicts)


def test_values_are_those_of_the_verdicts(page, full):
    assert values_shown(page, full) > 200


@pytest.mark.untraced
def test_two_papers_may_claim_something_of_one_cell(tmp_path, monkeypatch):
    """Each paper's claims have tables and figures of their own, which name it."""
    folder = simulate.write_judged(tmp_path / "judged", originals=("ye2020", "southampton"))
    monkeypatch.setattr(figures, "SUBJECTS", (dumbbell,))
    draw(folder)
    page = Page(render(folder).read_text(encoding="utf-8"))
    verdicts = pd.read_csv(folder / "threshold_rule.csv")
    key = ["dataset", "arch", "norm", "recipe", "epochs", "metric", "source"]
    assert verdicts.duplicated(key).any()  # else this shows nothing
    assert values_shown(page, folder) == len(verdicts)
    titles = {one["name"]: one["title"] for one in json.loads((folder / "figures" / "figures.json").read_text())}
    told = "CIFAR-10, claims of Jiang et al. (student report): "
    assert titles["dumbbell-cifar10-top1-southampton"].startswith(told)
    assert titles["dumbbell-cifar10-top1-ye2020"].startswith("CIFAR-10, claims of Ye et al. 2020: ")


def test_every_accuracy_and_every_second_stands_in_a_csv(page, full):
    known = {
        f"{100 * value:.2f}" for value in pd.read_csv(full / "threshold_rule.csv")[["claimed", "value", "sd"]].stack()
    }
    comparison = pd.read_csv(full / "comparison.csv")
    known |= {f"{100 * value:.2f}" for value in comparison[["baseline_value", "method_value"]].stack()}
    timing = pd.read_csv(full / "runtime.csv")
    known |= {f"{value:,.2f}" if value < 100 else f"{value:,.0f}" for value in timing["train_seconds"].dropna()}
    known |= {f"{value:.2f}×" for value in timing["ratio"].dropna()}
    known |= {f"{value:,.4f}" for value in pd.read_csv(full / "repeat_consistency.csv")["deviation"]}
    numbers = [n for cell in page.cells if not cell["class"].startswith(("text", "dots")) for n in cell["text"].split()]
    numbers = [n for n in numbers if re.fullmatch(r"[\d.,]*\.\d+×?", n)]
    assert len(numbers) > 500
    assert not [n for n in numbers if n not in known]


def test_what_is_missing_is_shown_and_counted(page, text, full):
    cells = pd.read_csv(full / "cells.csv")
    dots = "".join(cell["text"] for cell in page.cells if cell["class"].startswith("dots"))
    for status, dot in (("completed", "●"), ("diverged", "✕"), ("failed", "■"), ("missing", "○")):
        assert dots.count(dot) == (cells["status"] == status).sum()
    done = (cells["status"] == "completed").sum()
    assert f"{done} of {len(cells)} planned cells" in text


def test_mixed_setups_are_named(text):
    assert "The runs were not all made alike" in text
    assert "NVIDIA A100-SXM4-80GB, NVIDIA H200" in text and "torch: 2.11.0, 2.13.0" in text


def test_the_head_names_the_experiments_and_the_foot_what_made_the_runs(text):
    """A study that takes a part of a configuration is headed by that part, not by a description of all of it."""
    head, foot = text[text.index("<header>") : text.index("</header>")], text[text.index("<footer>") :]
    assert "Table 1 (360 cells)" in head and "last run 2026-01-" in head
    assert all(fact in foot for fact in ("Runs made with", "renorm 0.1.0, commit 47b0648", "Hardware", "SHA-256"))
    assert all(fact in foot for fact in ("Configuration", "How to cite", "Licence"))


@pytest.mark.untraced
def test_a_label_is_text_whatever_it_says(tmp_path):
    hostile = "<script>alert(1)</script>"
    folder = simulate.write_study(
        tmp_path / "hostile", demo=True, vgg16=hostile, resnet18='"><img src=x onerror=alert(2)>'
    )
    verdicts = (folder / "threshold_rule.csv").read_text(encoding="utf-8")
    (folder / "threshold_rule.csv").write_text(verdicts.replace("Table 1", hostile + "$\\frac$"), encoding="utf-8")
    draw(folder)
    text = render(folder).read_text(encoding="utf-8")
    assert text.count("<script") == 1 and "<img" not in text
    assert "&lt;script&gt;alert(1)" in text
    Page(text)


def test_no_link_to_a_record_that_is_not_there(demo):
    assert "../runs/" not in (demo / "report.html").read_text(encoding="utf-8")


@pytest.mark.untraced
def test_the_same_files_give_the_same_bytes(full):
    before = (full / "report.html").read_bytes()
    start = time.perf_counter()
    assert render(full).read_bytes() == before
    print(f"page {time.perf_counter() - start:.1f} s, {len(before):,} bytes")


@pytest.mark.parametrize("given", [{"runs": False}, {"claims": False}, {"runs": False, "claims": False}])
def test_renders_from_whatever_exists(tmp_path, given):
    folder = simulate.write_study(tmp_path / "partial", demo=True, **given)
    draw(folder)
    page = Page(render(folder).read_text(encoding="utf-8"))
    assert page.open == []


def test_renders_without_figures_and_without_a_single_row(tmp_path):
    folder = simulate.write_study(tmp_path / "empty", demo=True)
    for name in (*simulate.COLUMNS, *simulate.OPTIONAL):
        simulate.write_table(folder, name, [])
    assert [path.name for path in draw(folder)] == ["figures.json"]
    (folder / "figures" / "figures.json").unlink()
    assert "Nothing is known about this yet" in render(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*(f"{table}.csv" for table in simulate.COLUMNS), "study.json"])
def test_a_missing_file_is_one_line_that_says_what_to_run(tmp_path, name):
    folder = simulate.write_study(tmp_path / "study", demo=True)
    (folder / name).unlink()
    with pytest.raises(RenormError, match=rf"{re.escape(name)}: not there; run `renorm (collect|judge)` first") as told:
        render(folder)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (b"", "the header is empty"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"source,dataset\n", "column .* is missing"),
        (None, ":2: claimed: 'x' is not a number"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, broken, told):
    folder = simulate.write_study(tmp_path / "study", demo=True)
    path = folder / "threshold_rule.csv"
    header, first = path.read_text(encoding="utf-8").splitlines()[:2]
    cells = first.split(",")
    cells[header.split(",").index("claimed")] = "x"
    path.write_bytes(f"{header}\n{','.join(cells)}\n".encode() if broken is None else broken)
    with pytest.raises(RenormError, match=told) as error:
        render(folder)
    assert "\n" not in str(error.value) and "threshold_rule.csv" in str(error.value)


@pytest.mark.untraced
def test_the_real_judge_and_the_real_claims(tmp_path):
    """The tables that the analysis writes today fill every section of the page."""
    folder = simulate.write_judged(tmp_path / "judged")
    text = render(folder).read_text(encoding="utf-8")
    Page(text)
    sections = ["glance", "audit", "statements", "completeness", "comparison", "equivalence", "own", "runtime"]
    assert [key for key in [*sections, "repeat_consistency", "curves", "provenance"] if f'id="{key}"' not in text] == []
    results = pd.read_csv(folder / "study_means.csv", keep_default_na=False).query(
        "norm == 'none' and metric == 'top1'"
    )
    assert len(results) and 'id="own-imagenet-vgg11-imagenet-none-imagenet-90-top1"' in text  # outside the pair
    ledger = pd.read_csv(folder / "statements.csv")
    marks = ("✓ holds", "✓? holds within noise", "✗? fails within noise", "✗ fails", "… not testable")
    assert sum(text.count(f"{mark}</a>") for mark in marks) == len(ledger)
    assert "14.38" in text and "99.86" in text and "Nothing is known about this yet" not in text
    assert len(text.encode()) < 1_600_000  # its figures take nearly as much again, and 3 MB is the limit


def test_the_sources_stand_in_full_and_only_web_addresses_are_links(tmp_path):
    folder = simulate.write_study(tmp_path / "study", demo=True)
    for name, url in (("one", "https://example.org/a?b=1&c=2"), ("two", "javascript:alert(1)")):
        source = {"name": name, "label": f"{name} <b>", "title": "A title", "authors": "A. Author", "year": 2020,
                  "kind": "original", "url": url, "note": "A note."}  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "source.yaml").write_text(json.dumps(source))
    study = json.loads((folder / "study.json").read_text())
    study["claims"] = {"original": ["../one"], "reproductions": ["../two"]}  # relative to the study, as collect writes
    (folder / "study.json").write_text(json.dumps(study))
    text = render(folder).read_text(encoding="utf-8")
    page = Page(text)
    assert "https://example.org/a?b=1&c=2" in page.links and not any("javascript" in link for link in page.links)
    assert "javascript:alert(1)" in text and "one &lt;b&gt;" in text and "A. Author" in text and "2020" in text
    (tmp_path / "two" / "source.yaml").unlink()
    assert "two/source.yaml: cannot be read" in render(folder).read_text(encoding="utf-8")


def test_the_rows_of_a_finding_are_ranges():
    assert places("7") == "7"
    assert places("t4.csv:10 t4.csv:9 t4.csv:2 t5.csv:3 t5.csv:4 t5.csv:5") == "t4.csv: 2, 9–10; t5.csv: 3–5"
    assert places("my t 4.csv:10 my t 4.csv:11 5.csv:2") == "my t 4.csv: 10–11; 5.csv: 2"
    assert places("7 8 12") == "7–8, 12" and places("") == ""
