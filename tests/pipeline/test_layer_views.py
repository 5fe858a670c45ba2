"""Layer views through the real workflow: what is trained for them, what is made again, what the page shows."""

import copy as copying
import csv
import json
import re

import pytest

from .conftest import STUDY

pytestmark = pytest.mark.pipeline
AFTER = {"study": 1, "collect": 1, "judge": 1, "figures": 1, "report": 1}
METHOD = "digits/tiny_vgg/deconv/other/e1/s1"
LAYER_VIEWS = {
    "trained": {"kind": "covariance", "cell": METHOD, "layer": 2, "images": 40, "title": "Covariance <trained>"},
    "fresh": {"kind": "image", "cell": METHOD, "trained": False, "images": 40},
    "maps": {"kind": "sparsity", "cell": METHOD, "layer": 3, "images": 40},
}


def rows(checkout, name: str) -> list[dict]:
    with open(checkout.folder / "results/small" / name, newline="") as file:
        return list(csv.DictReader(file))


def test_layer_views_from_weights_to_the_page(make_checkout, tmp_path):
    checkout = make_checkout(tmp_path / "checkout")
    study = copying.deepcopy(STUDY) | {"layer_views": LAYER_VIEWS}
    study["experiments"]["baseline"]["seeds"], study["experiments"]["method"]["seeds"] = [1], [1, 2]
    checkout.write(study)
    assert checkout.pending("method") == {"dataset": 1, "train": 2, "inspect": 3, **AFTER}
    given = ("--set-resources", "train:checkpoint_minutes=7", "--set-threads", "train=2")
    commands = re.findall(r"renorm train .*", checkout.snakemake("--dry-run", "--printshellcmds", *given))
    assert len(commands) == 3 and sum("--keep" in command for command in commands) == 1
    assert all("--threads 2 --checkpoint-minutes 7 " in command for command in commands), commands
    checkout.snakemake()
    kept = list((checkout.folder / "results/runs").rglob("weights.pt"))
    assert [path.parent.relative_to(checkout.folder / "results/runs").as_posix() for path in kept] == [METHOD]

    drawn = rows(checkout, "layer_views.csv")
    assert [(row["view"], row["measure"]) for row in drawn] == [
        ("trained", "off_diagonal"), ("trained", "identity_distance"), ("fresh", "near_zero"), ("fresh", "kurtosis"),
        ("maps", "near_zero"), ("maps", "kurtosis"),
    ]  # fmt: skip
    assert {row["status"] for row in drawn} == {"inspected"} and drawn[0]["path"] == "features.4"
    assert float(drawn[0]["after"]) < float(drawn[0]["before"])
    pictures = rows(checkout, "layer_view_images.csv")
    assert sum(row["view"] == "trained" for row in pictures) == 2 * 72 * 72
    assert {row["image"] for row in pictures if row["view"] == "maps"} == {"input", "deconvolved_magnitude"}
    assert sum(float(row["share"]) for row in rows(checkout, "layer_view_histograms.csv")) == pytest.approx(4)
    page = (checkout.folder / "results/small/report.html").read_text()
    assert "Covariance &lt;trained&gt;" in page and page.count('href="data:image/png') >= 2 + 4 + 16
    assert "tiny_vgg, deconv, digits, untrained" in page
    assert checkout.planned() == checkout.pending() == {}

    # Another title inspects nothing; a layer view less trains nothing; one of a cell without weights trains that cell.
    checkout.write(
        study | {"layer_views": LAYER_VIEWS | {"maps": LAYER_VIEWS["maps"] | {"title": "New"}}}, "title.yaml"
    )
    assert checkout.pending(config="title.yaml") == AFTER
    checkout.write(study | {"layer_views": {"fresh": LAYER_VIEWS["fresh"]}}, "less.yaml")
    assert checkout.pending(config="less.yaml") == AFTER
    more = {"cell": METHOD.replace("s1", "s2"), "kind": "image"}
    checkout.write(study | {"layer_views": LAYER_VIEWS | {"more": more}}, "more.yaml")
    assert checkout.pending(config="more.yaml") == {"train": 1, "inspect": 1, **AFTER}

    # Weights that are not those of the record are not used, and the page says what is missing.
    kept[0].write_bytes(kept[0].read_bytes()[:-100])
    (checkout.folder / "results/layer_views/maps.json").unlink()
    output = checkout.snakemake(expect=1)
    assert "weights.pt: checksum does not match run.json" in output and "Traceback" not in output
    page = (checkout.folder / "results/small.partial/report.html").read_text()
    assert "not made yet" in page
    record = json.loads((kept[0].parent / "run.json").read_text())
    assert record["status"] == "completed"
