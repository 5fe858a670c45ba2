"""Training time as bars with the ratio behind them, per dataset and source: the published Figures 4 and 5."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.patches import Patch

from renorm.core import durations
from renorm.report import formatting
from renorm.report.figures.captions import words
from renorm.report.figures.style import HEAD, Figure, legend, mark, panels, plain, rows_axis, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.palette import LIGHT, norm_colours

LABELLED = 4  # norms beside each other; of more the bars are too thin for a number behind each


def figures(inputs: Inputs) -> Iterator[Figure]:
    timing = inputs.seconds
    rows = timing[timing["train_seconds"].notna()]
    for dataset in Names(inputs).order("dataset", rows):
        here = rows[rows["dataset"] == dataset]
        for source in Names(inputs).sources(here):
            yield _figure(inputs, dataset, source, here[here["source"] == source])


def _figure(inputs: Inputs, dataset: str, source: str, rows: pd.DataFrame) -> Figure:
    names = Names(inputs)
    epochs, norms = sorted(set(rows["epochs"])), names.norms(rows)
    pairs = names.rows(rows)
    colours = {norm: LIGHT[name] for norm, name in norm_colours(norms, inputs.baseline, inputs.method).items()}
    canvas, axes = panels(len(epochs), 3, HEAD + 0.29 * len(pairs))
    for i, (ax, setting) in enumerate(zip(axes, epochs, strict=True)):
        _panel(ax, names, rows[rows["epochs"] == setting], pairs, norms, colours)
        ax.set_title(epochs_label(setting))
        rows_axis(ax, [names.row_label(pair, rows) for pair in pairs], show=i == 0)
    handles = [Patch(facecolor=colours[norm], label=plain(names.norm(norm))) for norm in norms]
    legend(canvas, handles, [("norm", norm) for norm in norms])
    said = words(
        "time", dataset=names.dataset(dataset), source=names.source(source), baseline=names.norm(inputs.baseline),
        norms=" and ".join(map(names.norm, norms)), epochs=", ".join(map(epochs_label, epochs)),
    )  # fmt: skip
    return Figure(
        slug("time", dataset, source), **said, section="runtime", dataset=dataset, canvas=canvas,
        own=source == inputs.name, collapsed=True,
    )  # fmt: skip


def _panel(ax, names: Names, rows: pd.DataFrame, pairs: list, norms: list, colours: dict) -> None:
    divisor, _, unit = durations.unit(rows["train_seconds"].max(), 3)
    height = 0.72 / len(norms)
    for row in rows.to_dict("records"):
        y = pairs.index((row["arch"], row["recipe"])) - 0.36 + (norms.index(row["norm"]) + 0.5) * height
        length = row["train_seconds"] / divisor
        about = {key: row[key] for key in ("arch", "norm", "recipe")}
        (bar,) = ax.barh(y, length, height * 0.84, color=colours[row["norm"]], zorder=2)
        mark(bar, _said(names, row), **about)
        if len(norms) <= LABELLED and formatting.known(row["ratio"]) and row["norm"] != norms[0]:
            beside = {"xytext": (3, 0), "textcoords": "offset points", "va": "center", "fontsize": 7.5}
            mark(ax.annotate(formatting.ratio(row["ratio"]), (length, y), color=LIGHT["soft"], **beside), **about)
    ax.set_xlabel(unit)
    ax.margins(x=0.14)
    ax.set_xlim(left=0)
    tidy(ax)


def _said(names: Names, row: dict) -> str:
    cell = f"{names.arch(row['arch'])}, {names.norm(row['norm'])}, {epochs_label(row['epochs'])}"
    ratio = f", {formatting.ratio(row['ratio'])}" if formatting.known(row["ratio"]) else ""
    return f"{cell}: {formatting.duration(row['train_seconds'])}{ratio}"
