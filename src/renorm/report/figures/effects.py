"""A forest plot across sources: the improvement that each found, with its interval, and all of them combined."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.lines import Line2D

from renorm.report.figures.captions import words
from renorm.report.figures.dumbbell import MARKERS
from renorm.report.figures.style import HEAD, Figure, bands, legend, panels, plain, rows_axis, sample, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.palette import LIGHT

PAIR = ["arch", "norm", "recipe", "epochs"]


def figures(inputs: Inputs) -> Iterator[Figure]:
    """One for each comparison and data set with an effect of two sources or more."""
    if not inputs.has("meta_analysis"):
        return
    for comparison in inputs.comparisons.values():
        combined, effects = inputs.of("meta_analysis", comparison), inputs.of("effects", comparison)
        for dataset in Names(inputs).order("dataset", combined):
            pairs = combined[combined["dataset"] == dataset]
            rows = effects[effects["dataset"] == dataset].merge(pairs[PAIR], on=PAIR)
            yield _figure(inputs, comparison, dataset, rows, pairs)


def _figure(inputs: Inputs, comparison: dict, dataset: str, rows: pd.DataFrame, combined: pd.DataFrame) -> Figure:
    names, axis, metric = Names(inputs), comparison["axis"], inputs.primary
    epochs, places, sources = sorted(set(rows["epochs"])), names.places(rows, axis), names.sources(rows)
    canvas, axes = panels(len(epochs), 3, HEAD + 0.16 * (len(sources) + 1) * len(places))
    for i, (ax, setting) in enumerate(zip(axes, epochs, strict=True)):
        layout = (places, axis, sources)
        _panel(ax, rows[rows["epochs"] == setting], combined[combined["epochs"] == setting], layout, metric.scale)
        bands(ax, len(places))
        ax.set_title(epochs_label(setting))
        ax.set_xlabel(plain(", ".join(filter(None, ("improvement", metric.difference)))))
        rows_axis(ax, [names.place_label(at, places) for at in places], show=i == 0)
    legend(canvas, _handles(names, sources))
    said = words(
        "effects", **names.terms(), dataset=names.dataset(dataset), baseline=names.side(comparison, "baseline"),
        method=names.side(comparison, "method"), sources=", ".join(map(names.source, sources)),
        epochs=", ".join(map(epochs_label, epochs)),
    )  # fmt: skip
    return Figure(
        slug("effects", dataset, comparison["name"]), **said, section="replication", dataset=dataset, canvas=canvas,
        own=inputs.name in sources, collapsed=True,
    )  # fmt: skip


def _panel(ax, rows: pd.DataFrame, combined: pd.DataFrame, layout: tuple[list, str, list], scale: float) -> None:
    places, axis, sources = layout
    step = 0.7 / len(sources)
    ax.axvline(0, color=LIGHT["claim"], linewidth=0.9, zorder=1)
    for row in rows.to_dict("records"):
        track = sources.index(row["source"])
        y = places.index(Names.place(row, axis)) - 0.35 + track * step
        ax.plot([scale * row["low"], scale * row["high"]], [y, y], color=LIGHT["soft"], linewidth=1.0, zorder=2)
        marker = MARKERS[track % len(MARKERS)]
        ax.plot([scale * row["effect"]], [y], marker=marker, markersize=3.6, color=LIGHT["soft"], zorder=3)
    for row in combined.to_dict("records"):
        y = places.index(Names.place(row, axis)) + 0.35
        ends = [scale * row["random_low"], scale * row["random_high"]]
        ax.plot(ends, [y, y], color=LIGHT["method"], linewidth=1.6, zorder=2)
        ax.plot([scale * row["random"]], [y], marker="|", markersize=6, color=LIGHT["method"], zorder=3)
    # Of two sources Hartung and Knapp's interval may be wider than all others together: these set the axis.
    known = pd.concat([rows["low"], rows["high"], combined["random"]])
    margin = 0.15 * max(known.max() - known.min(), 1e-9)
    ax.set_xlim(scale * min(known.min() - margin, 0), scale * max(known.max() + margin, 0))
    tidy(ax)


def _handles(names: Names, sources: list[str]) -> list[Line2D]:
    mark = {"color": LIGHT["soft"], "linewidth": 1.0, "markersize": 4}
    handles = [
        sample(names.source(source), marker=MARKERS[i % len(MARKERS)], **mark) for i, source in enumerate(sources)
    ]
    return [*handles, sample("combined (random effects)", color=LIGHT["method"], linewidth=1.6)]
