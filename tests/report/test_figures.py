"""The figures: files that say the same thing twice, with words for those who cannot see them."""

import json
import xml.etree.ElementTree as xml
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from renorm.report.figures import draw, steps, tradeoff
from renorm.report.figures.style import line_styles
from renorm.report.inputs import load
from renorm.report.palette import DARK, LIGHT, norm_colours, norm_markers

SVG = "{http://www.w3.org/2000/svg}"


def test_every_figure_is_listed_with_its_words(full):
    entries = json.loads((full / "figures" / "figures.json").read_text(encoding="utf-8"))
    assert {entry["file"] for entry in entries} == {path.name for path in (full / "figures").glob("*.svg")}
    for entry in entries:
        assert all(entry[key].strip() and "{" not in entry[key] for key in ("title", "caption", "alt", "section"))


def test_every_kind_is_drawn(full):
    names = {path.name.split("-")[0] for path in (full / "figures").glob("*.svg")}
    assert names == {"dumbbell", "time", "tradeoff", "curves", "steps"}  # forest: test_forest


def test_text_stays_text(full):
    tree = xml.parse(full / "figures" / "dumbbell-cifar10-top1.svg")
    texts = {"".join(node.itertext()) for node in tree.iter(f"{SVG}text")}
    assert {"VGG-16", "100 epochs", "accuracy, %", "claim", "ND"} <= texts


def test_the_same_data_give_the_same_bytes_and_old_figures_go(demo):
    before = {path.name: path.read_bytes() for path in (demo / "figures").iterdir()}
    (demo / "figures" / "old.svg").write_text("<svg/>")
    draw(demo)
    assert {path.name: path.read_bytes() for path in (demo / "figures").iterdir()} == before


def test_the_front_is_what_nothing_faster_beats():
    named = [{"train_seconds": s, "value": v} for s, v in ((3, 0.9), (1, 0.5), (2, 0.4), (1, 0.6), (4, 0.9), (9, 0.95))]
    assert [(p["train_seconds"], p["value"]) for p in tradeoff.front(named)] == [(1, 0.6), (3, 0.9), (9, 0.95)]


def test_a_point_needs_accuracy_and_time_of_one_source(full):
    inputs = load(full)
    found = tradeoff.points(inputs)
    assert {p["source"] for p in found} == {"full", "obadage2024"}
    assert all(p["train_seconds"] > 0 and 0 <= p["value"] <= 1 for p in found)
    keys = [tuple(p[k] for k in ("source", "dataset", "arch", "norm", "recipe", "epochs")) for p in found]
    assert len(keys) == len(set(keys)) > 200


def test_step_losses_are_means_over_seeds_and_stretches():
    rows = pd.DataFrame({"step": [1, 2, 3, 1, 2], "train_loss": [4.0, 2.0, 1.0, 2.0, 4.0]})  # one seed stopped early
    assert steps.means(rows, 1).to_dict() == {1.0: 3.0, 2.0: 3.0, 3.0: 1.0}
    assert steps.means(rows, 2).to_dict() == {1.5: 3.0, 3.5: 1.0}


def test_more_norms_than_colours_are_told_apart():
    styles = line_styles(["a", "b", "c", "d", "e", "f", "g"], "a", "b")
    assert len({str(style) for style in styles.values()}) == 7


# Full protanopia, deuteranopia and tritanopia on linear RGB (Machado et al. 2009, severity 1), and none.
BLIND = {
    "none": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour: str, seen: list) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as somebody sees it."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    xyz = to_xyz @ np.clip(np.array(seen) @ linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_ten_series_are_told_apart_by_everybody(palette):
    """ΔE of 10 and more, or another marker and another line pattern, for every pair and every kind of sight."""
    norms = [f"n{i}" for i in range(10)]
    names, markers = norm_colours(norms, "n0", "n1"), norm_markers(norms, "n0", "n1")
    lines = line_styles(norms, "n0", "n1")
    for kind, seen in BLIND.items():
        for one, other in combinations(norms, 2):
            far = np.linalg.norm(lab(palette[names[one]], seen) - lab(palette[names[other]], seen))
            assert kind != "none" or far >= 10, (names[one], names[other], far)
            differ = markers[one] != markers[other] and lines[one]["linestyle"] != lines[other]["linestyle"]
            assert far >= 10 or differ, (kind, names[one], names[other], far)


def light(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def mixed(colour: str, ground: str, share: float) -> str:
    pairs = [(int(colour[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "claim", "method", "better", "below", "missing"])
def test_text_has_enough_contrast_even_on_the_deepest_tint(palette, name):
    grounds = [palette["ground"]]
    grounds += [mixed(palette[name], palette["ground"], 0.15)] if name in ("better", "below") else []
    for ground in grounds:
        bright, dark = sorted((light(palette[name]), light(ground)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5
