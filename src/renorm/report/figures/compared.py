"""From baseline to method, for every comparison besides the leading one: open mark, line, filled mark."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.lines import Line2D

from renorm.report.figures.captions import words
from renorm.report.figures.dumbbell import MARKERS
from renorm.report.figures.style import HEAD, Figure, bands, legend, panels, plain, rows_axis, sample, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.palette import LIGHT


def figures(inputs: Inputs) -> Iterator[Figure]:
    for comparison in inputs.comparisons.values():
        rows = inputs.of("comparison", comparison)
        known = rows["baseline_value"].notna() & rows["method_value"].notna()
        rows = rows[(rows["counted"] == "true") & known]
        if comparison == inputs.leading:
            continue
        for dataset in Names(inputs).order("dataset", rows):
            yield _figure(inputs, comparison, dataset, rows[rows["dataset"] == dataset])


def _figure(inputs: Inputs, comparison: dict, dataset: str, rows: pd.DataFrame) -> Figure:
    names, axis = Names(inputs), comparison["axis"]
    epochs, places, sources = sorted(set(rows["epochs"])), names.places(rows, axis), names.sources(rows)
    canvas, axes = panels(len(epochs), 3, HEAD + 0.24 * len(places))
    for i, (ax, setting) in enumerate(zip(axes, epochs, strict=True)):
        _panel(ax, rows[rows["epochs"] == setting], (places, axis, sources), inputs.primary.scale)
        bands(ax, len(places))
        ax.set_title(epochs_label(setting))
        ax.set_xlabel(plain(inputs.primary.axis))
        rows_axis(ax, [names.place_label(at, places) for at in places], show=i == 0)
    baseline, method = names.side(comparison, "baseline"), names.side(comparison, "method")
    legend(canvas, _handles(names, sources, baseline, method))
    said = words(
        "compared", **names.terms(), title=names.comparison(comparison), dataset=names.dataset(dataset),
        baseline=baseline, method=method, epochs=", ".join(map(epochs_label, epochs)),
    )  # fmt: skip
    name = slug("compared", dataset, comparison["name"])
    own = inputs.name in sources
    return Figure(name, **said, section="comparisons", dataset=dataset, canvas=canvas, own=own)


def _panel(ax, rows: pd.DataFrame, layout: tuple[list[tuple], str, list[str]], scale: float) -> None:
    places, axis, sources = layout
    step = 0.5 / max(1, len(sources) - 1)
    for row in rows.to_dict("records"):
        track = sources.index(row["source"])
        y = places.index(Names.place(row, axis)) + (track * step - 0.25 if len(sources) > 1 else 0)
        ends = [scale * row["baseline_value"], scale * row["method_value"]]
        better = row["holds"] == "true"
        colour, marker = LIGHT["method" if better else "below"], MARKERS[track % len(MARKERS)]
        ax.plot(ends, [y, y], color=colour, linewidth=1.1, zorder=2)
        ax.plot(ends[:1], [y], marker=marker, markersize=4, color=colour, markerfacecolor=LIGHT["ground"], zorder=3)
        ax.plot(ends[1:], [y], marker=marker, markersize=4, color=colour, zorder=4)
    ax.margins(x=0.08)
    tidy(ax)


def _handles(names: Names, sources: list[str], baseline: str, method: str) -> list[Line2D]:
    mark = {"linestyle": "", "color": LIGHT["soft"], "markersize": 4.5}
    handles = [sample(f"{baseline} (open)", marker="o", markerfacecolor=LIGHT["ground"], **mark),
               sample(f"{method} (filled)", marker="o", **mark)]  # fmt: skip
    if len(sources) > 1:
        handles += [
            sample(names.source(source), marker=MARKERS[i % len(MARKERS)], **mark) for i, source in enumerate(sources)
        ]
    return handles
