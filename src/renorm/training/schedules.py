"""Learning-rate schedules: a factor of the recipe's rate for every step.

A schedule is a function of (settings, step, steps, steps per epoch) alone, so that a run that is resumed at any step
has the rate of the run that was never stopped.
"""

import math
from collections.abc import Callable
from typing import Any

from renorm.core import plugins
from renorm.study import parts

Schedule = Callable[[Any, int, int, int], float]

# Plugins: a function (settings, step from 0, steps of the cell, steps of an epoch) → factor of the rate.
register_schedule = plugins.registrar("schedule")


def learning_rate(lr: float, schedule: Any, step: int, steps: int, steps_per_epoch: int) -> float:
    """The learning rate of a step.

    Args:
        lr: The recipe's.
        schedule: The recipe's key: a name, or a mapping with `name` and settings.
        step: From 0.
        steps: Of the cell.
        steps_per_epoch: Of an epoch.
    """
    settings = parts.parse("schedule", schedule)
    function = BUILT_IN.get(settings.name) or plugins.registered("schedule", settings.name)
    warm = round((getattr(settings, "warmup_epochs", None) or 0) * steps_per_epoch)
    if step < warm:
        return lr * (step + 1) / warm
    return lr * function(settings, step, steps, steps_per_epoch)


def _after_warmup(settings: parts.Warm, step: int, steps: int, steps_per_epoch: int) -> float:
    """How far the steps behind the warm-up are, from 0 to 1."""
    warm = min(round((settings.warmup_epochs or 0) * steps_per_epoch), steps - 1)
    return (step - warm) / (steps - warm)


def cosine(settings: parts.Cosine, step: int, steps: int, steps_per_epoch: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * _after_warmup(settings, step, steps, steps_per_epoch)))


def constant(settings: parts.Constant, step: int, steps: int, steps_per_epoch: int) -> float:
    return 1.0


def linear(settings: parts.Linear, step: int, steps: int, steps_per_epoch: int) -> float:
    return 1 - _after_warmup(settings, step, steps, steps_per_epoch)


def step(settings: parts.Step, step: int, steps: int, steps_per_epoch: int) -> float:
    return settings.factor ** (step // steps_per_epoch // settings.every)


def multistep(settings: parts.Multistep, step: int, steps: int, steps_per_epoch: int) -> float:
    return settings.factor ** sum(step // steps_per_epoch >= milestone for milestone in settings.milestones)


def one_cycle(settings: parts.OneCycle, step: int, steps: int, steps_per_epoch: int) -> float:
    """torch.optim.lr_scheduler.OneCycleLR with its cosine form: `lr` is the highest rate."""
    start, end = 1 / settings.start_divisor, 1 / (settings.start_divisor * settings.end_divisor)
    last, peak = steps - 1, settings.rise * steps - 1
    if step <= peak:
        return _annealed(start, 1.0, step / peak)
    return _annealed(1.0, end, (step - peak) / (last - peak) if last > peak else 1.0)


def _annealed(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


BUILT_IN: dict[str, Schedule] = {
    function.__name__: function for function in (cosine, constant, linear, step, multistep, one_cycle)
}
