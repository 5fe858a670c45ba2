"""Schedules, losses and augmentations by name, and that a run with any of them resumes bit for bit."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler

from renorm.study import parts
from renorm.training import augmentations, losses, optimizers, schedules
from renorm.training.job import train

from .cells import history_without_times, small_job, stop_after_each_step, without_times

STEPS, PER_EPOCH, RATE = 60, 6, 0.4


def test_every_built_in_name_has_a_function():
    built_in = {
        "optimizer": optimizers.BUILT_IN, "schedule": schedules.BUILT_IN, "loss": losses.BUILT_IN,
        "augment": augmentations.BUILT_IN | dict.fromkeys(parts.GEOMETRIES),
    }  # fmt: skip
    assert {kind: set(names) for kind, names in built_in.items()} == {k: set(v) for k, v in parts.PARTS.items()}


def rates(schedule) -> list[float]:
    return [schedules.learning_rate(RATE, schedule, step, STEPS, PER_EPOCH) for step in range(STEPS)]


def torchs(make, each_epoch=False) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler, found = make(optimizer), []
    for step in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if not each_epoch or (step + 1) % PER_EPOCH == 0:
            scheduler.step()
    return found


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_schedules_equal_torchs():
    expected = {
        "cosine": torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)),
        "constant": [RATE] * STEPS,
        "linear": torchs(lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, STEPS)),
        "one_cycle": torchs(lambda o: lr_scheduler.OneCycleLR(o, RATE, total_steps=STEPS)),
    }
    for name, values in expected.items():
        assert rates(name) == pytest.approx(values, abs=1e-12), name
    steps = torchs(lambda o: lr_scheduler.StepLR(o, 3, 0.5), each_epoch=True)
    assert rates({"name": "step", "every": 3, "factor": 0.5}) == pytest.approx(steps)
    several = torchs(lambda o: lr_scheduler.MultiStepLR(o, [2, 7], 0.1), each_epoch=True)
    assert rates({"name": "multistep", "milestones": [2, 7]}) == pytest.approx(several)


def test_a_warm_up_rises_to_the_rate_and_the_rest_begins_behind_it():
    found = rates({"name": "cosine", "warmup_epochs": 2})
    assert found[:12] == pytest.approx([RATE * (n + 1) / 12 for n in range(12)])
    rest = [RATE * 0.5 * (1 + math.cos(math.pi * n / 48)) for n in range(48)]
    assert found[12:] == pytest.approx(rest)
    stepped = rates({"name": "step", "every": 3, "warmup_epochs": 1})
    assert stepped[5:18] == pytest.approx([RATE] * 13) and stepped[18] == pytest.approx(RATE / 10)


def test_losses():
    logits, y = torch.randn(6, 5), torch.arange(6) % 5
    smoothed = losses.loss({"name": "cross_entropy", "label_smoothing": 0.1}, logits, y)
    assert torch.equal(smoothed, F.cross_entropy(logits, y, label_smoothing=0.1))
    for kind in ("cross_entropy", "mse"):  # shares of one label are that label
        hard, soft = losses.loss(kind, logits, y), losses.loss(kind, logits, F.one_hot(y, 5).float())
        assert torch.allclose(hard, soft)


def applied(chosen, images, y, epoch=1, step=0, seed=1):
    return augmentations.Augmentations(chosen, seed, 0, 5)((images, y), epoch, step)


def test_cutout_and_random_erasing_set_one_rectangle_to_zero():
    images, y = torch.ones(200, 3, 16, 20), torch.zeros(200, dtype=torch.int64)
    cut, labels = applied(["none", {"name": "cutout", "size": 6}], images, y)
    assert torch.equal(labels, y)
    assert torch.equal(cut[:, 0], cut[:, 2])  # all channels together
    areas = (cut[:, 0] == 0).sum((1, 2))
    assert areas.max() == 36 and areas.min() >= 9 and areas.unique().numel() > 5  # cut off at the borders
    erased, _ = applied(["none", {"name": "random_erasing", "probability": 0.5}], images, y)
    shares = (erased[:, 0] == 0).float().mean((1, 2))
    assert 0.35 < (shares > 0).float().mean() < 0.65
    assert shares[shares > 0].min() > 0.01 and shares.max() < 0.36
    assert torch.equal(images, torch.ones_like(images))  # nothing is written into the data set


def test_mixup_mixes_images_and_labels_alike():
    y = torch.arange(50) % 5
    images = y[:, None, None, None].float().expand(50, 1, 2, 2)  # a pixel is the number of its class
    mixed, shares = applied(["none", {"name": "mixup", "alpha": 1.0}], images, y)
    assert torch.allclose(shares.sum(1), torch.ones(50))
    assert torch.allclose(mixed[:, 0, 0, 0], shares @ torch.arange(5.0))
    assert not torch.equal(mixed, images)


def test_what_is_drawn_follows_from_seed_epoch_and_step():
    images, y = torch.ones(8, 1, 16, 16), torch.zeros(8, dtype=torch.int64)
    found = [applied(["none", "cutout"], images, y, *key)[0] for key in ((1, 1), (1, 1), (1, 2), (2, 1))]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2]) and not torch.equal(found[0], found[3])


RECIPES = {
    "adamw": {
        "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.05, "betas": [0.8, 0.99]},
        "schedule": {"name": "multistep", "milestones": [1], "warmup_epochs": 0.5},
        "loss": {"name": "cross_entropy", "label_smoothing": 0.1}, "augment": ["crop", "mixup"], "gradient_clip": 0.5,
    },
    "nesterov": {
        "optimizer": {"lr": 0.02, "nesterov": True}, "schedule": "one_cycle",
        "augment": ["crop_flip", {"name": "cutout", "size": 8}, "random_erasing"],
    },
    "rmsprop": {
        "optimizer": {"name": "rmsprop", "lr": 0.001, "momentum": 0.5},
        "schedule": {"name": "step", "every": 1, "factor": 0.5}, "loss": "mse", "gradient_clip": 0.1,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_stopped_after_every_step_and_resumed_bit_for_bit(tmp_path, prepared_digits, monkeypatch, name):
    whole = train(small_job(tmp_path / "whole", prepared_digits, recipe=RECIPES[name]))
    plain = train(small_job(tmp_path / "plain", prepared_digits))
    stop_after_each_step(monkeypatch)
    stops = 0
    while not (tmp_path / "stopped/run.json").exists():
        try:
            found = train(small_job(tmp_path / "stopped", prepared_digits, recipe=RECIPES[name]))
        except SystemExit:
            stops += 1
        assert stops <= 12
    assert stops >= 9
    assert without_times(found) == without_times(whole)
    assert history_without_times(tmp_path / "stopped") == history_without_times(tmp_path / "whole")
    assert found.weights_sha256 != plain.weights_sha256


def test_clipping_keeps_the_direction_and_bounds_the_norm():
    parameters = [torch.nn.Parameter(torch.zeros(3)) for _ in range(2)]
    for parameter, value in zip(parameters, (3.0, 4.0), strict=True):
        parameter.grad = torch.full((3,), value)
    losses.gradient_norm_clipped(parameters, 1.0)
    gradient = torch.cat([p.grad for p in parameters])
    assert gradient.norm() == pytest.approx(1, abs=1e-5)
    assert gradient[3] / gradient[0] == pytest.approx(4 / 3)
