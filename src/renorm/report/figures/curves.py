"""Training curves as small multiples: one panel an architecture, one thin line a seed, one strong line their mean."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.ticker import MaxNLocator

from renorm.report.figures.captions import words
from renorm.report.figures.style import Figure, legend, line_styles, mark, panels, plain, sample, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug


def figures(inputs: Inputs) -> Iterator[Figure]:
    """One figure per dataset and epoch setting, shorter trainings collapsed; one epoch makes no curve."""
    rows = inputs["histories"]
    rows = rows[rows["epochs"] > 1]
    column = f"test_{inputs.primary.name}"
    if column not in rows:
        return
    rows = rows.assign(value=inputs.primary.scale * pd.to_numeric(rows[column], errors="coerce"))
    rows = rows[rows["value"].notna()]
    for dataset in Names(inputs).order("dataset", rows):
        for epochs, same in rows[rows["dataset"] == dataset].groupby("epochs"):
            longest = epochs == rows[rows["dataset"] == dataset]["epochs"].max()
            yield _figure(inputs, dataset, epochs, same, collapsed=not longest)


def _figure(inputs: Inputs, dataset: str, epochs: float, rows: pd.DataFrame, collapsed: bool) -> Figure:
    names = Names(inputs)
    norms = names.norms(rows)
    pairs = names.rows(rows)
    styles = line_styles(norms, inputs.baseline, inputs.method)
    canvas, axes = panels(len(pairs), 5 if len(pairs) > 4 else 4, 1.75, sharex=True, sharey=True)
    for ax, (arch, recipe) in zip(axes, pairs, strict=True):
        _panel(ax, names, rows[(rows["arch"] == arch) & (rows["recipe"] == recipe)], styles)
        ax.set_title(plain(names.row_label((arch, recipe), rows)), fontsize=8.5)
    for ax in axes[-min(5, len(pairs)) :]:
        ax.set_xlabel("epoch")
    axes[0].set_ylabel(plain(f"test {inputs.primary.axis}"))
    handles = [sample(names.norm(norm), **styles[norm], linewidth=2) for norm in norms]
    legend(canvas, handles, [("norm", norm) for norm in norms])
    said = words(
        "curves", **names.terms(), dataset=names.dataset(dataset), epochs=epochs_label(epochs),
        norms=" and ".join(map(names.norm, norms)),
    )  # fmt: skip
    return Figure(
        slug("curves", dataset, epochs), **said, section="curves", dataset=dataset, canvas=canvas, collapsed=collapsed
    )


def _panel(ax, names: Names, rows: pd.DataFrame, styles: dict) -> None:
    for norm in styles:
        same = rows[rows["norm"] == norm]
        if same.empty:
            continue
        about = {key: same[key].iloc[0] for key in ("arch", "norm", "recipe")}
        for _, seed in same.groupby("seed"):
            thin = {**styles[norm], "linewidth": 0.5, "alpha": 0.45, "zorder": 2}
            mark(ax.plot(seed["epoch"], seed["value"], **thin)[0], **about)
        mean = same.groupby("epoch")["value"].mean()
        (line,) = ax.plot(mean.index, mean, **styles[norm], linewidth=1.5, zorder=3)
        metric = names.inputs.primary
        values = " ".join(f"{value:.{max(metric.digits - 1, 1)}f}" for value in mean)
        unit = f"{metric.printed} after epoch".strip()
        said = f"{names.arch(about['arch'])}, {names.norm(norm)}"
        mark(line, said, **about, values=values, first=int(mean.index[0]), unit=unit)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    tidy(ax, "both")
