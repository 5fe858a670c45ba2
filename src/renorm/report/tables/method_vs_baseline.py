"""Method against baseline, tested pair by pair where single runs are known."""

import pandas as pd

from renorm.core.table_specs import GROUP
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, facets, slug
from renorm.report.tables.model import Cell, Group, Head, Row, Table

LOOKS = {"better": ("▲", "better"), "worse": ("▼", "below"), "undecided": ("?", "within")}


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("method_vs_baseline"):
        return []
    names = Names(inputs)
    return [table for one in inputs.comparisons.values() for table in _of(names, one)]


def _of(names: Names, comparison: dict) -> list[Table]:
    frame = names.inputs.of("method_vs_baseline", comparison)
    keys = [
        (d, s, m) for d in names.order("dataset", frame) for s in names.sources(frame) for m in names.metrics(frame)
    ]
    made = [(key, _rows(frame, key)) for key in keys]
    return [_table(names, comparison, key, rows) for key, rows in made if rows["difference"].notna().any()]


def _rows(frame: pd.DataFrame, key: tuple[str, str, str]) -> pd.DataFrame:
    dataset, source, metric = key
    return frame[(frame["dataset"] == dataset) & (frame["source"] == source) & (frame["metric"] == metric)]


def _table(names: Names, comparison: dict, key: tuple[str, str, str], rows: pd.DataFrame) -> Table:
    dataset, source, metric = key
    epochs = sorted(set(rows["epochs"]))
    axis, leading = comparison["axis"], comparison == names.inputs.leading
    lookup = {(*Names.place(row, axis), row["epochs"]): row for row in rows.to_dict("records")}
    groups, places = [], names.places(rows, axis)
    for at in places:
        cells = [cell for setting in epochs for cell in _cells(names, lookup.get((*at, setting)))]
        label = names.place_label(at, places)
        groups.append(Group([Row([label], cells)], key=label, facets=facets(at)))
    unit = names.metric(metric).difference or "difference"
    stub = ("Setting", "recipe") if axis == "arch" else ("Architecture", "arch")
    low_heads = ((unit, "difference"), ("p (Holm)", "p_holm"))
    top = [Head(*stub, down=2, kind="text")]
    top += [Head(epochs_label(setting), "epochs", span=2, first=True) for setting in epochs]
    low = [Head(*named, first=i == 0, sort=True) for _ in epochs for i, named in enumerate(low_heads)]
    title = f"{names.dataset(dataset)}, {names.label('metric', metric)}, {names.source(source)}: "
    title += f"{names.side(comparison, 'method')} minus {names.side(comparison, 'baseline')}"
    columns = [f"{epochs_label(setting)}: {text}" for setting in epochs for text, _ in low_heads]
    return Table(
        slug("method_vs_baseline", *key, "" if leading else comparison["name"]), title,
        "own" if leading else "comparisons", [top, low], groups, ["Architecture"], columns,
        "method_vs_baseline", dataset=dataset, own=source == names.inputs.name, collapsed=True,
    )  # fmt: skip


def _cells(names: Names, row: dict | None) -> list[Cell]:
    if row is None:
        return [Cell("", first=True), Cell("")]
    if not formatting.known(row["difference"]):
        return [Cell("missing", tone="missing", first=True), Cell("")]
    mark, tone = LOOKS.get(row["outcome"], ("", "missing"))
    metric = names.metric(row["metric"])
    points = formatting.difference(metric, row["difference"])
    card = [("difference", formatting.with_unit(points, metric))]
    if formatting.known(row["low"]):
        card.append(("interval", " to ".join(formatting.difference(metric, row[end]) for end in ("low", "high"))))
    card += [
        ("test", row["test"]),
        ("runs", f"{formatting.count(row['n_baseline'])} and {formatting.count(row['n_method'])}"),
    ]
    card += [("p", _p(row["p"])), ("outcome", f"{row['outcome']}: {row['reason']}")]
    difference = Cell(points, mark=mark, tone=tone, sort=row["difference"], first=True, card=card)
    difference.id = slug("tested", *(row[k] for k in ("comparison", *GROUP, "metric", "source")))
    return [difference, Cell(_p(row["p_holm"]), sort="" if pd.isna(row["p_holm"]) else row["p_holm"], kind="ratio")]


def _p(value: float) -> str:
    if not formatting.known(value):
        return formatting.ABSENT
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
