"""The loss of the first steps, where runs logged it: one panel an architecture and recipe, one line a norm."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from renorm.report.figures.captions import words
from renorm.report.figures.style import Figure, legend, line_styles, mark, panels, plain, sample, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug

POINTS = 160  # a line: more cannot be distinguished in a panel and only make the page heavy
DECADES = 20  # from this ratio of the largest to the smallest loss on, a linear axis hides the end


def figures(inputs: Inputs) -> Iterator[Figure]:
    """One figure per dataset and epoch setting, since the learning rate's schedule depends on it."""
    if not inputs.has("steps"):
        return
    rows = inputs["steps"]
    rows = rows[rows["train_loss"].notna()]
    for dataset in Names(inputs).order("dataset", rows):
        for epochs, same in rows[rows["dataset"] == dataset].groupby("epochs"):
            yield _figure(inputs, dataset, epochs, same)


def _figure(inputs: Inputs, dataset: str, epochs: float, rows: pd.DataFrame) -> Figure:
    names = Names(inputs)
    norms, pairs = names.norms(rows), names.rows(rows)
    styles = line_styles(norms, inputs.baseline, inputs.method)
    stretch = -(-int(rows["step"].max()) // POINTS)
    canvas, axes = panels(len(pairs), 5 if len(pairs) > 4 else 4, 1.75, sharex=True)
    for ax, (arch, recipe) in zip(axes, pairs, strict=True):
        _panel(ax, rows[(rows["arch"] == arch) & (rows["recipe"] == recipe)], names, styles, stretch)
        ax.set_title(plain(names.row_label((arch, recipe), rows)), fontsize=8.5)
    for ax in axes[-min(5, len(pairs)) :]:
        ax.set_xlabel("step")
    axes[0].set_ylabel("training loss")
    handles = [sample(names.norm(norm), **styles[norm], linewidth=2) for norm in norms]
    legend(canvas, handles, [("norm", norm) for norm in norms])
    labels = {"epochs": epochs_label(epochs), "norms": " and ".join(map(names.norm, norms))}
    point = "a single step" if stretch == 1 else f"the mean of {stretch} steps"
    said = words("steps", dataset=names.dataset(dataset), point=point, **labels)
    return Figure(
        slug("steps", dataset, epochs), **said, section="curves", dataset=dataset, canvas=canvas, collapsed=True
    )


def _panel(ax, rows: pd.DataFrame, names: Names, styles: dict, stretch: int) -> None:
    about = {key: rows[key].iloc[0] for key in ("arch", "recipe")}
    lines = {norm: means(same, stretch) for norm, same in rows.groupby("norm", sort=False)}
    for norm, line in lines.items():
        (drawn,) = ax.plot(line.index, line, **styles[norm], linewidth=1.2, zorder=3)
        said = f"{names.arch(about['arch'])}, {names.norm(norm)}: loss {line.iloc[-1]:.3g} at step {line.index[-1]:.0f}"
        mark(drawn, said, **about, norm=norm)
    low, high = min(line.min() for line in lines.values()), max(line.max() for line in lines.values())
    if low > 0 and high > DECADES * low:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    tidy(ax, "both")


def means(rows: pd.DataFrame, stretch: int) -> pd.Series:
    """Mean over the seeds, then over stretches of steps; each point is in the middle of its stretch."""
    by_step = rows.groupby("step")["train_loss"].mean()
    place = (by_step.index.to_numpy() - 1) // stretch
    line = by_step.groupby(place).mean()
    line.index = line.index * stretch + (stretch + 1) / 2
    return line
