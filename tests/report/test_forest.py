"""The forest plot, the looks of many normalisers, and text that stays inside its figure."""

import itertools
import json

import matplotlib
import numpy as np
import pandas as pd
import pytest
import simulate
from matplotlib.colors import to_rgb

from renorm.core import durations
from renorm.report.figures import SUBJECTS, forest, tradeoff
from renorm.report.figures.style import WIDTH, legend_columns, look
from renorm.report.inputs import load
from renorm.report.palette import DARK, LIGHT, norm_colours, norm_markers

NORMS = ["batch_norm", "deconv", *(f"norm{place}" for place in range(8))]
# Full colour blindness of the red, green and blue cones: Machado, Oliveira & Fernandes 2009, severity 1, linear RGB.
BLIND = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def lab(colour, eye):
    """CIELAB (D65) of a colour as that eye sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.array(XYZ) @ np.clip(np.array(BLIND[eye]) @ linear, 0, 1) / [0.9505, 1, 1.089]
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("eye", BLIND)
def test_ten_normalisers_are_told_apart_by_every_eye(palette, eye):
    colours, markers = (way(NORMS, *NORMS[:2]) for way in (norm_colours, norm_markers))
    assert len(set(colours.values())) == len(set(markers.values())) == 10
    seen = {norm: lab(palette[colours[norm]], eye) for norm in NORMS}
    distances = {pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in itertools.combinations(NORMS, 2)}
    alike = [pair for pair, distance in distances.items() if distance < 10]
    assert all(markers[a] != markers[b] for a, b in alike)
    assert eye != "none" or not alike
    assert distances[NORMS[0], NORMS[1]] > 25  # baseline and method


def test_beyond_ten_the_pairs_of_colour_and_marker_differ():
    norms = [*NORMS, *(f"more {place}" for place in range(8))]
    colours, markers = (way(norms, *norms[:2]) for way in (norm_colours, norm_markers))
    assert len({(colours[norm], markers[norm]) for norm in norms}) == 18


def test_a_legend_has_as_many_columns_as_fit():
    width = 72 * WIDTH
    assert legend_columns(["BN", "ND"], width) == 2
    long = ["a normaliser with a long name"] * 12
    columns = legend_columns(long, width)
    assert 2 <= columns < 12
    assert legend_columns(long, width / 2) < columns and legend_columns(long[:1] * 3, 10) == 1


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A judged study with ten normalisers of long names."""
    folder = simulate.write_judged(tmp_path_factory.mktemp("many") / "many", demo=True)
    for name in ("cells", "runs", "histories", "provenance"):
        frame = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, dtype=str)
        extra = [frame[frame["norm"] == "deconv"].assign(norm=norm) for norm in NORMS[2:]]
        pd.concat([frame, *extra]).to_csv(folder / f"{name}.csv", index=False)
    study = json.loads((folder / "study.json").read_text())
    study["labels"]["norm"] |= {norm: f"a normaliser, {norm} of eight" for norm in NORMS[2:]}
    (folder / "study.json").write_text(json.dumps(study))
    from renorm.judging import judge

    judge(folder)
    return folder


def outside(canvas):
    """Texts of a figure that reach beyond it, in points."""
    canvas.canvas.draw()
    width, height = canvas.bbox.width, canvas.bbox.height
    found = []
    axes = [axis for ax in canvas.axes for axis in (ax.xaxis, ax.yaxis)]
    ticks = [(tick, sorted(axis.get_view_interval())) for axis in axes for tick in axis.get_major_ticks()]
    undrawn = {tick.label1 for tick, (low, high) in ticks if not low <= tick.get_loc() <= high}
    for text in canvas.findobj(matplotlib.text.Text):
        if text.get_visible() and text.get_text().strip() and text not in undrawn:
            box = text.get_window_extent()
            if min(box.x0, box.y0) < -2 or box.x1 > width + 2 or box.y1 > height + 2:
                found.append((text.get_text(), [round(end) for end in box.extents]))
    return found


def test_no_text_is_outside_its_figure_which_says_whose_it_is(many):
    inputs, own = load(many), {}
    with look():
        for figure in (figure for subject in SUBJECTS for figure in subject.figures(inputs)):
            own[figure.name] = figure.entry()["own"]
            if figure.own:
                assert outside(figure.canvas) == [], figure.name
            matplotlib.pyplot.close(figure.canvas)
    assert sum(own.values()) >= 5
    assert own["forest-digits"] and not own.get("dumbbell-cifar10-top1")


def test_the_forest_has_a_row_a_pair_with_its_interval_and_the_zero_line(many):
    inputs = load(many)
    rows = inputs["method_vs_baseline"]
    rows = rows[(rows["source"] == inputs.name) & (rows["counted"] == "true")]
    with look():
        (figure,) = forest.figures(inputs)
    lines = [line for ax in figure.canvas.axes for line in ax.get_lines()]
    zero = [line for line in lines if list(line.get_xdata()) == [0, 0]]
    marks = [line for line in lines if line.get_marker() == "s"]
    intervals = [line for line in lines if line.get_marker() == "None" and line not in zero]
    assert len(zero) == rows["epochs"].nunique()
    assert sorted(line.get_xdata()[0] for line in marks) == pytest.approx(sorted(100 * rows["difference"].dropna()))
    assert len(intervals) == rows["low"].notna().sum() > 0
    assert "95 %" in figure.caption and figure.own and figure.section == "own"
    matplotlib.pyplot.close(figure.canvas)


@pytest.mark.parametrize(("low", "high"), [(1700, 2100), (30, 40), (1, 3), (100, 90000), (5e4, 3e7), (0.02, 0.03)])
def test_a_time_axis_has_three_ticks_or_more(low, high):
    ticks = tradeoff.clock_ticks(low, high)
    assert 3 <= len(ticks) <= 8 and all(low <= tick <= high for tick in ticks)
    assert len({durations.tick(tick) for tick in ticks}) == len(ticks)
