"""`renorm report --compare A B`: two judged studies side by side, cell by cell, on one page of the same kind."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from renorm.core.files import write_atomic
from renorm.core.table_specs import COMPARED, GROUP
from renorm.judging import compare_studies
from renorm.report import formatting, svg
from renorm.report.figures.captions import FOLDER, captions
from renorm.report.figures.style import HEAD, bands, look, mark, panels, plain, rendered, rows_axis, tidy
from renorm.report.inputs import Inputs, load
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.page import environment, frame
from renorm.report.palette import LIGHT
from renorm.report.tables.comparison import of_expected
from renorm.report.tables.model import Cell, Group, Head, Row, Table, flat, text
from renorm.report.tables.provenance import SETUP

ALPHA = 0.05
CELL = {"Dataset": "dataset", "Architecture": "arch", "Norm": "norm", "Recipe": "recipe", "Epochs": "epochs"}
LOW = {"A": "value_a", "B": "value_b", "B − A": "difference", "time B / A": "ratio"}


class Written(NamedTuple):
    """The page, and its answers as lines: question, sentence, the quieter line."""

    page: Path
    lines: list[str]


def compare(a: Path, b: Path, out: Path | None = None) -> Written:
    """Write the page and its two CSVs, by default beside study A.

    Raises:
        RenormError: A folder was not judged, or one of its tables cannot be read.
    """
    sides = load(Path(a)), load(Path(b))
    rows = compare_studies.cells(a, b)
    changes = compare_studies.changed_verdicts(a, b, (sides[0].name, sides[1].name))
    out = out or Path(a).resolve().parent / f"compare-{Path(a).resolve().name}-{Path(b).resolve().name}.html"
    COMPARED[0].write(out.with_suffix(".csv"), rows)
    COMPARED[1].write(out.with_name(f"{out.stem}-verdicts.csv"), changes)
    context = _context(sides, rows, changes)
    write_atomic(out, environment(FOLDER).get_template("compare.html.j2").render(**context))
    return Written(out, [" ".join(filter(None, answer.values())) for answer in context["answers"]])


def _context(sides: tuple[Inputs, Inputs], rows: list[dict], changes: list[dict]) -> dict:
    names = Names(sides[0])
    sections = [
        ("differences", _setups(sides)),
        ("verdicts", [_changes(names, changes)]),
        ("cells", _cells(names, rows)),
        ("only", [_only(names, rows)]),
    ]
    words = captions()["compare"]
    return {
        "a": _called(sides[0]), "b": _called(sides[1]), "words": words,
        "answers": _answers(names, words, compare_studies.counts(rows, ALPHA), changes),
        "sections": [{"id": key, "tables": [t for t in tables if t.groups]} for key, tables in sections],
        "figures": _figures(names, rows), **frame(FOLDER),
    }  # fmt: skip


def _called(side: Inputs) -> dict:
    return {"name": side.name, "title": side.study.heading, "folder": str(side.folder)}


def _answers(names: Names, words: dict, counts: dict, changes: list[dict]) -> list[dict]:
    """Question, the sentence that answers it, and a quieter line."""
    said = {key: formatting.count(value) for key, value in counts.items() if value is None or float(value).is_integer()}
    metric, far = names.inputs.primary, counts["largest_difference"]
    mean = formatting.difference(metric, counts["mean_difference"])
    said |= {"mean": formatting.with_unit(mean, metric), "ratio": formatting.ratio(counts["ratio"])}
    said |= {"largest": formatting.measure(metric, far), "timed": formatting.count(counts["timed"])}
    for rule in ("published", "rigorous"):
        said[rule] = formatting.count(float(sum(row["rule"] == rule for row in changes)))
    return [_answer(answer, _cases(counts), said) for answer in words["answers"]]


def _answer(answer: dict, cases: list[str], said: dict) -> dict:
    """The sentence of the first of `cases` that the answer has a sentence for, else its usual ones."""
    case = next((case for case in cases if case in answer), "lead")
    beside = answer["line"] if case == "lead" or "{only_a}" in answer["line"] else ""
    return {"question": answer["question"], "lead": answer[case].format(**said), "line": beside.format(**said)}


def _cases(counts: dict) -> list[str]:
    """What is special: no value to compare (`disjoint`), every value the same (`equal`), no test, no time in both."""
    cases = ["disjoint"] if not counts["known"] else ["equal"] if counts["equal"] == counts["known"] else []
    cases += [] if counts["tested"] else ["untested"]
    return cases + ([] if counts["timed"] else ["untimed"])


def _setups(sides: tuple[Inputs, Inputs]) -> list[Table]:
    """What the two were made with and judged by, where it is not the same."""
    pairs = [(column, *(_values(side, column) for side in sides)) for column in SETUP]
    first, second = (_judged_by(side) for side in sides)
    pairs += [(key, first.get(key, ""), second.get(key, "")) for key in {**first, **second}]
    rows = [[text(part) for part in pair] for pair in pairs if pair[1] != pair[2]]
    return [flat("setups", "Made and judged differently", "differences", dict.fromkeys(("What", "A", "B"), ""), rows)]


def _judged_by(side: Inputs) -> dict[str, str]:
    """The comparisons by their names, and the settings of `judge`."""
    named = {f"comparisons.{c.name}": f"{c.axis}: {c.method} against {c.baseline}" for c in side.study.comparisons}
    return named | {f"judge.{key}": str(value) for key, value in side.study.judge.model_dump().items()}


def _values(side: Inputs, column: str) -> str:
    frame = side["provenance"]
    return ", ".join(sorted(set(map(str, frame[column])))) if column in frame.columns else ""


def _changes(names: Names, changes: list[dict]) -> Table:
    columns = ("rule", "verdict_a", "verdict_b")
    rows = [
        [*_named(names, row), text(names.source(row["claim_source"])), *(text(row[key]) for key in columns)]
        for row in changes
    ]
    heads = CELL | {"Claimed by": "claim_source", "Rule": "rule", "A": "verdict_a", "B": "verdict_b"}
    return flat("changes", "Claim by claim", "verdicts", heads, rows, spec=COMPARED[1].name)


def _named(names: Names, row: dict) -> list[Cell]:
    named = [text(names.label(axis, row[axis])) for axis in ("dataset", "arch", "norm")]
    return [*named, text(row["recipe"]), Cell(str(row["epochs"]), sort=int(row["epochs"]))]


def _only(names: Names, rows: list[dict]) -> Table:
    made = [[*_named(names, row), text(row["in"].upper())] for row in rows if row["in"] != "ab"]
    return flat("only-one", "Cell by cell", "only", CELL | {"Only in": "in"}, made, spec=COMPARED[0].name)


def _figures(names: Names, rows: list[dict]) -> list[dict]:
    """B minus A of every cell with its interval, a figure a data set."""
    both = pd.DataFrame([row for row in rows if row.get("difference") is not None])
    with look():
        return [
            _figure(names, d, both[both["dataset"] == d]) for d in (names.order("dataset", both) if len(both) else ())
        ]


def _figure(names: Names, dataset: str, rows: pd.DataFrame) -> dict:
    metric, epochs = names.inputs.primary, sorted(set(rows["epochs"]))
    places = list(dict.fromkeys(zip(rows["arch"], rows["recipe"], rows["norm"], strict=True)))
    canvas, axes = panels(len(epochs), 3, HEAD + 0.2 * len(places))
    for i, (ax, setting) in enumerate(zip(axes, epochs, strict=True)):
        ax.axvline(0, color=LIGHT["claim"], linewidth=0.9, zorder=1)
        for row in rows[rows["epochs"] == setting].to_dict("records"):
            y = places.index((row["arch"], row["recipe"], row["norm"]))
            if formatting.known(row.get("low")):
                ends = [metric.scale * row["low"], metric.scale * row["high"]]
                ax.plot(ends, [y, y], color=LIGHT["method"], linewidth=1.2, zorder=2)
            (point,) = ax.plot(
                [metric.scale * row["difference"]], [y], marker="s", markersize=4.5, color=LIGHT["method"], zorder=3
            )
            gain = formatting.with_unit(formatting.difference(metric, row["difference"]), metric)
            said = f"{names.arch(row['arch'])}, {names.norm(row['norm'])}, {epochs_label(setting)}: {gain}"
            mark(point, said, arch=row["arch"], norm=row["norm"], recipe=row["recipe"])
        bands(ax, len(places))
        tidy(ax)
        ax.set_title(epochs_label(setting))
        ax.set_xlabel(plain(", ".join(filter(None, ("B minus A", metric.difference)))))
        rows_axis(ax, [f"{names.arch(arch)}, {names.norm(norm)}" for arch, _, norm in places], show=i == 0)
    title = f"{names.dataset(dataset)}: B minus A"
    drawn, name = rendered(canvas), slug("compare-figure", dataset)
    return {"name": name, "title": title, "svg": svg.inline(drawn, name, f"{title}; the values are in the table of it")}


def _cells(names: Names, rows: list[dict]) -> list[Table]:
    both = pd.DataFrame([row for row in rows if row["in"] == "ab"], columns=list(COMPARED[0].names))
    return [_table(names, d, both[both["dataset"] == d]) for d in names.order("dataset", both)]


def _table(names: Names, dataset: str, rows: pd.DataFrame) -> Table:
    """Architecture and norm down, epochs across, as in the report."""
    epochs = sorted(set(rows["epochs"]))
    lookup = {tuple(row[key] for key in ("arch", "recipe", "norm", "epochs")): row for row in rows.to_dict("records")}
    groups = []
    for arch, recipe in names.rows(rows):
        label = names.row_label((arch, recipe), rows)
        made = []
        for place, norm in enumerate(names.norms(rows[(rows["arch"] == arch) & (rows["recipe"] == recipe)])):
            found = [lookup.get((arch, recipe, norm, setting)) for setting in epochs]
            stub = [None if place else label, names.norm(norm)]
            made.append(Row(stub, [cell for row in found for cell in _row(names, row)]))
        groups.append(Group(made, key=label))
    top = [Head("Architecture", "arch", down=2, kind="text"), Head("Norm", "norm", down=2, kind="text")]
    top += [Head(epochs_label(setting), "epochs", span=len(LOW), first=True) for setting in epochs]
    low = [Head(*named, first=place == 0, sort=True) for _ in epochs for place, named in enumerate(LOW.items())]
    columns = [f"{epochs_label(setting)}: {word}" for setting in epochs for word in LOW]
    return Table(
        slug("compare", dataset), names.dataset(dataset), "cells", [top, low], groups, ["Architecture", "Norm"],
        columns, COMPARED[0].name, dataset=dataset,
    )  # fmt: skip


def _row(names: Names, row: dict | None) -> list[Cell]:
    if row is None:
        return [Cell("", first=True), Cell(""), Cell(""), Cell("")]
    first, second = (_mean(names, row, side) for side in "ab")
    first.first = True
    return [first, second, _difference(names, row), _ratio(row)]


def _mean(names: Names, row: dict, side: str) -> Cell:
    value, n = row[f"value_{side}"], of_expected(row[f"n_{side}"], row[f"n_expected_{side}"])
    where = f"{names.dataset(row['dataset'])}: {names.arch(row['arch'])}, {names.norm(row['norm'])}"
    card = [("study", side.upper()), ("cell", f"{where}, {epochs_label(row['epochs'])}"), ("n", n)]
    if not formatting.known(value):
        return Cell("missing", tone="missing", card=card, id=_id(row, side), below=f"n {n}")
    metric = names.metric(row["metric"])
    mean = formatting.measure(metric, value)
    card += [("mean", mean), ("SD", formatting.measure(metric, row[f"sd_{side}"]))]
    seconds = row[f"seconds_{side}"]
    card += [("training", formatting.duration(seconds))] if formatting.known(seconds) else []
    return Cell(mean, sort=value, card=card, id=_id(row, side), below=f"n {n}")


def _difference(names: Names, row: dict) -> Cell:
    """B minus A, its interval under it; coloured when it stands after Holm's adjustment."""
    value = row.get("difference")
    if not formatting.known(value):
        return Cell("")
    sure = formatting.known(row["p_holm"]) and row["p_holm"] < ALPHA
    metric = names.metric(row["metric"])
    mark, tone = (("▲", "better") if metric.gain(value, 0.0) > 0 else ("▼", "below")) if sure else ("", "")
    text = formatting.difference(metric, value)
    card = [("B − A", formatting.with_unit(text, metric)), ("test", row["test"])]
    if formatting.known(row["n_pairs"]) and row["n_pairs"]:
        card.append(("common seeds", formatting.count(row["n_pairs"])))
    card += [("p", f"{row['p']:.2g}"), ("p (Holm)", f"{row['p_holm']:.2g}")] if formatting.known(row["p"]) else []
    cell = Cell(text, mark=mark, tone=tone, sort=value, card=card, id=_id(row, "difference"))
    if formatting.known(row.get("low")):
        cell.below = " to ".join(formatting.difference(metric, row[end]) for end in ("low", "high"))
    return cell


def _ratio(row: dict) -> Cell:
    value = row.get("ratio")
    if not formatting.known(value):
        return Cell("", kind="ratio")
    cell = Cell(
        formatting.ratio(value), kind="ratio", sort=value, id=_id(row, "time"), card=[("time B / A", f"{value:.3f}")]
    )
    if formatting.known(row["ratio_low"]):
        cell.card.append(("interval", f"{formatting.ratio(row['ratio_low'])} to {formatting.ratio(row['ratio_high'])}"))
    return cell


def _id(row: dict, what: str) -> str:
    return slug("compare", *(row[key] for key in (*GROUP, "metric")), what)
