"""Time against accuracy: one point a cell without its seed, and the line that nothing else beats on both."""

from collections.abc import Iterator
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from renorm.report import formatting
from renorm.report.figures.captions import words
from renorm.report.figures.style import Figure, legend, panels, plain, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.palette import LIGHT, norm_colours
from renorm.report.tables.this_study import averages

SHAPES = "osD^vPX"
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
CLOCK = [
    *(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
    *(60 * step for step in (1, 3, 10, 30)),
    *(3600 * step for step in (1, 3, 8)),
    *(86400 * step for step in (1, 3, 10, 30, 100, 300, 1000)),
]
KEYS = ("dataset", "arch", "norm", "recipe", "epochs")
Point = dict[str, Any]


def figures(inputs: Inputs) -> Iterator[Figure]:
    names, found = Names(inputs), points(inputs)
    for dataset in names.order("dataset", inputs["runtime"]):
        here = [point for point in found if point["dataset"] == dataset]
        sources = [s for s in names.sources(inputs["runtime"]) if sum(p["source"] == s for p in here) > 1]
        if sources:
            yield _figure(inputs, dataset, sources, here)


def points(inputs: Inputs) -> list[Point]:
    """Cells with both a top-1 accuracy and a training time from the same source."""
    accuracy = {(inputs.name, *key[:5]): row["value"] for key, row in averages(inputs).items() if key[5] == "top1"}
    for row in inputs["threshold_rule"].to_dict("records"):
        if row["metric"] == "top1":
            accuracy.setdefault((row["source"], *(row[key] for key in KEYS)), row["value"])
    found = []
    for row in inputs["runtime"].to_dict("records"):
        value = accuracy.get((row["source"], *(row[key] for key in KEYS)))
        if formatting.known(value) and formatting.known(row["train_seconds"]) and row["train_seconds"] > 0:
            found.append({**row, "value": value})
    return found


def front(found: list[Point]) -> list[Point]:
    """Points that no other is both as fast as and more accurate than, from the fastest on."""
    best, kept = float("-inf"), []
    for point in sorted(found, key=lambda p: (p["train_seconds"], -p["value"])):
        if point["value"] > best:
            best = point["value"]
            kept.append(point)
    return kept


def _figure(inputs: Inputs, dataset: str, sources: list[str], found: list[Point]) -> Figure:
    names = Names(inputs)
    shown = [point for point in found if point["source"] in sources]
    norms = [norm for norm in names.norms(inputs["runtime"]) if any(point["norm"] == norm for point in shown)]
    epochs = sorted({point["epochs"] for point in shown})
    colours = {norm: LIGHT[name] for norm, name in norm_colours(norms, inputs.baseline, inputs.method).items()}
    shapes = {setting: SHAPES[place % len(SHAPES)] for place, setting in enumerate(epochs)}
    canvas, axes = panels(len(sources), 2, 3.3, sharey=True)
    for ax, source in zip(axes, sources, strict=True):
        _panel(ax, inputs, [point for point in shown if point["source"] == source], colours, shapes)
        ax.set_title(plain(names.source(source)))
    for ax in axes[::2]:
        ax.set_ylabel("accuracy, %")
    legend(canvas, _handles(inputs, names, colours, shapes))
    said = words(
        "tradeoff", dataset=names.dataset(dataset), norms=" and ".join(map(names.norm, norms)),
        baseline=names.norm(inputs.baseline), method=names.norm(inputs.method),
        sources=" and ".join(map(names.source, sources)), epochs=", ".join(map(epochs_label, epochs)),
    )  # fmt: skip
    return Figure(slug("tradeoff", dataset), **said, section="runtime", dataset=dataset, canvas=canvas)


def _panel(ax, inputs: Inputs, found: list[Point], colours: dict, shapes: dict) -> None:
    baselines = {_pair(point): point for point in found if point["norm"] == inputs.baseline}
    for point in found:
        baseline = baselines.get(_pair(point))
        if baseline and point["norm"] == inputs.method:
            ends = [[p["train_seconds"] for p in (baseline, point)], [100 * p["value"] for p in (baseline, point)]]
            ax.plot(*ends, color=LIGHT["rule"], linewidth=0.9, zorder=1)
    best = front(found)
    ax.plot(
        [p["train_seconds"] for p in best], [100 * p["value"] for p in best],
        color=LIGHT["claim"], linewidth=0.9, linestyle=(0, (1, 1.6)), drawstyle="steps-post", zorder=2,
    )  # fmt: skip
    for point in found:
        mark = _mark(inputs, point["norm"], colours[point["norm"]], shapes[point["epochs"]])
        ax.plot([point["train_seconds"]], [100 * point["value"]], **mark, zorder=3)
    _seconds_axis(ax)
    tidy(ax, "both")


def _pair(point: Point) -> tuple:
    return (point["arch"], point["recipe"], point["epochs"])


def _mark(inputs: Inputs, norm: str, colour: str, shape: str) -> dict:
    face = LIGHT["ground"] if norm == inputs.baseline else colour
    return {"marker": shape, "markersize": 4.6, "color": colour, "markerfacecolor": face, "linestyle": ""}


def _seconds_axis(ax) -> None:
    """Logarithmic, with ticks at the round durations of a clock."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    places = [place for place in CLOCK if low <= place <= high]
    ax.set_xticks(places[:: 1 + len(places) // 7])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _clock(value)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("training time")


def _clock(seconds: float) -> str:
    return next(f"{seconds / unit:g} {name}" for unit, name in UNITS if seconds >= unit or unit == 1)


def _handles(inputs: Inputs, names: Names, colours: dict, shapes: dict) -> list[Line2D]:
    first = next(iter(shapes.values()))
    handles = [
        Line2D([], [], **_mark(inputs, norm, colour, first), label=plain(names.norm(norm)))
        for norm, colour in colours.items()
    ]
    if len(shapes) > 1:
        grey = {"linestyle": "", "color": LIGHT["soft"], "markersize": 4.6}
        handles += [Line2D([], [], **grey, marker=m, label=epochs_label(e)) for e, m in shapes.items()]
    edge = {"color": LIGHT["claim"], "linewidth": 0.9, "linestyle": (0, (1, 1.6))}
    return [*handles, Line2D([], [], **edge, label="nothing faster is as accurate")]
