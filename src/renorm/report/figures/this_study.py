"""Method against baseline in the study's own cells, claims or no claims."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.lines import Line2D

from renorm.report.figures.captions import words
from renorm.report.figures.style import HEAD, Figure, legend, panels, plain, rows_axis, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.palette import LIGHT


def figures(inputs: Inputs) -> Iterator[Figure]:
    rows = inputs["comparison"]
    rows = rows[(rows["source"] == inputs.name) & (rows["metric"] == "top1")]
    rows = rows[rows["baseline_value"].notna() & rows["method_value"].notna()]
    for dataset in Names(inputs).order("dataset", rows):
        yield _figure(inputs, dataset, rows[rows["dataset"] == dataset])


def _figure(inputs: Inputs, dataset: str, rows: pd.DataFrame) -> Figure:
    names = Names(inputs)
    epochs = sorted(set(rows["epochs"]))
    pairs = names.rows(rows)
    canvas, axes = panels(len(epochs), 3, HEAD + 0.24 * len(pairs))
    for i, (ax, setting) in enumerate(zip(axes, epochs, strict=True)):
        _panel(ax, rows[rows["epochs"] == setting], pairs)
        ax.set_title(epochs_label(setting))
        ax.set_xlabel("accuracy, %")
        rows_axis(ax, [names.row_label(pair, rows) for pair in pairs], show=i == 0)
    baseline, method = names.norm(inputs.baseline), names.norm(inputs.method)
    legend(canvas, [_dot("baseline", False, baseline), _dot("method", True, method)])
    said = words(
        "own", dataset=names.dataset(dataset), baseline=baseline, method=method, source=names.source(inputs.name),
        epochs=", ".join(map(epochs_label, epochs)),
    )  # fmt: skip
    return Figure(slug("own", dataset), **said, section="own", dataset=dataset, canvas=canvas)


def _panel(ax, rows: pd.DataFrame, pairs: list) -> None:
    for row in rows.to_dict("records"):
        y = pairs.index((row["arch"], row["recipe"]))
        before, after = 100 * row["baseline_value"], 100 * row["method_value"]
        ax.plot([before, after], [y, y], color=LIGHT["method"], linewidth=1.3, zorder=2)
        mark = {"marker": "o", "markersize": 5, "zorder": 3}
        ax.plot([before], [y], color=LIGHT["baseline"], markerfacecolor=LIGHT["ground"], **mark)
        ax.plot([after], [y], color=LIGHT["method"], **mark)
    tidy(ax)


def _dot(name: str, filled: bool, label: str) -> Line2D:
    face = LIGHT[name] if filled else LIGHT["ground"]
    mark = {"marker": "o", "markersize": 5, "linestyle": "", "color": LIGHT[name], "markerfacecolor": face}
    return Line2D([], [], **mark, label=plain(label))
