"""A cell's network fits the images of its data set, or one line says that it does not."""

import numpy as np
import pytest
import torch
from torch import nn

from renorm import models
from renorm.core.errors import RenormError
from renorm.data.prepared import Dataset, Split
from renorm.study.cell import Cell
from renorm.training.network import network


def images(channels: int) -> Dataset:
    part = Split(np.zeros((2, channels, 32, 32), np.uint8), np.zeros(2, np.int64))
    return Dataset("digits", 10, (0.5,) * channels, (0.5,) * channels, part, part, "")


def fixed(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    """Takes three channels, whatever it is asked for."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(num_classes))


class Late(nn.Module):
    """Its first module is not the first that computes."""

    def __init__(self, num_classes: int, image_size: int, in_channels: int):
        super().__init__()
        self.head = nn.Linear(4, num_classes)
        self.stem = nn.Conv2d(in_channels, 4, 3)

    def forward(self, x):
        return self.head(self.stem(x).mean((2, 3)))


def test_another_number_of_channels_is_one_line(monkeypatch):
    monkeypatch.setattr(models, "create", lambda arch, spec, *sizes: fixed(*sizes[:3]))
    cell = Cell("digits", "tiny_vgg", "batch_norm", "small", 1, 1)
    with pytest.raises(RenormError, match=r"^arch: tiny_vgg: its first layer \('0'\) takes 3 channels and .* has 1"):
        network(cell, {}, images(1))
    assert network(cell, {}, images(3)).training


def test_the_order_of_modules_is_not_that_of_computation(monkeypatch):
    monkeypatch.setattr(models, "create", lambda arch, spec, *sizes: Late(*sizes[:3]))
    model = network(Cell("digits", "tiny_vgg", "none", "small", 1, 1), {}, images(1))
    assert model.training and model(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
