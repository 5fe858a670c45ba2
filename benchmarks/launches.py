"""Kernel launches of a training step: batch norm, ours, and the original's layers by --reference.

    python -m benchmarks.launches [--archs vgg16 resnet18] [--reference ../deconvolution] [--ops resnet18]

On a fast GPU a small product costs its launch, so that their number bounds the time of a step from below. It is found
without a GPU: forward, loss and backward pass on meta tensors, where the layers take the form that they have on a GPU,
and every operation that reaches the dispatcher counts as one launch but for views and allocations. An operation of
torch may be several kernels (the backward pass of a convolution, a list operation over many tensors); it counts once
for all kinds alike. The optimiser's update, one operation for all kinds, is left out.
"""

import argparse
import statistics
from collections import Counter
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import reference
from benchmarks.common import bars, show
from benchmarks.step import build
from renorm.norms import running_together

ARCHS = ("vgg16", "resnet18", "preact_resnet18", "densenet121", "resnext29_32x4d", "mobilenet_v2", "dpn92", "pnasnet_a",
         "senet18", "efficientnet_b0")  # fmt: skip
ALLOCATIONS = ("aten::empty", "aten::new_empty", "aten::detach", "aten::lift_fresh", "aten::_unsafe_view",
               "aten::_reshape_alias", "aten::alias", "aten::promote_types")  # fmt: skip


class Launches(TorchDispatchMode):
    """Counts operations by name; views and allocations launch nothing."""

    def __init__(self):
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        if not func.is_view and not name.startswith(ALLOCATIONS):
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def launches(arch: str, kind: str, batch: int, original: ModuleType | None = None) -> Counter[str]:
    """operation -> launches of one training step (forward, loss, backward) of `arch` on images of 32×32."""
    model = build(arch, kind, torch.device("meta"), original).train()
    x = torch.empty(batch, 3, 32, 32, device="meta")
    y = torch.empty(batch, dtype=torch.int64, device="meta")
    for _ in range(2):  # constants are made, and constant input is looked for, in the first steps
        model(x)
    with Launches() as counted:
        with running_together():
            logits = model(x)
        F.cross_entropy(logits, y).backward()
    return counted.counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="+", default=ARCHS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--reference", type=Path, metavar="PATH", help="a checkout of the original repository")
    parser.add_argument("--ops", metavar="ARCH", help="instead: the operations of one network, most frequent first")
    o = parser.parse_args()
    original = reference.load(o.reference) if o.reference else None
    kinds = ["batch_norm", "deconv"] + (["original"] if original else [])
    if o.ops:
        found = {kind: launches(o.ops, kind, o.batch, original) for kind in kinds}
        names = [name for name, _ in sum(found.values(), Counter()).most_common()]
        show("launches", [{"operation": name} | {kind: found[kind][name] for kind in kinds} for name in names], o.ops)
        return
    rows = []
    for arch in o.archs:
        row = {"arch": arch} | {kind: launches(arch, kind, o.batch, original).total() for kind in kinds}
        row["deconv / batch_norm"] = row["deconv"] / row["batch_norm"]
        rows.append(row | ({"deconv / original": row["deconv"] / row["original"]} if original else {}))
    mean = {key: statistics.geometric_mean(row[key] for row in rows) if " / " in key else "" for key in rows[0]}
    path = show("launches", [*rows, mean | {"arch": "geometric mean"}], f"one step at batch {o.batch}, meta tensors")
    bars(path, rows, "arch", {kind: kind for kind in kinds}, "launches a step, added up")


if __name__ == "__main__":
    main()
