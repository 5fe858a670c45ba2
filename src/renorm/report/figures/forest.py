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
    rows = inputs["method_vs_baseline"]
    rows = rows[(rows["source"] == inputs.name) & (rows["counted"] == "true") & rows["difference"].notna()]
    for dataset in Names(inputs).order("dataset", rows):
        yield _figure(inputs, dataset, rows[rows["dataset"] == dataset])


def _figure(inputs: Inputs, dataset: str, rows: pd.DataFrame) -> Figure:
    names, metric = Names(inputs), inputs.primary
    epochs, pairs = sorted(set(rows["epochs"])), names.rows(rows)
    canvas, axes = panels(len(epochs), 3, HEAD + 0.2 * len(pairs))
    for i, (ax, setting) in enumerate(zip(axes, epochs, strict=True)):
        _panel(ax, rows[rows["epochs"] == setting], pairs, metric.scale)
        bands(ax, len(pairs))
        ax.set_title(epochs_label(setting))
        ax.set_xlabel(plain(", ".join(filter(None, ("improvement", metric.difference)))))
        rows_axis(ax, [names.row_label(pair, rows) for pair in pairs], show=i == 0)
    baseline, method = names.norm(inputs.baseline), names.norm(inputs.method)
    legend(canvas, _handles(set(rows["outcome"]), method))
    said = words(
        "forest", **names.terms(), dataset=names.dataset(dataset), baseline=baseline, method=method,
        source=names.source(inputs.name),
        epochs=", ".join(map(epochs_label, epochs)), level=_level(inputs),
    )  # fmt: skip
    return Figure(slug("forest", dataset), **said, section="own", dataset=dataset, canvas=canvas)


def _level(inputs: Inputs) -> str:
    return f"{100 * float((inputs.study.get('judge') or {}).get('level', 0.95)):g} %"


def _panel(ax, rows: pd.DataFrame, pairs: list, scale: float) -> None:
    ax.axvline(0, color=LIGHT["claim"], linewidth=0.9, zorder=1)
    for row in rows.to_dict("records"):
        y, value = pairs.index((row["arch"], row["recipe"])), scale * row["difference"]
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
