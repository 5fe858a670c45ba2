"""The benchmarks measure what they say: parts add up to the whole, counts are those of torch, sums those of claims."""

import csv
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import common, layer

CPU = torch.device("cpu")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(module, *arguments)`: the benchmark's main in a folder of its own; returns the rows of its CSV."""
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    threads = torch.get_num_threads()

    def start(module, *arguments: str) -> list[dict]:
        monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
        module.main()
        tables = sorted(tmp_path.glob("*.csv"))
        assert tables[-1].with_suffix(".svg").read_text().startswith("<?xml")
        return rows_of(tables[-1])

    yield start
    torch.set_num_threads(threads)


def rows_of(table: Path) -> list[dict]:
    with open(table, newline="") as file:
        assert file.readline().startswith("# ")
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("arch", "path"), [("resnet18", "layer1.0.conv1"), ("mobilenet_v2", "head"), ("vgg16", "")])
def test_the_parts_of_a_layer_make_the_layer(arch, path):
    places = layer.places(arch)
    place = next(p for p in places if path in p.path)
    parts = layer.Parts(place, 4, CPU)
    twin = place.layer.train()
    twin.weight.data, twin.bias.data = parts.weight.detach().clone(), parts.bias.clone()
    whitened, parts.d = parts.whiten(parts.rows)
    weight, bias = parts.transform(parts.weight)
    parts.bias = bias
    torch.testing.assert_close(parts.convolution(weight), twin(parts.x), rtol=1e-3, atol=1e-3)
    assert whitened.shape == parts.rows.shape


def test_the_counted_operations_are_torch_s():
    places = [*layer.places("mobilenet_v2"), *layer.places("resnext29_32x4d")]
    for kind in ("3×3", "1×1", "depthwise 3×3", "grouped 3×3", "linear"):
        place = next(p for p in places if p.kind == kind)
        parts = layer.Parts(place, 2, CPU)
        with FlopCounterMode(display=False) as counter:
            out = parts.convolution(parts.weight)
        assert out.shape[1:] == layer.output_shape(place)
        assert counter.get_total_flops() == layer.operations(place, 2)["convolution"][0], kind


def test_every_shape_of_the_ten_architectures_is_there_once():
    every = layer.chosen(["vgg16", "resnet18"], 2, everything=True)
    assert sum(every.values()) == len(layer.places("vgg16")) + len(layer.places("resnet18"))
    some = layer.chosen(["vgg16", "resnet18"], 2, everything=False)
    assert 0 < len(some) < len(every) and {place.kind for place in some} == {"3×3", "1×1", "linear"}


def test_layer_prints_each_part_of_each_layer(run):
    rows = run(layer, "--archs", "pnasnet_a", "--batch", "2", "--repeats", "1")
    assert {row["part"] for row in rows} == set(layer.PARTS)
    assert all(float(row["forward ms"]) >= 0 for row in rows)
    assert all(float(row["GFLOP/s"]) > 0 for row in rows if row["part"] == "convolution")
