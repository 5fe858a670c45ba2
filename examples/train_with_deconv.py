"""Network deconvolution in a training loop of your own: `renorm.norms` needs nothing else of renorm.

python examples/train_with_deconv.py [NORM] [EPOCHS]     # deconv 5; renorm.norms.list_norms() has the others
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn

from renorm import norms


def train(norm: str = "deconv", epochs: int = 5) -> list[float]:
    """Train a small network on 1,500 handwritten digits; returns the mean loss of each epoch, in nats."""
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images[:1500], dtype=torch.float32).unsqueeze(1) / 16  # (1500, 1, 8, 8), from 0 to 1
    labels = torch.tensor(digits.target[:1500])
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 64, 10),
    )  # fmt: skip
    model = norms.apply(model, norms.NormSpec(norm, block=16))  # written with batch norm; now with `norm`
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(epochs):
        steps = []
        for batch in torch.randperm(len(images)).split(100):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        losses.append(sum(steps) / len(steps))
    return losses


if __name__ == "__main__":
    name, *epochs = sys.argv[1:] or ["deconv"]
    for number, loss in enumerate(train(name, *map(int, epochs)), start=1):
        print(f"epoch {number}: loss {loss:.4f}")
