"""What a deconvolved layer gets, and what deconvolution makes of it: covariance, an image, feature maps."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib import colors
from matplotlib.ticker import FuncFormatter

from renorm.report.figures.captions import words
from renorm.report.figures.style import WIDTH, Figure, plain, plt, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, slug
from renorm.report.palette import LIGHT
from renorm.report.tables.layer_views import cell_label

DIVERGING = colors.LinearSegmentedColormap.from_list("renorm", [LIGHT["below"], LIGHT["ground"], LIGHT["method"]])
TITLES = {"input": "input", "input_magnitude": "|input − mean|", "deconvolved": "deconvolved",
          "deconvolved_magnitude": "|deconvolved|"}  # fmt: skip
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SERIES = {"before": ("input", "baseline"), "after": ("deconvolved", "method")}


def figures(inputs: Inputs) -> Iterator[Figure]:
    """One figure per layer view that was made."""
    if not inputs.has("layer_views"):
        return
    frame = inputs["layer_views"]
    for name, rows in frame[frame["status"] == "inspected"].groupby("view", sort=False):
        images = inputs["layer_view_images"][inputs["layer_view_images"]["view"] == name]
        bars = inputs["layer_view_histograms"][inputs["layer_view_histograms"]["view"] == name]
        yield _figure(inputs, str(name), rows.iloc[0].to_dict(), images, bars)


def _figure(inputs: Inputs, name: str, row: dict, images: pd.DataFrame, bars: pd.DataFrame) -> Figure:
    grids = {key: _grids(same) for key, same in images.groupby("image", sort=False)}
    shown = min(len(next(iter(grids[key].values()))) for key in grids) if grids else 0
    canvas = {"covariance": _covariance, "image": _image, "sparsity": _sparsity}[row["kind"]](grids, bars)
    said = words(
        row["kind"], title=row["title"], cell=cell_label(Names(inputs), row), layer=int(row["layer"]), path=row["path"],
        images=int(row["images"]), features=int(row["features"]), shown=shown,
    )  # fmt: skip
    return Figure(slug("view", name), **said, section="layer_views", dataset=row["dataset"], canvas=canvas)


def _grids(rows: pd.DataFrame) -> dict[int, np.ndarray]:
    """channel → (rows, columns)."""
    return {
        int(channel): same.pivot(index="row", columns="column", values="value").to_numpy()
        for channel, same in rows.groupby("channel", sort=True)
    }


def _covariance(grids: dict, bars: pd.DataFrame) -> plt.Figure:
    canvas, axes = plt.subplots(1, 2, figsize=(0.7 * WIDTH, 3.4), layout="constrained")
    most = max(float(np.abs(grids[name][0]).max()) for name in grids)
    for ax, name in zip(axes, grids, strict=True):
        shades = ax.imshow(grids[name][0], cmap=DIVERGING, vmin=-most, vmax=most, interpolation="none")
        _bare(ax, f"{name} deconvolution")
    bar = canvas.colorbar(shades, ax=axes, shrink=0.8, aspect=25, pad=0.02)
    bar.outline.set_visible(False)
    return canvas


def _image(grids: dict, bars: pd.DataFrame) -> plt.Figure:
    canvas, axes = plt.subplots(1, 5, figsize=(WIDTH, 2.1), layout="constrained",
                                width_ratios=[1, 1, 1, 1, 1.35])  # fmt: skip
    for ax, (name, maps) in zip(axes, grids.items(), strict=False):
        _show(ax, np.stack(list(maps.values()), -1), from_zero=name.endswith("magnitude"))
        _bare(ax, TITLES[name])
    _histogram(axes[-1], bars)
    return canvas


def _sparsity(grids: dict, bars: pd.DataFrame) -> plt.Figure:
    columns = max(len(maps) for maps in grids.values())
    canvas = plt.figure(figsize=(WIDTH, 2.35), layout="constrained")
    space = canvas.add_gridspec(len(grids), columns + 1, width_ratios=[1] * columns + [3.4])
    for line, (name, maps) in enumerate(grids.items()):
        for place, values in enumerate(maps.values()):
            ax = canvas.add_subplot(space[line, place])
            _show(ax, values[..., None], from_zero=True)
            _bare(ax, TITLES[name] if place == 0 else "")
    _histogram(canvas.add_subplot(space[:, -1]), bars)
    return canvas


def _show(ax, values: np.ndarray, from_zero: bool) -> None:
    """One or three channels in grey or colour, black at zero or at the least value."""
    least = min(values.min(), 0.0) if from_zero else values.min()
    scaled = (values - least) / max(values.max() - least, 1e-12)
    colour = scaled if scaled.shape[-1] == 3 else scaled[..., 0]
    ax.imshow(colour, cmap="gray", vmin=0, vmax=1, interpolation="none")


def _bare(ax, title: str) -> None:
    # A long title may extend over its neighbours, which have none, without moving them apart.
    ax.set_title(title, fontsize=8.5).set_in_layout(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _histogram(ax, bars: pd.DataFrame) -> None:
    for name, rows in bars.groupby("series", sort=False):
        label, colour = SERIES[name]
        edges = [*rows["low"], rows["high"].iloc[-1]]
        ax.stairs(rows["share"].where(rows["share"] > 0), edges, color=LIGHT[colour], linewidth=1.3, label=plain(label))
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(_power))
    ax.set_xlabel("value, in root mean squares")
    ax.set_title("share of the values", fontsize=8.5)
    ax.legend(loc="upper right", fontsize=7, handlelength=1.2)
    tidy(ax, "y")


def _power(value: float, _: int) -> str:
    """0.001 → 10⁻³."""
    exponent = round(np.log10(value)) if value > 0 else 0
    return f"10{str(exponent).translate(SUPERSCRIPT)}" if exponent else "1"
