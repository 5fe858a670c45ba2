"""What replication science asks beside the verdicts: the sources combined, and how each repetition agrees."""

import pandas as pd

from renorm.core.metrics import Metric
from renorm.core.table_specs import GROUP
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.tables.model import Cell, Table, flat, text

PAIR = ("comparison", *GROUP)


def tables(inputs: Inputs) -> list[Table]:
    """For each comparison and data set: the combined effects, then the replications one by one."""
    names, made = Names(inputs), []
    for comparison in inputs.comparisons.values():
        for name, build in (("meta_analysis", _combined), ("replications", _repeated)):
            frame = inputs.of(name, comparison) if inputs.has(name) else pd.DataFrame(columns=["dataset"])
            for dataset in names.order("dataset", frame):
                made.append(build(names, comparison, dataset, frame[frame["dataset"] == dataset]))
    return made


def _combined(names: Names, comparison: dict, dataset: str, rows: pd.DataFrame) -> Table:
    unit, metric = names.inputs.primary.difference or "difference", names.inputs.primary
    columns = {"Setting": "arch", "Epochs": "epochs", "Sources": "sources", f"fixed, {unit}": "fixed",
               f"random, {unit}": "random", "I²": "i2", "heterogeneity p": "q_p"}  # fmt: skip
    made = []
    for label, row in _labelled(names, comparison, rows):
        sources = ", ".join(map(names.source, row["sources"].split(";")))
        cells = [_interval(metric, row, model) for model in ("fixed", "random")]
        cells[1].id = slug("combined", *(row[key] for key in PAIR))
        cells[1].card = [
            ("between sources", f"τ {_width(metric, max(row['tau2'], 0) ** 0.5)}"), ("Q", f"{row['q']:.2f}"),
        ]  # fmt: skip
        share = Cell(f"{100 * row['i2']:.0f}\u00a0%", sort=row["i2"])
        made.append([text(label), text(epochs_label(row["epochs"])), text(sources), *cells, share, _p(row["q_p"])])
    title = f"{names.dataset(dataset)}: {names.comparison(comparison)}, the sources combined"
    return flat(
        slug("combined", dataset, comparison["name"]), title, "replication", columns, made, dataset=dataset,
        spec="meta_analysis", own=_own(names, rows["sources"].str.split(";").explode()), collapsed=True,
    )  # fmt: skip


def _repeated(names: Names, comparison: dict, dataset: str, rows: pd.DataFrame) -> Table:
    metric = names.inputs.primary
    unit = metric.difference or "difference"
    columns = {"Setting": "arch", "Epochs": "epochs", "Earlier": "earlier", "Later": "later",
               f"earlier, {unit}": "earlier_effect", f"later, {unit}": "later_effect", "expected": "prediction_low",
               "as expected": "inside_prediction", "sceptical p": "sceptical_p_golden"}  # fmt: skip
    made = []
    for label, row in _labelled(names, comparison, rows):
        inside = row["inside_prediction"] == "true"
        sceptical = _p(row["sceptical_p_golden"])
        sceptical.id = slug("replication", *(row[key] for key in PAIR), row["earlier"], row["later"])
        sceptical.card = [
            ("nominal", f"{row['sceptical_p']:.3g}"),
            ("recalibrated", f"{row['sceptical_p_golden']:.3g}"),
        ]
        made.append([
            text(label), text(epochs_label(row["epochs"])), text(names.source(row["earlier"])),
            text(names.source(row["later"])), _effect(metric, row, "earlier"), _effect(metric, row, "later"),
            Cell(f"{_width(metric, row['prediction_low'])} to {_width(metric, row['prediction_high'])}"),
            text("yes" if inside else "no", tone="better" if inside else "below"), sceptical,
        ])  # fmt: skip
    title = f"{names.dataset(dataset)}: {names.comparison(comparison)}, effects that were repeated"
    return flat(
        slug("replications", dataset, comparison["name"]), title, "replication", columns, made, dataset=dataset,
        spec="replications", own=_own(names, rows["later"]), collapsed=True,
    )  # fmt: skip


def _own(names: Names, sources: pd.Series) -> bool:
    return names.inputs.name in set(sources)


def _labelled(names: Names, comparison: dict, rows: pd.DataFrame) -> list[tuple[str, dict]]:
    """(what its row is called, the row), in the order of the study."""
    places = names.places(rows, comparison["axis"])
    order = [(names.place(row, comparison["axis"]), row) for row in rows.to_dict("records")]
    order.sort(key=lambda found: (places.index(found[0]), found[1]["epochs"]))
    return [(names.place_label(at, places), row) for at, row in order]


def _width(metric: Metric, value: float) -> str:
    return formatting.signed(f"{metric.scale * value:.{metric.digits}f}")


def _interval(metric: Metric, row: dict, model: str) -> Cell:
    ends = (_width(metric, row[f"{model}{end}"]) for end in ("_low", "_high"))
    return Cell(_width(metric, row[model]), sort=row[model], small=" to ".join(ends))


def _effect(metric: Metric, row: dict, side: str) -> Cell:
    error = _width(metric, row[f"{side}_se"])
    return Cell(_width(metric, row[f"{side}_effect"]), sort=row[f"{side}_effect"], small=f"± {error}")


def _p(value: float) -> Cell:
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", sort=value, kind="ratio")
