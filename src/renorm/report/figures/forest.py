"""Method minus baseline in the study's own cells: the difference with its interval, and the line of no difference."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.lines import Line2D

from renorm.judging.settings import Settings
from renorm.report import formatting
from renorm.report.figures.captions import words
from renorm.report.figures.style import HEAD, Figure, bands, legend, mark, panels, plain, rows_axis, sample, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, facets, slug
from renorm.report.palette import LIGHT

COLOURS = {"better": LIGHT["method"], "worse": LIGHT["below"]}
VERDICTS = {"better": "better", "worse": "below", "undecided": "within"}  # outcome → the word of the page's filter


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
        _panel(ax, names, rows[rows["epochs"] == setting], places, comparison["axis"], metric.scale)
        bands(ax, len(places))
        ax.set_title(epochs_label(setting))
        ax.set_xlabel(plain(", ".join(filter(None, ("improvement", metric.difference)))))
        rows_axis(ax, [names.place_label(at, places) for at in places], show=i == 0)
    baseline, method = names.side(comparison, "baseline"), names.side(comparison, "method")
    found = [outcome for outcome in ("better", "worse", "undecided") if outcome in set(rows["outcome"])]
    legend(canvas, _handles(found, method), [("verdict", VERDICTS[outcome]) for outcome in found])
    said = words(
        "forest", **names.terms(), dataset=names.dataset(dataset), baseline=baseline, method=method,
        source=names.source(inputs.name),
        epochs=", ".join(map(epochs_label, epochs)), level=f"{100 * Settings.level:g} %",
    )  # fmt: skip
    name = slug("forest", dataset, "" if leading else comparison["name"])
    return Figure(name, **said, section="own" if leading else "comparisons", dataset=dataset, canvas=canvas)


def _panel(ax, names: Names, rows: pd.DataFrame, places: list, axis: str, scale: float) -> None:
    ax.axvline(0, color=LIGHT["claim"], linewidth=0.9, zorder=1)
    for row in rows.to_dict("records"):
        y, value = places.index(Names.place(row, axis)), scale * row["difference"]
        colour = COLOURS.get(row["outcome"], LIGHT["soft"])
        about = facets(Names.place(row, axis)) | {"verdict": VERDICTS.get(row["outcome"], "")}
        if formatting.known(row["low"]) and formatting.known(row["high"]):
            ends = [scale * row["low"], scale * row["high"]]
            (line,) = ax.plot(ends, [y, y], color=colour, linewidth=1.2, zorder=2)
            mark(line, **about)
        face = colour if row["outcome"] in COLOURS else LIGHT["ground"]
        (point,) = ax.plot([value], [y], marker="s", markersize=4.5, color=colour, markerfacecolor=face, zorder=3)
        mark(point, _said(names, row, names.place_label(Names.place(row, axis), places)), **about)
    ax.margins(x=0.08)
    tidy(ax)


def _said(names: Names, row: dict, label: str) -> str:
    metric, interval = names.metric(row["metric"]), ""
    if formatting.known(row["low"]) and formatting.known(row["high"]):
        interval = f" ({formatting.difference(metric, row['low'])} to {formatting.difference(metric, row['high'])})"
    cell = f"{label}, {epochs_label(row['epochs'])}"
    gain = formatting.with_unit(formatting.difference(metric, row["difference"]), metric)
    return f"{cell}: {gain}{interval}, {row['outcome']}"


def _handles(outcomes: list[str], method: str) -> list[Line2D]:
    said = {"better": f"{method} better", "worse": f"{method} worse", "undecided": "undecided"}
    handles = []
    for outcome in outcomes:
        colour = COLOURS.get(outcome, LIGHT["soft"])
        face = colour if outcome in COLOURS else LIGHT["ground"]
        look = {"marker": "s", "markersize": 4.5, "color": colour, "markerfacecolor": face, "linewidth": 1.2}
        handles.append(sample(said[outcome], **look))
    return handles
