"""`renorm article`: what a study contributes to a ReScience C or MLRC article, as files for its authors to complete.

metadata.yaml has the keys of ReScience C's template; what no study knows (authors, reviewers, dates) is empty. The
title opens with [Re] where the claim holds or mostly holds, with [¬Re] where it fails, with neither while it is open.
"""

from pathlib import Path
from typing import Any

import jinja2
import yaml

from renorm.core.errors import RenormError
from renorm.core.files import write_atomic
from renorm.judging.answers import FAILS, HOLDS, MOSTLY
from renorm.judging.verdict import HEADLINE, verdict
from renorm.report import imprint
from renorm.report.export import latex, to_latex
from renorm.report.figures.captions import FOLDER, captions
from renorm.report.inputs import Inputs, load
from renorm.report.tables import build

PREFIX = {HOLDS: "[Re]", MOSTLY: "[Re]", FAILS: "[¬Re]"}
SECTIONS = ("own", "comparison", "equivalence", "runtime")  # whose tables are printed, as far as they are of this study
HEAD = "# ReScience C metadata, written by renorm: fill in what is empty.\n"
TEMPLATE = "article.tex.j2"


def write_article(study_dir: Path, out: Path | None = None) -> list[Path]:
    """Write article.tex, metadata.yaml, bibliography.bib and tables/ of the judged study in `study_dir`.

    Args:
        study_dir: The study's folder.
        out: A folder; by default `study_dir`/article. What authors have written in it is not overwritten.

    Returns:
        The paths of the four.

    Raises:
        RenormError: The study was not judged, or there is an article in `out` already.
    """
    folder = Path(out or Path(study_dir) / "article")
    paths = [folder / name for name in ("article.tex", "metadata.yaml", "bibliography.bib")]
    there = next((path for path in paths if path.exists()), None)
    if there:
        raise RenormError(f"{there}: is there already: name another folder with --out")
    inputs, found = load(Path(study_dir)), verdict(study_dir)
    tables = [table for table in build(inputs) if table.own and table.section in SECTIONS]
    said = {"abstract": abstract(inputs, found), "title": _title(inputs)}
    texts = (
        _article(inputs, found, said, tables),
        HEAD + yaml.safe_dump(metadata(inputs, found, said), sort_keys=False, allow_unicode=True, width=100),
        "\n".join(_entry(key, source) for key, source in inputs.published.items()),
    )
    for table in tables:
        write_atomic(folder / "tables" / f"{table.id}.tex", to_latex(table))
    for path, text in zip(paths, texts, strict=True):
        write_atomic(path, text)
    return [*paths, folder / "tables"]


def abstract(inputs: Inputs, found: dict[str, Any]) -> str:
    """The study in figures: what was run, the four answers, and how many published sentences hold."""
    answers = captions()["glance"]["questions"]
    complete = found["questions"]["complete"]
    tried = f"We re-ran {_title(inputs)}" + (f" ({_references(inputs)})" if inputs.published else "")
    lines = [f"{tried}: {complete['text']}."]
    for key, row in found["questions"].items():
        if key != "complete":
            lines.append(f"{answers[key]} {row['verdict'].capitalize()}: {row['text']}.")
    outcomes = [row["outcome"] for row in found["statements"] if row["outcome"] != "not testable"]
    if outcomes:
        holds = sum(outcome.startswith("holds") for outcome in outcomes)
        lines.append(f"Of {len(outcomes)} published sentences that these runs test, {holds} hold.")
    return " ".join(lines)


def metadata(inputs: Inputs, found: dict[str, Any], said: dict[str, str]) -> dict[str, Any]:
    """The document of ReScience C's template; keys that the authors fill are empty."""
    prefix = PREFIX.get(found[HEADLINE], "")
    original = next((s for s in inputs.published.values() if s.get("kind") == "original"), {})
    person = {"name": "", "orcid": "", "email": "", "affiliations": 1}
    return {
        "title": f"{prefix} {said['title']}".strip(),
        "authors": [person],
        "affiliations": [{"code": 1, "name": "", "address": ""}],
        "keywords": "reproducibility, deep learning",
        "code": [{"url": ""}, {"doi": ""}, {"swh": ""}],
        "data": [{"url": ""}, {"doi": ""}],
        "contributors": [{"name": "", "orcid": "", "role": role} for role in ("editor", "reviewer", "reviewer")],
        "dates": [{"received": ""}, {"accepted": ""}, {"published": ""}],
        "type": "Replication",
        "domain": "Machine learning",
        "language": "Python",
        "review": [{"url": ""}],
        "replication": [
            {"cite": _reference(original) if original else ""},
            {"bib": next((_cited(key) for key, source in inputs.published.items() if source is original), "")},
            {"url": original.get("url") or ""},
            {"doi": ""},
        ],
        "abstract": said["abstract"],
        "bibliography": "bibliography.bib",
        "article": [{"number": ""}, {"doi": ""}, {"url": ""}],
        "journal": [{"name": "ReScience C"}, {"issn": "2430-3658"}, {"volume": ""}, {"issue": ""}],
    }


def _article(inputs: Inputs, found: dict[str, Any], said: dict[str, str], tables: list) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True,
        lstrip_blocks=True, block_start_string="((%", block_end_string="%))", variable_start_string="((*",
        variable_end_string="*))", comment_start_string="((#",
        comment_end_string="#))", finalize=lambda value: latex(str(value)),
    )  # fmt: skip
    questions = captions()["glance"]["questions"]
    return environment.get_template(TEMPLATE).render(
        renorm=imprint.written_by(), name=inputs.name, title=said["title"], abstract=said["abstract"],
        prefix=f"{PREFIX[found[HEADLINE]]} " if found[HEADLINE] in PREFIX else "",
        sources=[{"key": _cited(key), "label": s.get("label", key), "reference": _reference(s)}
                 for key, s in inputs.published.items()],
        statements=[{**row, "found": f" ({row['found']})" if row["found"] else ""}
                    for row in found["statements"] if row["outcome"] != "not testable"],
        facts=imprint.facts(inputs),
        answers=[{"question": questions[key], **row} for key, row in found["questions"].items()],
        tables=[{"title": table.title, "file": f"{table.id}.tex"} for table in tables],
    )  # fmt: skip


def _title(inputs: Inputs) -> str:
    return inputs.study.heading


def _references(inputs: Inputs) -> str:
    return "; ".join(source.get("label", key) for key, source in inputs.published.items())


def _reference(source: dict) -> str:
    parts = (source.get("authors"), source.get("title"), source.get("year"))
    return ", ".join(str(part) for part in parts if part)


def _cited(key: str) -> str:
    """A source's key as LaTeX and BibTeX take it."""
    return key.replace("_", "-")


def _entry(key: str, source: dict) -> str:
    """A BibTeX entry: BibTeX joins names with "and", where sources have commas."""
    authors = " and ".join(part.strip() for part in str(source.get("authors") or "").split(","))
    fields = {"author": latex(authors), "title": f"{{{latex(str(source.get('title') or key))}}}",
              "year": str(source.get("year") or ""), "howpublished": f"\\url{{{source.get('url') or ''}}}"}  # fmt: skip
    body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value and value != "\\url{}")
    return f"@misc{{{_cited(key)},\n{body}}}\n"
