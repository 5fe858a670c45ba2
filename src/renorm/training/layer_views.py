"""Layer views: the input of one deconvolved convolution of a cell's network before and after deconvolution.

Made from the weights with which the cell's training ended, or from the initial ones, whose running statistics are
then those of the images shown. The result is a file of numbers; the report's figures are made from them.
"""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from renorm import data
from renorm.core import files
from renorm.core.errors import RenormError
from renorm.norms.deconv import DeconvConv2d
from renorm.norms.deconvolution import Deconvolution
from renorm.norms.patches import Patches
from renorm.norms.registry import is_batch_norm
from renorm.runs import run_record
from renorm.study.config import LayerView
from renorm.training.checkpoint import WEIGHTS
from renorm.training.network import network
from renorm.training.provenance import weights_sha256

FORMAT = 1
FEATURES = 81  # rows and columns of a covariance matrix that are kept: more cannot be distinguished in a figure
CHANNELS = 8  # feature maps that are kept
PIXELS = 128  # of an image's height and width; the middle of a larger one is kept
NEAR_ZERO = 0.1  # of the root mean square
HISTOGRAM = torch.linspace(-4, 4, 41)  # in root mean squares; the outer bins hold the rest too


@dataclass(frozen=True)
class Seen:
    """A layer with the input (images, C, H, W) that the network gives it."""

    path: str
    layer: DeconvConv2d
    x: Tensor


def inspect(view: LayerView, hyper: dict, dataset: data.Dataset, run: Path, out: Path) -> Path:
    """Write the numbers of `view` to `out`, sealed; `run` is the folder of its cell's run.

    Raises `RenormError` when the layer is not deconvolved, or the run has not kept the weights of its record.
    """
    model, weights = network(view.of, hyper, dataset), None
    images = _images(view, hyper, dataset)
    if view.trained:
        weights = _load(model, run)
    else:
        _take_statistics(model, images)
    seen = _inspected(view, model, images)
    found = {"covariance": _covariance, "image": _image, "sparsity": _sparsity}[view.kind](view, seen)
    document = {
        "format": FORMAT, "kind": view.kind, "cell": view.of.as_dict(), "hyperparameters": hyper,
        "trained": view.trained, "weights_sha256": weights, "data_sha256": dataset.checksum,
        "layer": view.layer, "path": seen.path, "images": len(images), "features": seen.layer.features,
    }  # fmt: skip
    files.write_sealed(out, document | {"measures": [], "layer_view_images": [], "layer_view_histograms": []} | found)
    return out


def _images(view: LayerView, hyper: dict, dataset: data.Dataset) -> Tensor:
    """The first training images as the network sees them without augmentation; of image files, n from all
    classes."""
    limit = min(view.images, hyper["train_images"] or view.images)
    split = data.on_device(dataset, "train", torch.device("cpu"), limit, 0, hyper["normalise"])
    if view.image > len(split):
        raise RenormError(f"image: {view.image} was asked for and the cell trains on {len(split)} images")
    return split.plain(0, len(split))[0]


def _load(model: nn.Module, run: Path) -> str:
    """Put the run's final weights into `model`; returns their checksum, which is the record's."""
    record, path = run_record.read(run / "run.json"), run / WEIGHTS
    again = f"remove {run / 'run.json'} and train the cell again"
    try:
        state = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
        found = weights_sha256(state)
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}; {again}") from None
    except Exception:  # whatever a damaged file makes of the reader
        found = ""
    if found != record.weights_sha256:
        raise RenormError(f"{path}: checksum does not match run.json; {again}")
    model.load_state_dict(state)
    return found


@torch.no_grad()
def _take_statistics(model: nn.Module, images: Tensor) -> None:
    """Let the running statistics of every layer be those of `images`."""
    for module in model.modules():
        if isinstance(module, Deconvolution) or is_batch_norm(module):
            module.momentum = 1.0  # type: ignore[assignment]
    model.train()(images)


@torch.no_grad()
def _inspected(view: LayerView, model: nn.Module, images: Tensor) -> Seen:
    """The view's layer, the `layer`-th convolution of the network, and what it gets in evaluation."""
    convolutions = [(path, m) for path, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    if view.layer > len(convolutions):
        raise RenormError(f"layer: {view.of} has {len(convolutions)} convolutions, no {view.layer}th")
    path, layer = convolutions[view.layer - 1]
    if not isinstance(layer, DeconvConv2d) or layer.deconv_groups > 1:
        what = "has groups" if isinstance(layer, DeconvConv2d) else "is not deconvolved"
        raise RenormError(f"layer: convolution {view.layer} of {view.of} ('{path}') {what}: name another")
    caught: list[Tensor] = []
    with layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0])):
        model.eval()(images)
    if not caught[0].isfinite().all() or not layer.running_deconv.isfinite().all():
        raise RenormError(f"layer: what convolution {view.layer} of {view.of} gets is not finite: it diverged")
    return Seen(path, layer, caught[0])


def _covariance(view: LayerView, seen: Seen) -> dict:
    """Covariance of the samples from which the layer takes its statistics, and of the same samples deconvolved.

    The preprint's Figure 2: X and X·D, with the covariance C of the samples and D·C·D. `off_diagonal` is the mean
    |c_ij|, i ≠ j, in parts of the mean c_ii; `identity_distance` is ‖C − I‖/‖I‖ (Frobenius).
    """
    layer = seen.layer
    samples = layer.sampler.gather(seen.x, torch.float64).reshape(layer.features, -1) - layer.running_mean.double()
    d = layer.running_deconv.double()
    before = samples @ samples.T / samples.shape[1]
    pair = before, d @ before @ d
    shown = [matrix[:FEATURES, :FEATURES] for matrix in pair]
    return {
        "measures": [
            _measure("off_diagonal", *map(_off_diagonal, pair)),
            _measure("identity_distance", *map(_identity_distance, pair)),
        ],
        "layer_view_images": [_shown(name, 0, matrix) for name, matrix in zip(("before", "after"), shown, strict=True)],
    }


def _off_diagonal(c: Tensor) -> float:
    diagonal, n = c.diagonal().abs(), len(c)
    return float((c.abs().sum() - diagonal.sum()) / max(n * (n - 1), 1) / diagonal.mean())


def _identity_distance(c: Tensor) -> float:
    return float(torch.linalg.matrix_norm(c - torch.eye(len(c), dtype=c.dtype))) / math.sqrt(len(c))


def _image(view: LayerView, seen: Seen) -> dict:
    """One image and its deconvolution, each also as distance from zero (the preprint's Figure 3)."""
    after, mean = _deconvolved(seen)
    before = seen.x - mean
    shown = view.image - 1
    series = {"input": seen.x[shown], "input_magnitude": before[shown].abs(),
              "deconvolved": after[shown], "deconvolved_magnitude": after[shown].abs()}  # fmt: skip
    images = [_shown(name, c, maps[c]) for name, maps in series.items() for c in range(len(maps))]
    return {"layer_view_images": images} | _spread(before, after)


def _sparsity(view: LayerView, seen: Seen) -> dict:
    """Feature maps of one image and |deconvolved| ones (the preprint's Figure 9), with the spread of all values."""
    after, _ = _deconvolved(seen)
    shown = view.image - 1
    series = {"input": seen.x[shown, :CHANNELS], "deconvolved_magnitude": after[shown, :CHANNELS].abs()}
    images = [_shown(name, c, maps[c]) for name, maps in series.items() for c in range(len(maps))]
    return {"layer_view_images": images} | _spread(seen.x, after)


def _deconvolved(seen: Seen) -> tuple[Tensor, Tensor]:
    """The deconvolved input (images, C, H, W), at every pixel the middle of its deconvolved patch, and the mean of
    these middles (C, 1, 1)."""
    layer, (_, channels, *_) = seen.layer, seen.x.shape
    patches = isinstance(layer.sampler, Patches)
    taps = math.prod(layer.kernel_size) if patches else 1
    middles = torch.arange(channels) * taps + taps // 2
    mean = layer.running_mean.repeat(1, layer.blocks)  # row feature·blocks + block
    padding = cast(tuple[int, ...], layer.padding)  # of all convolutions of the registered networks
    shape = [size + 2 * p - d * (k - 1) for size, p, d, k in zip(
        seen.x.shape[2:], padding, layer.dilation, layer.kernel_size, strict=True)]  # fmt: skip
    out = []
    for image in seen.x.split(1):  # one by one: all patches of a batch would not fit into memory
        columns = image.flatten(2)[0]
        if patches:
            columns = F.unfold(image, layer.kernel_size, layer.dilation, padding)[0]
        rows = columns.view(layer.features, layer.blocks, -1) - layer.running_mean[..., None]
        white = (layer.running_deconv @ rows.flatten(1)).view(len(columns), -1)[middles]
        out.append(white.view(channels, *(shape if patches else image.shape[2:])))
    return torch.stack(out), mean.reshape(-1)[middles].view(-1, 1, 1)


def _spread(before: Tensor, after: Tensor) -> dict:
    """How much of the values is near zero, in root mean squares: `near_zero` is the share below a tenth, `kurtosis`
    E v⁴/(E v²)², which is 3 where values are normally distributed and grows as they get sparser."""
    scaled = {name: _by_rms(values) for name, values in (("before", before), ("after", after))}
    return {
        "measures": [
            _measure("near_zero", *(float((v.abs() < NEAR_ZERO).double().mean()) for v in scaled.values())),
            _measure("kurtosis", *(float(v.pow(4).mean()) for v in scaled.values())),
        ],
        "layer_view_histograms": [{"series": name, **_histogram(v)} for name, v in scaled.items()],
    }


def _by_rms(values: Tensor) -> Tensor:
    values = values.double()
    return values / values.square().mean().sqrt().clamp_min(1e-30)


def _histogram(values: Tensor) -> dict:
    """Shares of the values between neighbouring edges; what lies outside of them is counted in the outer bins."""
    edges = HISTOGRAM.double()
    counts = torch.histogram(values.clamp(edges[0], edges[-1]).flatten(), edges).hist
    return {"edges": edges.tolist(), "shares": (counts / counts.sum()).tolist()}


def _measure(name: str, before: float, after: float) -> dict:
    return {"measure": name, "before": before, "after": after}


def _shown(name: str, channel: int, values: Tensor) -> dict:
    """Six digits are more than an eye sees and keep the file small."""
    top, left = ((size - PIXELS) // 2 if size > PIXELS else 0 for size in values.shape)
    values = values[top : top + PIXELS, left : left + PIXELS]
    rows = [[float(f"{value:.6g}") for value in row] for row in values.tolist()]
    return {"image": name, "channel": channel, "values": rows}
