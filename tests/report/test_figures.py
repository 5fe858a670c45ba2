"""The figures: files that say the same thing twice, with words for those who cannot see them."""

import json
import xml.etree.ElementTree as xml

import pandas as pd
import pytest

from renorm.report.figures import draw, steps, tradeoff
from renorm.report.figures.style import line_styles
from renorm.report.inputs import load
from renorm.report.palette import DARK, LIGHT

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
