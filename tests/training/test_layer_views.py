"""Layer views: the numbers behind covariance, image and sparsity, compared with oracles."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from renorm import data
from renorm.core import files
from renorm.core.errors import RenormError
from renorm.data import ImageFileOptions
from renorm.data.prepared import Dataset, Split
from renorm.study.cell import Cell
from renorm.study.config import LayerView, Recipe
from renorm.training import layer_views
from renorm.training.job import train
from renorm.training.network import network

from ..data.trees import kaggle
from ..norms import oracle
from .cells import small_job

CELL = "cifar10/tiny_resnet/deconv/base/e1/s1"
HYPER = Recipe(norm={"iterations": 40}).resolved("deconv", "tiny_resnet")


@pytest.fixture(scope="module")
def photographs() -> Dataset:
    """Images whose pixels and channels are correlated, as those of photographs are, and no direction is empty."""
    noise = np.random.default_rng(0)
    smooth = torch.tensor(noise.normal(size=(64, 3, 40, 40)), dtype=torch.float32)
    for _ in range(2):
        smooth = F.avg_pool2d(smooth, 3, 1, 1)
    mixed = torch.einsum("ij,njhw->nihw", torch.tensor([[1, 0.7, 0.6], [0.7, 1, 0.7], [0.6, 0.7, 1]]), smooth)
    images = (mixed[:, :, 4:36, 4:36] * 120 + 128).clamp(0, 255).byte().numpy()
    split = Split(images, np.arange(64) % 10)
    mean, std = (images / 255).mean((0, 2, 3)), (images / 255).std((0, 2, 3))
    return Dataset("cifar10", 10, tuple(mean), tuple(std), split, split, "none")


def inspected(view: LayerView, dataset: Dataset, out, hyper=HYPER, run=None) -> dict:
    return files.read_sealed(layer_views.inspect(view, hyper, dataset, run, out / "d.json"), "")


def measures(found: dict) -> dict:
    return {row["measure"]: (row["before"], row["after"]) for row in found["measures"]}


def maps(found: dict, name: str) -> torch.Tensor:
    return torch.tensor([p["values"] for p in found["layer_view_images"] if p["image"] == name])


def test_covariance_of_images_is_far_from_the_identity_and_that_of_deconvolved_ones_is_it(photographs, tmp_path):
    found = inspected(LayerView(kind="covariance", cell=CELL, trained=False, images=64), photographs, tmp_path)
    values = measures(found)
    assert values["off_diagonal"][0] > 0.2 and values["identity_distance"][0] > 1
    assert values["off_diagonal"][1] < 0.005 and values["identity_distance"][1] < 0.02
    # The same matrix by the textbook: padded patches, every third one, less their mean.
    model = network(Cell.from_path(CELL), HYPER, photographs)
    x = data.on_device(photographs, "train", torch.device("cpu"), None, 1).plain(0, 64)[0].double()
    samples = oracle.conv_samples(x, model.body.stem.conv, 3, 3)[0]
    expected = np.cov(samples.numpy().T, bias=True)
    np.testing.assert_allclose(maps(found, "before")[0], expected, atol=1e-5)
    np.testing.assert_allclose(maps(found, "after")[0], np.eye(27), atol=0.01)


def test_one_step_of_the_iteration_does_not_decorrelate(photographs, tmp_path):
    hyper = Recipe(norm={"iterations": 1}).resolved("deconv", "tiny_resnet")
    found = inspected(LayerView(kind="covariance", cell=CELL, trained=False, images=64), photographs, tmp_path, hyper)
    assert measures(found)["identity_distance"][1] > 0.5


@pytest.mark.parametrize("norm", ["deconv", "channel_deconv"])
@pytest.mark.parametrize("layer", [1, 3])
def test_deconvolved_maps_are_what_the_layer_multiplies(photographs, tmp_path, norm, layer):
    """A layer whose weights only pick the middle of a patch gives the deconvolved map itself; blocks of 4 channels."""
    cell = Cell.from_path(CELL.replace("deconv", norm))
    hyper = Recipe(norm={"block": 4}).resolved(norm, "tiny_resnet")
    view = LayerView(kind="image", cell=cell.path, trained=False, layer=layer, images=8, image=5)
    found = inspected(view, photographs, tmp_path, hyper)
    model = network(cell, hyper, photographs)
    x = data.on_device(photographs, "train", torch.device("cpu"), None, 1).plain(0, 8)[0]
    layer_views._take_statistics(model, x)
    seen = layer_views._inspected(view, model, x)
    chosen = seen.layer
    channels = chosen.in_channels
    middle = tuple(k // 2 for k in chosen.kernel_size)
    with torch.no_grad():
        weight = torch.zeros(channels, channels, *chosen.kernel_size)
        weight[range(channels), range(channels), middle[0], middle[1]] = 1
        chosen.weight = torch.nn.Parameter(weight)
        chosen.bias = torch.nn.Parameter(torch.zeros(channels))
        chosen.stride = (1, 1)
        expected = chosen(seen.x)[4]
    torch.testing.assert_close(maps(found, "deconvolved"), expected, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(maps(found, "deconvolved_magnitude"), expected.abs(), atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(maps(found, "input"), seen.x[4], atol=1e-4, rtol=1e-4)


def test_spread_of_known_distributions():
    torch.manual_seed(0)
    normal = torch.randn(200_000)
    sparse = torch.where(torch.rand(200_000) < 0.1, normal, torch.zeros(()))
    found = layer_views._spread(3 * normal, sparse)
    values = {row["measure"]: (row["before"], row["after"]) for row in found["measures"]}
    assert values["near_zero"][0] == pytest.approx(math.erf(0.1 / math.sqrt(2)), abs=0.003)
    assert values["near_zero"][1] == pytest.approx(0.9 + 0.1 * math.erf(0.1 * math.sqrt(0.1) / math.sqrt(2)), abs=0.003)
    assert values["kurtosis"][0] == pytest.approx(3, abs=0.05)
    assert values["kurtosis"][1] == pytest.approx(30, rel=0.05)
    for one in found["layer_view_histograms"]:
        assert sum(one["shares"]) == pytest.approx(1) and len(one["edges"]) == len(one["shares"]) + 1
    outer = [one["shares"][-1] for one in found["layer_view_histograms"]]
    assert outer[1] > outer[0]  # what lies outside of the edges is in the outer bins


def test_a_large_image_is_cut_to_its_middle():
    values = torch.arange(200.0)[:, None] + torch.zeros(200, 64)
    kept = layer_views._shown("x", 0, values)["values"]
    assert (len(kept), len(kept[0]), kept[0][0]) == (128, 64, 36.0)


def test_inspected_from_the_weights_that_a_run_kept(prepared_digits, tmp_path):
    job = small_job(tmp_path / "run", prepared_digits, norm="deconv", keep_weights=True)
    record = train(job)
    dataset = data.open_prepared(prepared_digits / "digits", "digits")
    trained = LayerView(kind="sparsity", cell=job.cell.path, layer=2, images=32)
    found = inspected(trained, dataset, tmp_path, job.hyper, job.out)
    assert found["weights_sha256"] == record.weights_sha256 and found["path"] == "features.4"
    assert len(maps(found, "input")) == 8 and (maps(found, "deconvolved_magnitude") >= 0).all()
    initial = inspected(trained.model_copy(update={"trained": False}), dataset, tmp_path, job.hyper)
    assert initial["weights_sha256"] is None and initial["layer_view_images"] != found["layer_view_images"]
    assert train(job) == record  # finished, with its weights: nothing to do
    path = job.out / "weights.pt"
    whole = path.read_bytes()
    for damaged in (whole[:-1000], whole[: len(whole) // 2] + b"x" + whole[len(whole) // 2 + 1 :], b""):
        path.write_bytes(damaged)
        if damaged[: len(whole)] != whole:
            with pytest.raises(RenormError, match="weights.pt: .*train the cell again"):
                inspected(trained, dataset, tmp_path, job.hyper, job.out)
    path.unlink()
    with pytest.raises(RenormError, match="weights.pt: cannot be read.*train the cell again"):
        inspected(trained, dataset, tmp_path, job.hyper, job.out)
    assert train(replace(job, keep_weights=False)) == record
    again = train(job)  # a view needs the weights, and there are none: the cell is trained again
    assert again.weights_sha256 == record.weights_sha256 and path.exists()
    assert len(list(job.out.glob("run.superseded-*.json"))) == 1


def test_image_files_are_inspected_too(tmp_path):
    options = ImageFileOptions(True, image_size=32)
    data.prepare("imagenet", kaggle(tmp_path / "raw"), tmp_path / "imagenet", options=options)
    dataset = data.open_prepared(tmp_path / "imagenet", "imagenet")
    cell = CELL.replace("cifar10", "imagenet")
    found = inspected(LayerView(kind="image", cell=cell, trained=False, images=6, image=6), dataset, tmp_path)
    assert found["images"] == 6 and maps(found, "deconvolved").shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer": 50}, "layer: cifar10/tiny_resnet/deconv/base/e1/s1 has .* convolutions, no 50th"),
        ({"image": 65, "images": 100}, "image: 65 was asked for and the cell trains on 64 images"),
        ({"cell": CELL.replace("deconv", "batch_norm")}, "layer: convolution 1 of .* is not deconvolved: name another"),
        ({"cell": CELL.replace("tiny_resnet", "mobilenet_v2"), "layer": 3}, "has groups: name another"),
    ],
)
def test_what_cannot_be_inspected_is_one_line(photographs, tmp_path, change, words):
    view = LayerView(**({"kind": "image", "cell": CELL, "trained": False, "images": 4} | change))
    hyper = Recipe().resolved(view.of.norm, view.of.arch)
    with pytest.raises(RenormError, match=words) as caught:
        inspected(view, photographs, tmp_path, hyper)
    assert "\n" not in str(caught.value)
