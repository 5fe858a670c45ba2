"""Training-step time: batch norm, our deconvolution, the textbook's, interleaved in one run.

    python -m benchmarks.step --archs vgg16 resnet18 --batch 64 --repeats 5

A step is forward, loss, backward and the optimiser's update on the same batch. On a CPU the time is processor time of
one thread, so that another program on the machine distorts it little; on a GPU it is wall clock between
synchronisations. The textbook form is the oracle of the tests (coupled iteration, gradients by autograd).
"""

import argparse
import os
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.common import show
from renorm.models import create
from renorm.norms.deconv import DeconvConv2d, DeconvLinear
from tests.norms import oracle

ARCHS = ("vgg16", "resnet18", "preact_resnet18", "densenet121", "resnext29_32x4d", "mobilenet_v2", "dpn92", "pnasnet_a",
         "senet18")  # fmt: skip


class Textbook(nn.Module):
    """A deconvolved layer computed by the oracle's functions."""

    def __init__(self, layer: DeconvConv2d | DeconvLinear):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        layer = self.layer
        if isinstance(layer, DeconvLinear):
            mean, d = oracle.statistics(x.reshape(1, -1, layer.features), layer.eps, layer.iterations)
            return oracle.linear(x, layer.weight, layer.bias, mean, d)
        block = layer.in_channels // (layer.blocks * layer.groups)
        samples = oracle.conv_samples(x, layer, block, 3)
        mean, d = oracle.statistics(samples, layer.eps, layer.iterations)
        return oracle.conv2d(x, layer.weight, layer.bias, layer, mean, d)


def textbook(model: nn.Module) -> nn.Module:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, DeconvConv2d | DeconvLinear):
                setattr(parent, name, Textbook(child))
    return model


def build(arch: str, kind: str, device: torch.device) -> nn.Module:
    torch.manual_seed(0)
    model = create(arch, "batch_norm" if kind == "batch_norm" else "deconv", 10, 32, 3)
    return (textbook(model) if kind == "textbook" else model).to(device)


def clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def measure(arch: str, kinds: list[str], batch: int, repeats: int, device: torch.device) -> dict:
    """Median seconds of a step per kind, the kinds taking turns."""
    x, y = torch.randn(batch, 3, 32, 32, device=device), torch.randint(0, 10, (batch,), device=device)
    runs = {kind: build(arch, kind, device) for kind in kinds}
    optimizers = {k: torch.optim.SGD(m.parameters(), lr=1e-4, momentum=0.9, fused=True) for k, m in runs.items()}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(repeats + 1):
        for kind, model in runs.items():
            start = clock(device)
            F.cross_entropy(model(x), y).backward()
            optimizers[kind].step()
            optimizers[kind].zero_grad(set_to_none=True)
            if turn:  # the first turn warms up
                seconds[kind].append(clock(device) - start)
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    row = {"arch": arch, **{f"{k} ms": 1000 * v for k, v in medians.items()}}
    row["deconv / batch_norm"] = medians["deconv"] / medians["batch_norm"]
    if "textbook" in medians:
        row["textbook / deconv"] = medians["textbook"] / medians["deconv"]
    row["deconv images/s"] = batch / medians["deconv"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="+", default=ARCHS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-textbook", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = ["batch_norm", "deconv"] + ([] if options.no_textbook else ["textbook"])
    device = torch.device(options.device)
    rows = [measure(arch, kinds, options.batch, options.repeats, device) for arch in options.archs]
    mean = {"arch": "geometric mean"} | {key: "" for key in rows[0] if key != "arch"}
    for key in ("deconv / batch_norm", "textbook / deconv"):
        if key in rows[0]:
            mean[key] = statistics.geometric_mean(row[key] for row in rows)
    what = "wall clock" if device.type == "cuda" else "processor time of one thread"
    note = f"float32, batch {options.batch}, median of {options.repeats}, interleaved, {what}"
    show("step", [*rows, mean], note + f", MALLOC_MMAP_MAX_={os.environ.get('MALLOC_MMAP_MAX_', 'default')}")


if __name__ == "__main__":
    main()
