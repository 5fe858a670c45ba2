"""Time against the study's metric: one point a cell without its seed, and the line that nothing else beats on both."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from renorm.core import durations
from renorm.core.metrics import METRICS, TOP1, Metric
from renorm.core.table_specs import GROUP
from renorm.report import formatting
from renorm.report.figures.captions import words
from renorm.report.figures.style import Figure, legend, mark, panels, plain, sample, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.palette import LIGHT, norm_colours, norm_markers
from renorm.report.tables.this_study import averages

SIZES = (3.4, 4.6, 5.8, 7.0)  # of a mark, by its place among the epoch settings
CLOCK = [
    *(scale * step for scale in (0.01, 0.1, 1) for step in (1, 2, 3, 5)),
    *(10, 15, 20, 30, 45),
    *(60 * step for step in (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 45)),
    *(3600 * step for step in (1, 1.5, 2, 3, 4, 6, 8, 12)),
    *(86400 * scale * step for scale in (1, 10, 100) for step in (1, 1.5, 2, 3, 5, 7)),
]
TICKS = (3, 7)  # at least and at most
Point = dict[str, Any]


@dataclass(frozen=True)
class Looks:
    """How a point looks: colour and marker say the norm, the size its epochs, and the baseline is open."""

    baseline: str
    colours: dict[str, str]
    markers: dict[str, str]
    sizes: dict[float, float]

    def mark(self, norm: str, epochs: float) -> dict:
        colour = self.colours[norm]
        face = LIGHT["ground"] if norm == self.baseline else colour
        mark = {"marker": self.markers[norm], "markersize": self.sizes[epochs], "linestyle": ""}
        return {**mark, "color": colour, "markerfacecolor": face}


def figures(inputs: Inputs) -> Iterator[Figure]:
    names, found = Names(inputs), points(inputs)
    for dataset in names.order("dataset", inputs.seconds):
        here = [point for point in found if point["dataset"] == dataset]
        sources = [s for s in names.sources(inputs.seconds) if sum(p["source"] == s for p in here) > 1]
        if sources:
            yield _figure(inputs, dataset, sources, here)


def points(inputs: Inputs) -> list[Point]:
    """Cells with both a value of the study's metric and a training time from the same source."""
    metric = inputs.primary.name
    reached = {(inputs.name, *key[:5]): row["value"] for key, row in averages(inputs).items() if key[5] == metric}
    for row in inputs["threshold_rule"].to_dict("records"):
        if row["metric"] == metric:
            reached.setdefault((row["source"], *(row[key] for key in GROUP)), row["value"])
    found = []
    for row in inputs.seconds.to_dict("records"):
        value = reached.get((row["source"], *(row[key] for key in GROUP)))
        if formatting.known(value) and formatting.known(row["train_seconds"]) and row["train_seconds"] > 0:
            found.append({**row, "value": value})
    return found


def front(found: list[Point], metric: Metric = METRICS[TOP1]) -> list[Point]:
    """Points that no other is both as fast as and better than, from the fastest on."""
    best, kept = float("-inf"), []
    for point in sorted(found, key=lambda p: (p["train_seconds"], -metric.gain(p["value"], 0.0))):
        if metric.gain(point["value"], 0.0) > best:
            best = metric.gain(point["value"], 0.0)
            kept.append(point)
    return kept


def _figure(inputs: Inputs, dataset: str, sources: list[str], found: list[Point]) -> Figure:
    names = Names(inputs)
    shown = [point for point in found if point["source"] in sources]
    norms = [norm for norm in names.norms(inputs.seconds) if any(point["norm"] == norm for point in shown)]
    epochs = sorted({point["epochs"] for point in shown})
    colours = {norm: LIGHT[name] for norm, name in norm_colours(norms, inputs.baseline, inputs.method).items()}
    looks = Looks(inputs.baseline, colours, norm_markers(norms, inputs.baseline, inputs.method),
                  {setting: SIZES[min(place, len(SIZES) - 1)] for place, setting in enumerate(epochs)})  # fmt: skip
    canvas, axes = panels(len(sources), 2, 2.2, sharey=True)
    for ax, source in zip(axes, sources, strict=True):
        _panel(ax, names, [point for point in shown if point["source"] == source], looks)
        ax.set_title(plain(names.source(source)))
    for ax in axes[::2]:
        ax.set_ylabel(plain(inputs.primary.axis))
    handles, keys = _handles(names, looks)
    legend(canvas, handles, keys)
    said = words(
        "tradeoff", **names.terms(), dataset=names.dataset(dataset), norms=" and ".join(map(names.norm, norms)),
        baseline=names.norm(inputs.baseline), method=names.norm(inputs.method),
        sources=" and ".join(map(names.source, sources)), epochs=", ".join(map(epochs_label, epochs)),
    )  # fmt: skip
    return Figure(slug("tradeoff", dataset), **said, section="runtime", dataset=dataset, canvas=canvas,
                  own=inputs.name in sources)  # fmt: skip


def _panel(ax, names: Names, found: list[Point], looks: Looks) -> None:
    inputs = names.inputs
    scale = inputs.primary.scale
    baselines = {_pair(point): point for point in found if point["norm"] == inputs.baseline}
    for point in found:
        baseline = baselines.get(_pair(point))
        if baseline and point["norm"] == inputs.method:
            ends = [[p["train_seconds"] for p in (baseline, point)], [scale * p["value"] for p in (baseline, point)]]
            (line,) = ax.plot(*ends, color=LIGHT["rule"], linewidth=0.9, zorder=1)
            mark(line, **{key: point[key] for key in ("arch", "recipe")})
    best = front(found, inputs.primary)
    ax.plot(
        [p["train_seconds"] for p in best], [scale * p["value"] for p in best],
        color=LIGHT["claim"], linewidth=0.9, linestyle=(0, (1, 1.6)), drawstyle="steps-post", zorder=2,
    )  # fmt: skip
    for point in found:
        look = looks.mark(point["norm"], point["epochs"])
        (drawn,) = ax.plot([point["train_seconds"]], [scale * point["value"]], **look, zorder=3)
        mark(drawn, _said(names, point), **{key: point[key] for key in ("arch", "norm", "recipe")}, epochs=_key(point))
    _seconds_axis(ax)
    tidy(ax, "both")


def _said(names: Names, point: Point) -> str:
    cell = f"{names.arch(point['arch'])}, {names.norm(point['norm'])}, {epochs_label(point['epochs'])}"
    metric = names.inputs.primary
    value = f"{formatting.measure(metric, point['value'])} {metric.printed}".rstrip()
    return f"{cell}: {value} in {formatting.duration(point['train_seconds'])}"


def _key(point: Point) -> int:
    return int(point["epochs"])


def _pair(point: Point) -> tuple:
    return (point["arch"], point["recipe"], point["epochs"])


def _seconds_axis(ax) -> None:
    """Logarithmic, with three ticks or more at the round durations of a clock."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xticks(clock_ticks(low, high))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: durations.tick(value)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("training time")


def clock_ticks(low: float, high: float) -> list[float]:
    """Round durations between two, or equal parts of the range where fewer than three are round."""
    places = [place for place in CLOCK if low <= place <= high]
    if len(places) < TICKS[0]:
        unit = durations.unit(high)[0]
        parts = MaxNLocator(4, min_n_ticks=TICKS[0]).tick_values(low / unit, high / unit)
        return [float(part * unit) for part in parts if low <= part * unit <= high]
    return places[:: -(-len(places) // TICKS[1])]


def _handles(names: Names, looks: Looks) -> tuple[list[Line2D], list[tuple[str, object]]]:
    """The legend's entries, those that switch marks last, and what these switch."""
    edge = {"color": LIGHT["claim"], "linewidth": 0.9, "linestyle": (0, (1, 1.6))}
    front_line = sample("no faster point is as good", **edge)
    middle = min(looks.sizes)
    keys: list[tuple[str, object]] = [("norm", norm) for norm in looks.colours]
    handles = [sample(names.norm(norm), **looks.mark(norm, middle)) for norm in looks.colours]
    if len(looks.sizes) > 1:
        grey = {"linestyle": "", "color": LIGHT["soft"], "marker": "o"}
        handles += [sample(epochs_label(e), **grey, markersize=s) for e, s in looks.sizes.items()]
        keys += [("epochs", int(setting)) for setting in looks.sizes]
    return [front_line, *handles], keys
