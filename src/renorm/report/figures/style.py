"""The look that all figures share, and how one is saved: text stays text, and the same data give the same bytes."""

import base64
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath

from renorm.core.files import write_atomic
from renorm.report.palette import LIGHT, OTHERS, PATTERNS, norm_colours

matplotlib.use("svg")  # no display, whatever the machine has

RC: dict[str, Any] = {
    "svg.fonttype": "none",  # text that can be selected, searched and read aloud
    "svg.hashsalt": "renorm",
    "font.family": "DejaVu Sans",  # ships with matplotlib: the layout is the same on every machine
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": LIGHT["rule"],
    "axes.labelcolor": LIGHT["soft"],
    "axes.titlecolor": LIGHT["ink"],
    "axes.linewidth": 0.8,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.6,
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["rule"],
    "ytick.color": LIGHT["rule"],
    "xtick.labelcolor": LIGHT["soft"],
    "ytick.labelcolor": LIGHT["ink"],
    "ytick.major.size": 0,
    "xtick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.constrained_layout.wspace": 0.05,  # numbers of two axes do not touch
    "path.simplify": True,
    "path.simplify_threshold": 0.2,
}
WIDTH = 10.2  # inches of a full figure; the page scales it to its column
NARROW = {1: 0.6, 2: 0.8}  # one panel as wide as the page would be all empty space
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
HANDLE, GAP = 2.0, 1.6  # of a legend, in font sizes: the sample before a label, and between columns
HEAD = 1.05  # inches of a figure that legend, panel titles and axis labels take


def look():
    """The context in which figures are drawn and saved: the settings of this process stay as they were."""
    return matplotlib.rc_context(sns.axes_style("white") | RC)


@dataclass
class Figure:
    """A drawn figure and what has to be said about it."""

    name: str
    title: str
    caption: str
    alt: str
    section: str
    dataset: str
    canvas: plt.Figure
    own: bool = True  # whether a value of this study is in it
    collapsed: bool = False  # on the page it is shown when it is asked for

    def save(self, folder: Path) -> Path:
        path = folder / f"{self.name}.svg"
        write_atomic(path, rendered(self.canvas))
        return path

    def entry(self) -> dict:
        keys = ("name", "title", "caption", "alt", "section", "dataset", "own", "collapsed")
        return {key: getattr(self, key) for key in keys} | {"file": f"{self.name}.svg"}


def rendered(canvas: plt.Figure) -> str:
    """The SVG file of a canvas, which is closed."""
    drawn = io.StringIO()
    canvas.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(canvas)
    return marked(slim(drawn.getvalue()))


def panels(count: int, columns: int, height: float, **more) -> tuple[plt.Figure, list[plt.Axes]]:
    """`count` panels in rows of `columns`; panels that are not needed are not drawn."""
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (WIDTH * NARROW.get(count, 1), rows * height)
    canvas, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **more)
    flat = list(axes.flat)
    for spare in flat[count:]:
        spare.set_axis_off()
    return canvas, flat[:count]


def line_styles(norms: list[str], baseline: str, method: str) -> dict[str, dict]:
    """Colour and dashes of each norm's line: where there are more norms than colours, dashes tell them apart."""
    colours = norm_colours(norms, baseline, method)
    rest = [norm for norm in norms if norm not in (baseline, method)]
    turns = {norm: PATTERNS[i % len(OTHERS)] + i // len(OTHERS) for i, norm in enumerate(rest)}
    return {
        norm: {"color": LIGHT[colours[norm]], "linestyle": DASHES[turns.get(norm, 0) % len(DASHES)]} for norm in norms
    }


def plain(text: object) -> str:
    """A label, verbatim: matplotlib reads dollar signs as mathematics, a label may be anything."""
    return str(text).replace("$", r"\$")


def tidy(axes: plt.Axes, grid: Literal["x", "y", "both"] = "x") -> None:
    """Only the grid lines that help reading a value; no frame."""
    sns.despine(ax=axes, left=True, bottom=True)
    axes.grid(axis=grid, zorder=0)
    axes.set_axisbelow(True)


def rows_axis(axes: plt.Axes, labels: list[str], show: bool = True) -> None:
    """Names down the side, the first on top."""
    axes.set_yticks(range(len(labels)), [plain(label) for label in labels] if show else [])
    axes.set_ylim(len(labels) - 0.4, -0.6)


def bands(axes: plt.Axes, count: int) -> None:
    """A breath of ground behind every second row, where several marks belong to one name."""
    for row in range(1, count, 2):
        axes.axhspan(row - 0.5, row + 0.5, color=LIGHT["rule"], alpha=0.3, linewidth=0, zorder=0)


def mark(artist: Artist, title: str = "", **facets: object) -> None:
    """What an artist is about (arch, norm, ... → key) and, for those that one points at, what it shows in words.

    It travels in the artist's id; `marked` makes attributes and a title of it.
    """
    kind = "mark" if title else "piece"
    artist.set_gid(_packed(kind, {"title": title, **facets}))


def _packed(kind: str, facets: dict) -> str:
    """An id that XML needs not escape, and in which `slim` finds no number."""
    return f"{kind} {base64.b64encode(json.dumps(facets).encode()).decode()}"


def marked(svg: str) -> str:
    """The file with attributes `data-…` and a `<title>` for every artist that `mark` described."""
    return re.sub(r'<g id="(mark|piece|key) ([^"]*)">', _described, svg)


def _described(found: re.Match[str]) -> str:
    facets = json.loads(base64.b64decode(found[2]))
    title = facets.pop("title", "")
    data = "".join(f' data-{axis}="{escape(str(value))}"' for axis, value in facets.items() if value != "")
    return f'<g class="{found[1]}"{data}>' + (f"<title>{escape(title)}</title>" if title else "")


def sample(label: object, **look: Any) -> Line2D:
    """An entry of a legend: a line or mark that looks like those of the figure."""
    return Line2D([], [], label=plain(label), **look)


def legend(canvas: plt.Figure, handles: list, keys: Sequence[tuple[str, object]] = ()) -> None:
    """Above the panels, in as many columns as the canvas is wide enough for.

    Args:
        canvas: The figure.
        handles: One labelled artist an entry.
        keys: (axis, key) of the entries from the last one back; on the page such an entry switches these marks.
    """
    if handles:
        columns = legend_columns([handle.get_label() for handle in handles], 72 * canvas.get_figwidth())
        drawn = canvas.legend(
            handles=handles, loc="outside upper left", ncols=columns, handletextpad=0.5, columnspacing=GAP,
            handlelength=HANDLE,
        )  # fmt: skip
        first = len(handles) - len(keys)
        for (axis, key), shape, label in zip(
            keys, drawn.legend_handles[first:], drawn.get_texts()[first:], strict=True
        ):
            for artist in filter(None, (shape, label)):
                artist.set_gid(_packed("key", {axis: key}))


def legend_columns(labels: list[str], width: float) -> int:
    """The most columns in which these labels fit into `width` points; a column is as wide as its widest label."""
    size = float(RC["legend.fontsize"])
    font = FontProperties(family=RC["font.family"], size=size)
    wide = [
        TextToPath().get_text_width_height_descent(label, font, False)[0] + size * (HANDLE + 0.5) for label in labels
    ]
    for columns in range(len(labels), 1, -1):
        parts = [part.max() for part in np.array_split(np.array(wide), columns) if len(part)]  # matplotlib's filling
        if sum(parts) + GAP * size * (len(parts) - 1) + 2 * size <= width:
            return columns
    return 1


def slim(svg: str) -> str:
    """Two decimals are a hundredth of a point: the rest of the digits only makes the page heavy."""
    return re.sub(r"(?<![\w#.])(-?\d+\.\d{2})\d+", r"\1", svg)
