"""The page: one HTML file that needs nothing else, not even JavaScript."""

import base64
import hashlib
import json
import re
from pathlib import Path

import jinja2

from renorm.core.errors import RenormError
from renorm.core.files import write_atomic
from renorm.core.metrics import Metric
from renorm.report import imprint, svg
from renorm.report.figures.captions import FOLDER, captions
from renorm.report.inputs import Inputs, load
from renorm.report.labels import Names, slug
from renorm.report.palette import DARK, LIGHT
from renorm.report.summary import Glance
from renorm.report.tables import build
from renorm.report.tables.provenance import mixed
from renorm.runs import made_from
from renorm.study.config import Judge

FORMATS = (("csv", "CSV"), ("tex", "LaTeX"), ("md", "Markdown"))


def render(study_dir: Path, template_dir: Path | None = None) -> Path:
    """Write `study_dir`/report.html from its CSVs and, where they were drawn, its figures."""
    inputs = load(Path(study_dir))
    folder = Path(template_dir or FOLDER)
    page = environment(folder).get_template("page.html.j2").render(**_context(inputs, folder))
    path = Path(study_dir) / "report.html"
    write_atomic(path, page)
    made_from.note_after(Path(study_dir), made_from.REPORT)
    return path


def environment(folder: Path) -> jinja2.Environment:
    if not (folder / "page.html.j2").exists():
        raise RenormError(f"{folder / 'page.html.j2'}: not there; restore it from the repository")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["slug"] = slug
    return environment


def _context(inputs: Inputs, folder: Path) -> dict:
    judge = inputs.study.judge
    names = Names(inputs)
    return {
        "study": inputs.study,
        "name": inputs.name,
        "title": inputs.study.heading,
        "experiments": imprint.experiments(inputs),
        "finished": imprint.finished(inputs),
        "written_by": imprint.written_by(),
        "facts": imprint.facts(inputs),
        "short": _short(inputs, names),
        "words": captions()["imprint"],
        "glance": captions()["glance"],
        "files": lambda id: _files(inputs.folder, id),
        "baseline": names.norm(inputs.baseline),
        "method": names.norm(inputs.method),
        "sources": _sources(inputs, names),
        "rule": _rule(judge, inputs.primary),
        "terms": names.terms(),
        "answers": Glance(inputs).answers(),
        "findings": Glance(inputs).findings(),
        "sections": _sections(inputs, names, _rule(judge, inputs.primary)),
        "mixed": mixed(inputs),
        "filters": _filters(names),
        **frame(folder),
    }


def frame(folder: Path) -> dict:
    """What every page carries in itself: colours, style, and the one script that its policy lets run."""
    script = compact((folder / "script.js").read_text(encoding="utf-8"))
    return {
        "light": LIGHT,
        "dark": DARK,
        "style": (folder / "style.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }


def compact(script: str) -> str:
    """The script without indentation, lines that only explain it, and spaces around operators.

    Its strings hold none of these operators between spaces.
    """
    lines = (line.strip() for line in script.splitlines())
    code = "\n".join(line for line in lines if line and not line.startswith("//"))
    return re.sub(r" (=>|===|!==|=|\?\?|\?|&&|\|\||[*<]) ", r"\1", code).replace(", ", ",")


# The filter by verdict: a cell's tone, and what that is called in the tables.
VERDICTS = (
    ("better", "▲ ✓ better, reproduced, holds"),
    ("within", "= ? within, inconclusive"),
    ("below", "▼ ✗ below, not reproduced, fails"),
    ("missing", "– … missing, not testable"),
)
AXES = {"dataset": "Data set", "arch": "Architecture", "norm": "Normaliser", "recipe": "Recipe"}


def _filters(names: Names) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(axis, label, (key, word) of every choice): axes of which there is but one key need no filter."""
    frames = names.inputs["cells"], names.inputs["threshold_rule"]
    filters = [
        (axis, label, [(key, names.label(axis, key)) for key in names.order(axis, *frames) if key])
        for axis, label in AXES.items()
    ]
    return [one for one in filters if len(one[2]) > 1] + [("verdict", "Verdict", list(VERDICTS))]


def _short(inputs: Inputs, names: Names) -> list[str]:
    """What the abbreviations of the two normalisers are, where they are any."""
    keys = [key for key in (inputs.method, inputs.baseline) if key and names.norm(key) != key]
    return [captions()["imprint"]["short"].format(label=names.norm(key), key=key) for key in keys]


def _files(folder: Path, id: str) -> list[tuple[str, str]]:
    """(format, address) of a table's files, as far as they were written."""
    paths = [(word, f"tables/{id}.{ending}") for ending, word in FORMATS]
    return [(word, path) for word, path in paths if (folder / path).is_file()]


def _sources(inputs: Inputs, names: Names) -> list[str]:
    return [names.source(source) for source in names.sources(inputs["threshold_rule"])]


def _rule(judge: Judge, metric: Metric) -> dict:
    """The published rule in the study's own numbers, for the legend."""
    relative = judge.threshold_kind == "relative"
    text = f"{100 * judge.threshold:g}\u00a0%" if relative else metric.amount(metric.scale * judge.threshold)
    return {
        "threshold": text,
        "relative": relative,
        "consistency": f"{judge.consistency_threshold:g}",
    }


def _sections(inputs: Inputs, names: Names, rule: dict) -> list[dict]:
    """Only sections with something in them; their parts are tables and figures, dataset by dataset.

    What has no value of this study is in the section `published`, whatever it is about.
    """
    tables, figures, glance = build(inputs), _figures(inputs), Glance(inputs)
    for part in [*((table.id, table.section) for table in tables), *((one["name"], one["section"]) for one in figures)]:
        if part[1] not in captions()["sections"]:
            raise RenormError(f"{inputs.folder}: {part[0]}: no section '{part[1]}'; run `renorm figures` again")
    said = {"baseline": names.norm(inputs.baseline), "method": names.norm(inputs.method), **names.terms(), **rule}
    sections = []
    for key, section in captions()["sections"].items():
        here = [table for table in tables if (table.section if table.own else "published") == key]
        drawn = [one for one in figures if (one["section"] if one["own"] else "published") == key]
        if here or drawn:
            sections.append({
                "id": key, "heading": section["heading"], "intro": section.get("intro", "").format(**said),
                "notes": glance.ranges(key), "parts": _interleaved(here, drawn),
                "collapsed": section.get("collapsed", False),
            })  # fmt: skip
    return sections


def _interleaved(tables: list, figures: list[dict]) -> list[dict]:
    """Data set by data set; its figures follow its last table, so that both are seen together."""
    order = list(dict.fromkeys(table.dataset for table in tables if table.dataset))
    tables = sorted(tables, key=lambda table: order.index(table.dataset) if table.dataset else len(order))
    last = {table.dataset: place for place, table in enumerate(tables)}
    parts, placed = [], set()
    for place, table in enumerate(tables):
        parts.append({"table": table})
        if last[table.dataset] == place and table.dataset:
            parts += [{"figure": figure} for figure in figures if figure["dataset"] == table.dataset]
            placed.add(table.dataset)
    return parts + [{"figure": figure} for figure in figures if figure["dataset"] not in placed]


def _figures(inputs: Inputs) -> list[dict]:
    folder = inputs.folder / "figures"
    if not (folder / "figures.json").exists():
        return []
    try:
        entries = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        return [{**entry, "svg": _svg(folder / entry["file"], entry)} for entry in entries]
    except (OSError, ValueError, KeyError) as error:
        raise RenormError(f"{folder}: broken figures ({error}); run `renorm figures` again") from None


def _svg(path: Path, entry: dict) -> str:
    return svg.inline(path.read_text(encoding="utf-8"), entry["name"], entry["alt"])
