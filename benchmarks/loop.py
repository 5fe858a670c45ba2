"""Images per second of the trainer's loop beside a plain DataLoader loop, two processes alternating.

    python -m benchmarks.loop [--archs resnet18 vgg16] [--images 50000] [--workers 8] [--device cuda]

The plain loop is what one writes first: images through torchvision's padding, crop, flip, ToTensor and Normalize in a
DataLoader (pinned memory on a GPU), SGD, loss and hits read back in every step. Both train the same
network with batch norm on the same images in the same order, with the same crops and flips, and in the same
precision; `loss` is that of the last epoch in each. What else the trainer sets for its process (the allocator, cuDNN's
choice of kernels) the plain loop does without. The time of the DataLoader's workers counts by wall clock only: with
--workers above 0 on a CPU give --threads 2 or more, which takes the wall clock.
"""

import argparse
import multiprocessing
import os
import statistics
from multiprocessing.connection import Connection

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as transforms

from benchmarks.common import bars, clock, show, what_clock
from renorm import data, models
from renorm.data.batches import PADDING, Augmentation
from renorm.data.prepared import Split
from renorm.study.config import Recipe
from renorm.training.device import configure
from renorm.training.trainer import Trainer

SIZE, CLASSES, TESTED, SEED = 32, 10, 8, 1


def random_images(count: int) -> data.Dataset:
    """Random images in the shape of CIFAR-10's."""
    random = np.random.default_rng(0)
    splits = (Split(random.integers(0, 256, (n, 3, SIZE, SIZE), np.uint8), random.integers(0, CLASSES, n))
              for n in (count, TESTED))  # fmt: skip
    return data.Dataset("random", CLASSES, (0.5,) * 3, (0.25,) * 3, *splits, checksum="")


class EpochImages(Dataset):
    """One epoch's images in its order, with its crops and flips."""

    def __init__(self, dataset: data.Dataset, draws: Augmentation):
        self.images = dataset.train.images.transpose(0, 2, 3, 1)
        self.labels, self.draws = dataset.train.labels, draws
        self.mean, self.std = dataset.mean, dataset.std

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int):
        number = int(self.draws.order[row])
        image = transforms.pad(Image.fromarray(self.images[number]), PADDING)
        image = transforms.crop(image, int(self.draws.top[row]), int(self.draws.left[row]), SIZE, SIZE)
        if self.draws.flip[row]:
            image = transforms.hflip(image)
        return transforms.normalize(transforms.to_tensor(image), self.mean, self.std), int(self.labels[number])


class Ours:
    """The trainer's loop, an epoch at a time."""

    def __init__(self, arch: str, dataset: data.Dataset, hyper: dict, device: torch.device):
        self.trainer = Trainer(network(arch), dataset, hyper, 1, SEED, device)

    def epoch(self) -> float:
        """Train one more epoch; its mean loss."""
        self.trainer.epochs = self.trainer.epoch
        self.trainer.run()
        return self.trainer.rows[-1]["train_loss"]


class Plain:
    """A DataLoader loop, an epoch at a time."""

    def __init__(self, arch: str, dataset: data.Dataset, hyper: dict, device: torch.device, workers: int):
        self.dataset, self.hyper, self.device, self.workers = dataset, hyper, device, workers
        self.model = network(arch).to(device)
        options = {key: value for key, value in hyper["optimizer"].items() if key != "name"}
        self.optimizer = torch.optim.SGD(self.model.parameters(), **options)
        self.done = 0

    def epoch(self) -> float:
        """Train one more epoch; its mean loss."""
        self.done += 1
        self.model.train()
        draws = Augmentation.draw(len(self.dataset.train.labels), SEED, self.done, self.hyper["augment"])
        total, hits = 0.0, 0
        for x, y in self._batches(draws):
            x, y = x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
            self.optimizer.zero_grad()
            logits = self.model(x)
            loss = F.cross_entropy(logits, y)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(y)
            hits += (logits.argmax(1) == y).sum().item()
        return total / len(self.dataset.train.labels)

    def _batches(self, draws: Augmentation) -> DataLoader:
        return DataLoader(EpochImages(self.dataset, draws), self.hyper["batch_size"], num_workers=self.workers,
                          pin_memory=self.device.type == "cuda")  # fmt: skip


def network(arch: str) -> torch.nn.Module:
    torch.manual_seed(SEED)
    return models.create(arch, "batch_norm", CLASSES, SIZE, 3)


def serve(pipe: Connection, name: str, arch: str, hyper: dict, o: argparse.Namespace) -> None:
    """Train an epoch whenever `pipe` asks for one; answer with its seconds and its loss."""
    device = torch.device(o.device)
    dataset = random_images(o.images)
    if name == "ours":
        configure(hyper, o.threads, device)
        loop = Ours(arch, dataset, hyper, device)
    else:
        torch.set_num_threads(o.threads)
        loop = Plain(arch, dataset, hyper, device, o.workers)
    while pipe.recv():
        begun = clock(device)
        loss = loop.epoch()
        pipe.send((clock(device) - begun, loss))


def measure(arch: str, hyper: dict, o: argparse.Namespace) -> dict:
    """Images a second of both, the median of their ratio, and the last losses, which must be one."""
    spawn = multiprocessing.get_context("spawn")
    pipes = {}
    for name in ("ours", "plain"):
        pipes[name], theirs = spawn.Pipe()
        spawn.Process(target=serve, args=(theirs, name, arch, hyper, o)).start()
        theirs.close()
    seconds: dict[str, list[float]] = {name: [] for name in pipes}
    losses = {}
    for repeat in range(o.repeats + 1):
        for name, pipe in pipes.items():
            pipe.send(True)
            passed, losses[name] = pipe.recv()
            if repeat:  # the first epoch warms up
                seconds[name].append(passed)
    for pipe in pipes.values():
        pipe.send(False)
    return {
        "arch": arch, "batch": hyper["batch_size"], "workers": o.workers,
        **{f"{name} images/s": o.images / statistics.median(values) for name, values in seconds.items()},
        "ours / plain": statistics.median(b / a for a, b in zip(seconds["ours"], seconds["plain"], strict=True)),
        **{f"{name} loss": loss for name, loss in losses.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="+", help="default: three networks of the size of the device")
    parser.add_argument("--images", type=int, help="default: 50,000 on a GPU, 1,280 on a CPU")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int, help="default: the CPUs, 8 at most, on a GPU; 0 on a CPU")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    o = parser.parse_args()
    gpu = torch.device(o.device).type == "cuda"
    o.archs = o.archs or (["resnet18", "vgg16", "mobilenet_v2"] if gpu else ["tiny_vgg", "tiny_resnet", "vgg16"])
    o.workers = (min(8, os.cpu_count() or 1) if gpu else 0) if o.workers is None else o.workers
    o.images = o.images or (50_000 if gpu else 1_280)
    # TF32 in convolutions on a GPU, as torch has it by default.
    recipe = Recipe(batch_size=o.batch, schedule="constant", optimizer={"lr": 1e-3})
    hyper = recipe.resolved("batch_norm", o.archs[0])
    torch.set_num_threads(o.threads)  # what `what_clock` goes by
    rows = [measure(arch, hyper, o) for arch in o.archs]
    note = f"{o.images:,} images an epoch, median of {o.repeats} epochs, {what_clock(torch.device(o.device))}"
    path = show("loop", rows, note)
    bars(path, rows, "arch", {"ours / plain": "ours / plain"}, "images a second of the trainer over a plain loop's")


if __name__ == "__main__":
    main()
