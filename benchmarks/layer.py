"""Where the time of a deconvolved layer goes: statistics, iteration, transform of the weight, convolution.

    python -m benchmarks.layer [--all] [--archs vgg16 resnet18] [--batch 64] [--repeats 5] [--device cuda]

By default the costliest shape of every architecture and of every kind of layer; `--all`: every distinct shape. What is
achieved is compared with a large product and a large copy, measured in the same run. Operations and bytes are those of
the plain form (all products whole, 3n − 3 and 4n − 4 products of an iteration of n steps, every matrix read and written
once), so that a form with fewer of them shows as faster, even as above the ceiling. So may a convolution on a GPU,
which is computed in TF32 as in training; the product is not.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common import bars, clock, configure_as_training, interleaved, show, what_clock, what_precision
from renorm.data.batches import memory_layout
from renorm.models import create, describe
from renorm.norms import few_samples
from renorm.norms.deconv import DeconvConv2d, DeconvLinear
from renorm.norms.products import exact_products
from renorm.norms.whitening import PatchStats, WhitenRows

ARCHS = ("vgg16", "resnet18", "preact_resnet18", "densenet121", "resnext29_32x4d", "mobilenet_v2", "dpn92", "pnasnet_a",
         "senet18", "efficientnet_b0")  # fmt: skip
PARTS = ("statistics", "iteration", "transform", "convolution")
FLOAT = 4


@dataclass(frozen=True)
class Place:
    """A layer of an architecture with the shape of one image of its input."""

    arch: str
    path: str
    layer: DeconvConv2d | DeconvLinear
    shape: tuple[int, ...]

    @property
    def kind(self) -> str:
        if isinstance(self.layer, DeconvLinear):
            return "linear"
        grouped = "depthwise " if self.layer.groups == self.layer.in_channels > 1 else "grouped "
        return ("" if self.layer.groups == 1 else grouped) + "×".join(map(str, self.layer.kernel_size))

    @property
    def key(self) -> tuple:
        """Equal for layers that do the same work."""
        layer = self.layer
        extra = () if self.kind == "linear" else (layer.stride, layer.padding, layer.dilation, layer.groups)
        return (layer.weight.shape, self.shape, extra, layer.features, layer.blocks, layer.iterations, layer.sampler)

    def cost(self, batch: int) -> float:
        """Operations of a step, by the plain form."""
        return sum(forward + backward for forward, backward in operations(self, batch).values())


def places(arch: str) -> list[Place]:
    """The deconvolved layers of `arch`, with their inputs' shapes; nothing is computed."""
    size = describe(arch).size
    plain, shapes = create(arch, "batch_norm", 10, size, 3).to("meta").eval(), {}

    def note(path: str) -> Callable:
        return lambda layer, args: shapes.update({path: tuple(args[0].shape[1:])})

    for path, layer in plain.named_modules():
        layer.register_forward_pre_hook(note(path))
    plain(torch.empty(1, 3, size, size, device="meta"))
    layers = create(arch, "deconv", 10, size, 3).named_modules()
    return [Place(arch, path, layer, shapes[path]) for path, layer in layers
            if isinstance(layer, DeconvConv2d | DeconvLinear)]  # fmt: skip


def chosen(archs: list[str], batch: int, everything: bool) -> dict[Place, int]:
    """Layers to measure, and how many in all of `archs` do the same work."""
    counts: dict[tuple, int] = {}
    first: dict[tuple, Place] = {}
    for place in (place for arch in archs for place in places(arch)):
        counts[place.key] = counts.get(place.key, 0) + 1
        first.setdefault(place.key, place)
    distinct = sorted(first.values(), key=lambda place: -place.cost(batch))
    if not everything:
        # Sorted by cost, so the first of each is its costliest.
        wanted = {place.arch: place for place in reversed(distinct)} | {p.kind: p for p in reversed(distinct)}
        distinct = [place for place in distinct if place in wanted.values()]
    return {place: counts[place.key] for place in distinct}


def operations(place: Place, batch: int) -> dict[str, tuple[float, float]]:
    """part → floating-point operations forward and backward, by the plain form."""
    layer, n = place.layer, samples(place, batch)
    square = layer.deconv_groups * layer.features**2
    steps = layer.iterations - 1
    rows = layer.weight.numel() / layer.features / layer.deconv_groups
    outputs = batch * math.prod(output_shape(place)[1:])
    ordinary = 2 * layer.weight[0].numel() * outputs * layer.weight.shape[0]
    return {
        "statistics": (2 * square * n, 2 * square * n),
        "iteration": (3 * steps * 2 * square * layer.features, 4 * steps * 2 * square * layer.features),
        "transform": (2 * square * rows, 2 * square * rows),
        "convolution": (ordinary, 2 * ordinary),
    }


def traffic(place: Place, batch: int) -> dict[str, tuple[float, float]]:
    """part → bytes read and written forward and backward, by the plain form."""
    layer, n = place.layer, samples(place, batch)
    groups, features, steps = layer.deconv_groups, layer.features, layer.iterations - 1
    gathered, square, weight = groups * features * n, groups * features**2, layer.weight.numel()
    moved = batch * math.prod(place.shape) + batch * math.prod(output_shape(place)) + weight
    parts = {
        "statistics": (3 * gathered + square, 4 * gathered + square),
        "iteration": (9 * steps * square, 12 * steps * square),
        "transform": (4 * weight + square, 4 * weight + square),
        "convolution": (moved, 2 * moved),
    }
    return {name: (FLOAT * forward, FLOAT * backward) for name, (forward, backward) in parts.items()}


def samples(place: Place, batch: int) -> int:
    """Samples of each covariance."""
    x = torch.empty(batch, *place.shape, device="meta")
    return place.layer.sampler.count(x) * place.layer.blocks


def output_shape(place: Place) -> tuple[int, ...]:
    """(out, H′, W′), or (out,) of a linear layer."""
    if place.kind == "linear":
        return (place.layer.out_features,)
    layer = place.layer
    sides = (
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, p, d, k, s in zip(
            place.shape[1:], layer.padding, layer.dilation, layer.kernel_size, layer.stride, strict=True
        )
    )
    return (layer.out_channels, *sides)


class Parts:
    """The parts of one layer on a batch, forward alone and with backward."""

    def __init__(self, place: Place, batch: int, device: torch.device):
        torch.manual_seed(0)
        layer = place.layer
        self.layer, self.device = layer, device
        self.x = _laid_out(torch.randn(batch, *place.shape, device=device).relu_()).requires_grad_()
        self.weight = torch.randn(layer.weight.shape, device=device) * 0.05
        self.bias = torch.zeros(layer.weight.shape[0], device=device)
        # Fewer samples than features: the whole iteration runs in the space of the samples.
        self.few = layer.deconv_groups == 1 and few_samples.pays(device, samples(place, batch), layer.features)
        self.found = [part.detach() for part in self.statistics()]
        self.rows = layer._to_rows(self.weight)
        self.d = self.whiten(self.rows)[1]

    def statistics(self) -> tuple[Tensor, Tensor]:
        layer = self.layer
        if self.few:
            return few_samples.CentredSamples.apply(self.x, layer.sampler, layer.features, False)
        return PatchStats.apply(self.x, layer.sampler, layer.deconv_groups, layer.features, layer.eps, False)[::-1]

    def whiten(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Iteration and product with the weight."""
        if self.few:
            return few_samples.whiten_rows(self.found[0], rows, self.layer.eps, self.layer.iterations)
        return WhitenRows.apply(self.found[0], rows, self.layer.iterations)

    def transform(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weight to rows, product with a known D, back, and the bias."""
        with exact_products(self.device):
            rows = torch.matmul(self.layer._to_rows(weight), self.d)
            return self.layer._from_rows(rows), self.bias - torch.matmul(rows, self.found[1]).view(
                len(self.bias), -1
            ).sum(1)

    def convolution(self, weight: Tensor) -> Tensor:
        layer = self.layer
        if isinstance(layer, DeconvLinear):
            return F.linear(self.x, weight, self.bias)
        return F.conv2d(self.x, weight, self.bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    def product(self) -> Tensor:
        """The product within `whiten`, to be taken off it."""
        with exact_products(self.device):
            return torch.matmul(self.rows, self.d)

    def works(self) -> dict[str, Callable[[], object]]:
        weight = self.weight.requires_grad_()
        rows = self.rows.detach().requires_grad_()
        covariance = self.found[0].requires_grad_()
        forward = {
            "statistics": self.statistics, "whiten": lambda: self.whiten(rows), "product": self.product,
            "transform": lambda: self.transform(weight), "convolution": lambda: self.convolution(weight),
        }  # fmt: skip
        inputs = {"statistics": [self.x], "whiten": [covariance, rows], "product": [rows], "transform": [weight],
                  "convolution": [self.x, weight]}  # fmt: skip
        sources = forward | {"product": lambda: self._whiten_of(rows)}
        backward = {f"{name} back": _backward(source, inputs[name]) for name, source in sources.items()}
        return forward | backward

    def _whiten_of(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows times the known D: its backward pass is that of `whiten` without the iteration's."""
        with exact_products(self.device):
            return (torch.matmul(rows, self.d),)


def _laid_out(x: Tensor) -> Tensor:
    """Images in the layout that training gives them."""
    return x.contiguous(memory_format=memory_layout(x.device)) if x.ndim == 4 else x


def _backward(source: Callable, inputs: list[Tensor]) -> Callable[[], object]:
    """The backward pass alone, over one graph again and again."""
    out = source()
    outputs = [t for t in (out if isinstance(out, tuple) else (out,)) if t.requires_grad]
    gradients = [_laid_out(torch.randn_like(t)) for t in outputs]
    return lambda: torch.autograd.grad(outputs, inputs, gradients, retain_graph=True, allow_unused=True)


def measure(place: Place, count: int, batch: int, device: torch.device, repeats: int, peak: dict) -> list[dict]:
    layer: nn.Module = place.layer
    layer.to(device)
    times = interleaved(device, Parts(place, batch, device).works(), repeats)
    spent = {
        "statistics": (times["statistics"], times["statistics back"]),
        # Differences: of a fast iteration nothing but the clock's noise may be left.
        "iteration": (max(times["whiten"] - times["product"], 0), max(times["whiten back"] - times["product back"], 0)),
        "transform": (times["transform"], times["transform back"]),
        "convolution": (times["convolution"], times["convolution back"]),
    }
    work, moved = operations(place, batch), traffic(place, batch)
    shape = f"{place.kind} {layer.weight.shape[1]}→{layer.weight.shape[0]} at {'×'.join(map(str, place.shape))}"
    rows = []
    for part in PARTS:
        seconds = sum(spent[part])
        rows.append({
            "layer": f"{place.arch} {place.path}", "shape": shape, "features": layer.features,
            "samples": samples(place, batch), "layers alike": count, "part": part,
            "forward ms": 1000 * spent[part][0], "backward ms": 1000 * spent[part][1],
            "GFLOP/s": sum(work[part]) / seconds / 1e9 if seconds else 0.0,
            "of peak %": 100 * sum(work[part]) / seconds / peak["flops"] if seconds else 0.0,
            "GB/s": sum(moved[part]) / seconds / 1e9 if seconds else 0.0,
            "of copy %": 100 * sum(moved[part]) / seconds / peak["bytes"] if seconds else 0.0,
        })  # fmt: skip
    return rows


def ceilings(device: torch.device, repeats: int) -> dict[str, float]:
    """Operations a second of a large float32 product, and bytes a second of a large copy, read and written."""
    size, floats = (8192, 2**28) if device.type == "cuda" else (2048, 2**24)
    a, source = torch.randn(size, size, device=device), torch.randn(floats, device=device)
    target = torch.empty_like(source)
    with exact_products(device):
        times = interleaved(device, {"product": lambda: a @ a, "copy": lambda: target.copy_(source)}, repeats)
    return {"flops": 2 * size**3 / times["product"], "bytes": 2 * FLOAT * floats / times["copy"]}


def plotted(rows: list[dict]) -> list[dict]:
    """A row per layer with its parts as columns, in milliseconds."""
    out: dict[tuple, dict] = {}
    for row in rows:
        name = f"{row['layer']}\n{row['shape']}"
        one = out.setdefault(name, {"layer": name})
        for way in ("forward", "backward"):
            one[f"{row['part']} {way}"] = row[f"{way} ms"]
    return list(out.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="+", default=list(ARCHS))
    parser.add_argument("--all", action="store_true", help="every distinct shape")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, help="default: 128 on a GPU, 32 on a CPU")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    o = parser.parse_args()
    device = torch.device(o.device)
    configure_as_training(o.threads, device)
    batch = o.batch or (128 if device.type == "cuda" else 32)
    peak = ceilings(device, o.repeats)
    clock(device)
    rows = []
    for place, count in chosen(o.archs, batch, o.all).items():
        rows += measure(place, count, batch, device, o.repeats, peak)
    note = (f"{what_precision(device)}, batch {batch}, median of {o.repeats}, interleaved, {what_clock(device)}; "
            f"ceilings: {peak['flops'] / 1e9:,.0f} GFLOP/s, {peak['bytes'] / 1e9:,.1f} GB/s")  # fmt: skip
    path = show("layer", rows, note)
    columns = {f"{part} {way}": f"{part}, {way}" for part in PARTS for way in ("forward", "backward")}
    bars(path, plotted(rows), "layer", columns, "ms a step")


if __name__ == "__main__":
    main()
