"""Method minus baseline in the study's own cells: the difference with its interval, and the line of no difference."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.lines import Line2D

from renorm.report import formatting
from renorm.report.figures.captions import words
from renorm.report.figures.style import HEAD, Figure, bands, legend, panels, plain, rows_axis, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.palette import LIGHT

COLOURS = {"better": LIGHT["method"], "worse": LIGHT["below"]}


def figures(inputs: Inputs) -> Iterator[Figure]:
    if not inputs.has("method_vs_baseline"):
        return
    for comparison in inputs.comparisons.values():
        rows = inputs.of("method_vs_baseline", comparison)
        rows = rows[(rows["source"] == inputs.name) & (rows["counted"] == "true") & rows["difference"].notna()]
        for dataset in Names(inputs).order("dataset", rows):
            yield _figure(inputs, comparison, dataset, rows[rows["dataset"] == dataset])


def _figure(inputs: Inputs, comparison: dict, dataset: str, rows: pd.DataFrame) -> Figure:
    names, leading, metric = Names(inputs), comparison == inputs.leading, inputs.primary
    epochs, places = sorted(set(rows["epochs"])), names.places(rows, comparison["axis"])
    canvas, axes = panels(len(epochs), 3, HEAD + 0.2 * len(places))
    for i, (ax, setting) in enumerate(zip(axes, epochs, strict=True)):
        _panel(ax, rows[rows["epochs"] == setting], places, comparison["axis"], metric.scale)
        bands(ax, len(places))
        ax.set_title(epochs_label(setting))
        ax.set_xlabel(plain(", ".join(filter(None, ("improvement", metric.difference)))))
        rows_axis(ax, [names.place_label(at, places) for at in places], show=i == 0)
    baseline, method = names.side(comparison, "baseline"), names.side(comparison, "method")
    legend(canvas, _handles(set(rows["outcome"]), method))
    said = words(
        "forest", **names.terms(), dataset=names.dataset(dataset), baseline=baseline, method=method,
        source=names.source(inputs.name),
        epochs=", ".join(map(epochs_label, epochs)), level=_level(inputs),
    )  # fmt: skip
    name = slug("forest", dataset, "" if leading else comparison["name"])
    return Figure(name, **said, section="own" if leading else "comparisons", dataset=dataset, canvas=canvas)


def _level(inputs: Inputs) -> str:
    return f"{100 * float((inputs.study.get('judge') or {}).get('level', 0.95)):g} %"


def _panel(ax, rows: pd.DataFrame, places: list, axis: str, scale: float) -> None:
    ax.axvline(0, color=LIGHT["claim"], linewidth=0.9, zorder=1)
    for row in rows.to_dict("records"):
        y, value = places.index(Names.place(row, axis)), scale * row["difference"]
        colour = COLOURS.get(row["outcome"], LIGHT["soft"])
        if formatting.known(row["low"]) and formatting.known(row["high"]):
            ax.plot([scale * row["low"], scale * row["high"]], [y, y], color=colour, linewidth=1.2, zorder=2)
        face = colour if row["outcome"] in COLOURS else LIGHT["ground"]
        ax.plot([value], [y], marker="s", markersize=4.5, color=colour, markerfacecolor=face, zorder=3)
    ax.margins(x=0.08)
    tidy(ax)


def _handles(outcomes: set[str], method: str) -> list[Line2D]:
    said = {"better": f"{method} better", "worse": f"{method} worse", "undecided": "undecided"}
    handles = []
    for outcome, label in said.items():
        if outcome in outcomes:
            colour = COLOURS.get(outcome, LIGHT["soft"])
            face = colour if outcome in COLOURS else LIGHT["ground"]
            mark = {"marker": "s", "markersize": 4.5, "color": colour, "markerfacecolor": face, "linewidth": 1.2}
            handles.append(Line2D([], [], **mark, label=plain(label)))
    return handles
