"""Training-step time and peak memory: batch norm, our deconvolution, the textbook's, interleaved in one run.

    python -m benchmarks.step --archs vgg16 resnet18 --batch 64 --repeats 5
    python -m benchmarks.step --reference ../deconvolution    # beside the layers of the original repository

A step is forward, loss, backward and the optimiser's update on the same batch; a test is a forward pass in evaluation.
On a CPU the time is CPU time of one thread, so that another program on the machine distorts it little; on a GPU
it is wall clock between synchronisations. Allocator, layout of the batch, precision and choice of kernels are those of
training, for all kinds. The textbook form is the oracle of the tests (coupled iteration, gradients by autograd). Peak
memory is that of two steps on `--memory-batch` images in a process of its own: on a CPU its largest resident set less
what it had before the network was built, on a GPU the most that was allocated.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import reference
from benchmarks.common import bars, configure_as_training, interleaved, show, what_clock, what_precision
from renorm.data.batches import memory_layout
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


def build(arch: str, kind: str, device: torch.device, original: ModuleType | None = None) -> nn.Module:
    torch.manual_seed(0)
    model = create(arch, "batch_norm" if kind == "batch_norm" else "deconv", 10, 32, 3)
    if kind == "textbook":
        model = textbook(model)
    elif kind == "original":
        model = reference.replace(model, original)
    return model.to(device)


class Trainer:
    """A network with its optimiser and one batch."""

    def __init__(self, arch: str, kind: str, batch: int, device: torch.device, original: ModuleType | None = None):
        self.model = build(arch, kind, device, original)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9, fused=True)
        self.x = torch.randn(batch, 3, 32, 32, device=device).contiguous(memory_format=memory_layout(device))
        self.y = torch.randint(0, 10, (batch,), device=device)

    def step(self) -> None:
        self.model.train()
        F.cross_entropy(self.model(self.x), self.y).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def test(self) -> Tensor:
        self.model.eval()
        return self.model(self.x)


def measure(
    arch: str, kinds: list[str], batch: int, repeats: int, device: torch.device, original: ModuleType | None = None
) -> dict:
    """Median milliseconds of a step and, of batch norm and ours, of a test per kind, the kinds alternating."""
    configure_as_training(1, device)
    trainers = {kind: Trainer(arch, kind, batch, device, original) for kind in kinds}
    works = {f"{kind} ms": trainer.step for kind, trainer in trainers.items()}
    works |= {f"{kind} test ms": trainers[kind].test for kind in kinds[:2]}
    row = {"arch": arch, "batch": batch}
    row |= {name: 1000 * seconds for name, seconds in interleaved(device, works, repeats).items()}
    row["deconv / batch_norm"] = row["deconv ms"] / row["batch_norm ms"]
    for kind in kinds[2:]:
        row[f"{kind} / deconv"] = row[f"{kind} ms"] / row["deconv ms"]
    row["deconv images/s"] = 1000 * batch / row["deconv ms"]
    return row


def peaks(arch: str, kinds: list[str], batch: int, device: str) -> dict:
    """Peak memory of training each kind in MB, and the ratio of our deconvolution to batch norm."""
    found = {}
    for kind in kinds:
        command = [sys.executable, "-m", "benchmarks.step", "--peak", kind, "--archs", arch, "--device", device,
                   "--memory-batch", str(batch)]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[f"{kind} peak MB"] = float(done.stdout.split()[-1])
    return found | {"peak deconv / batch_norm": found["deconv peak MB"] / found["batch_norm peak MB"]}


def peak(arch: str, kind: str, batch: int, device: torch.device) -> float:
    """MB that two steps need in this process at most."""
    configure_as_training(1, device)
    if device.type == "cuda":
        torch.cuda.init()  # a device with a number does not start CUDA by being asked
        torch.cuda.reset_peak_memory_stats(device)
    before = _resident(reset=True)
    trainer = Trainer(arch, kind, batch, device)
    for _ in range(2):  # the second has the momentum beside the gradients
        trainer.step()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return (_resident() - before) / 1024


def _resident(reset: bool = False) -> int:
    """The largest resident set of this process so far in KiB; with `reset` what it is now, from where on to count."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="+", default=ARCHS)
    parser.add_argument("--batch", type=int, help="default: 128 on a GPU, 32 on a CPU")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-textbook", action="store_true")
    parser.add_argument("--reference", type=Path, metavar="PATH", help="a checkout of the original repository")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--memory-batch", type=int, default=128)
    parser.add_argument("--peak", metavar="KIND", help="print the peak memory of this kind of the first arch, in MB")
    o = parser.parse_args()
    device = torch.device(o.device)
    o.batch = o.batch or (128 if device.type == "cuda" else 32)
    if o.peak:
        print(peak(o.archs[0], o.peak, o.memory_batch, device))
        return
    kinds = ["batch_norm", "deconv"] + ([] if o.no_textbook else ["textbook"])
    original = reference.load(o.reference) if o.reference else None
    kinds += ["original"] if original else []
    rows = []
    for arch in o.archs:
        row = measure(arch, kinds, o.batch, o.repeats, device, original)
        rows.append(row if o.no_memory else row | peaks(arch, kinds[:2], o.memory_batch, o.device))
    mean = {"arch": "geometric mean"} | {key: "" for key in rows[0] if key != "arch"}
    for key in rows[0]:
        if " / " in key:
            mean[key] = statistics.geometric_mean(row[key] for row in rows)
    note = f"{what_precision(device)}, batch {o.batch}, median of {o.repeats}, interleaved, {what_clock(device)}"
    if not o.no_memory:
        note += f"; peak memory at batch {o.memory_batch}"
    path = show("step", [*rows, mean], note)
    bars(path, rows, "arch", {f"{kind} ms": kind for kind in kinds}, "ms a step, added up")


if __name__ == "__main__":
    main()
