"""Seconds that are something else, that are off from their siblings, or that betray which network was run."""

import math
import statistics
from collections.abc import Iterator

from renorm.judging.audit.loader import Finding, Row, Table, Time, grouped, in_epochs

SPLITS = {"train": "training", "test": "testing"}
SIBLING_FACTOR = 1.3  # seconds per epoch against the other attempts
SIBLING_SDS = 5.0  # and against how much attempts of the whole table differ
SIBLING_DISTANCES = 10  # where this many are known
SIBLING_SECONDS = 30.0  # and by this many seconds in all: shorter runs are measured by their start-up
SETTING_FACTOR = 1.5  # seconds per epoch between settings of 10 epochs and more
SETTING_EPOCHS = 10
# Training and testing may take equally long by chance where they usually differ by less than this.
ALIKE = 1.25
AS_FAST, USUALLY_SLOWER, PAIRS = 1.1, 1.3, 4
MAD = 1.4826  # a median absolute deviation made an estimate of sigma


def equal_to_something_else(table: Table) -> Iterator[Finding]:
    """Training seconds that equal the test seconds, or an accuracy of the same run."""
    cells = grouped(table.times, lambda t: t.cell)
    networks = grouped(table.times, lambda t: t.cell[:4])
    for time in table.times:
        others = [t for t in cells[time.cell] if t is not time] or [t for t in networks[time.cell[:4]] if t is not time]
        if _counts(time, "train") and time.train == time.test and not _usually_alike(others):
            sentence = f"training and testing both took {time.train:g} s: one of them was entered twice"
            yield table.finding("duplicate_runtime", [time.row], time.cell, sentence)
    for row in table.accuracies:
        for split, name in SPLITS.items():
            seconds = getattr(row, f"{split}_seconds")
            if row.status == "completed" and seconds and _is_accuracy(seconds, row):
                others = [getattr(t, split) for t in cells[row.cell] if t.attempt != row.attempt and getattr(t, split)]
                if not any(1 / 1.05 < other / seconds < 1.05 for other in others):
                    sentence = f"{name} took {seconds:g} s, which is the run's accuracy: one is in the wrong column"
                    yield table.finding("duplicate_runtime", [row.row], row.cell, sentence)


def _is_accuracy(seconds: float, row: Row) -> bool:
    return len(f"{row.value:g}") > 3 and seconds in (row.value, round(row.fraction * 100, 4))


def _usually_alike(others: list[Time]) -> bool:
    """Do training and testing of the others take about equally long?"""
    ratios = [t.train / t.test for t in others if t.train and t.test and t.train != t.test]
    return bool(ratios) and 1 / ALIKE < statistics.median(ratios) < ALIKE


def epochs_mismatch(table: Table) -> Iterator[Finding]:
    """Runs that finished fewer or more epochs than their cell says, and were not recorded as diverged."""
    for time in table.times:
        if time.epochs_completed not in (None, time.cell[5]) and time.status == "completed":
            sentence = f"{in_epochs(time.epochs_completed)} completed"
            yield table.finding("epochs_mismatch", [time.row], time.cell, sentence)


def off_from_siblings(table: Table) -> Iterator[Finding]:
    """Seconds per epoch off from the other attempts of the cell: a truncated run, another machine, a slip."""
    for split, name in SPLITS.items():
        single = [t for t in table.times if t.is_run and _counts(t, split)]
        cells = {cell: times for cell, times in grouped(single, lambda t: t.cell).items() if len(times) > 1}
        usual = {cell: statistics.median(_per_epoch(t, split) for t in times) for cell, times in cells.items()}
        limit = _limit([_distance(t, usual[cell], split) for cell, times in cells.items() for t in times])
        for cell, times in cells.items():
            for time in times:
                apart = abs(_per_epoch(time, split) - usual[cell]) * time.epochs > SIBLING_SECONDS
                # Two attempts both lie half-way from their median.
                near = math.log((1 + math.exp(limit)) / 2) if len(times) == 2 else limit
                if apart and _distance(time, usual[cell], split) > near:
                    sentence = (
                        f"{name} of attempt {time.attempt} took {_per_epoch(time, split):.4g} s an epoch, the median "
                        f"of the cell is {usual[cell]:.4g} s"
                    )
                    yield table.finding("runtime_outlier", [time.row], cell, sentence)


def _distance(time: Time, usual: float, split: str) -> float:
    return abs(math.log(_per_epoch(time, split) / usual))


def _limit(distances: list[float]) -> float:
    """How far, in logarithms, an attempt may be from its cell's median: tables differ in how steady their machine was.

    One attempt of each cell is its median itself. A few distances would be those of the odd attempts themselves.
    """
    moved = [d for d in distances if d > 0]
    spread = MAD * statistics.median(moved) if len(moved) >= SIBLING_DISTANCES else 0.0
    return max(math.log(SIBLING_FACTOR), SIBLING_SDS * spread)


def off_between_settings(table: Table) -> Iterator[Finding]:
    """Seconds per epoch that differ between the epoch settings of one network: they cannot be of one machine."""
    for split, name in SPLITS.items():
        long = [t for t in table.times if _counts(t, split) and t.cell[5] >= SETTING_EPOCHS]
        for settings in grouped(long, lambda t: t.cell[:5]).values():
            by_epochs = grouped(settings, lambda t: t.cell[5])
            usual = {e: statistics.median(_per_epoch(t, split) for t in times) for e, times in by_epochs.items()}
            if len(usual) > 1 and max(usual.values()) > SETTING_FACTOR * min(usual.values()):
                shown = ", ".join(f"{usual[epochs]:.4g} s an epoch at {in_epochs(epochs)}" for epochs in sorted(usual))
                cell = by_epochs[min(by_epochs)][0].cell
                sentence = f"{name} time is not proportional to the epochs: {shown}"
                yield table.finding("runtime_scaling", [t.row for t in settings], cell, sentence)


def at_baseline_speed(table: Table) -> Iterator[Finding]:
    """A network of the method as fast as with the baseline, where the method usually costs time: was it the method?"""
    cells = grouped([t for t in table.times if _counts(t, "train")], lambda t: t.cell)
    usual_time = {cell: statistics.median(_per_epoch(t, "train") for t in times) for cell, times in cells.items()}
    baseline, method = table.labels.of("norm", table.baseline), table.labels.of("norm", table.method)
    ratios = {
        cell: seconds / usual_time[other]
        for cell, seconds in usual_time.items()
        if cell[3] == table.method and (other := (*cell[:3], table.baseline, *cell[4:])) in usual_time
    }
    for group in grouped(ratios, lambda cell: cell[0]).values():
        usual = statistics.median(ratios[cell] for cell in group)
        for cell in group if len(group) >= PAIRS and usual >= USUALLY_SLOWER else ():
            if ratios[cell] < AS_FAST:
                sentence = (
                    f"training takes {ratios[cell]:.2f} times as long as with {baseline}, where {usual:.2f} times is "
                    f"usual: was it {method}?"
                )
                yield table.finding("baseline_speed", [t.row for t in cells[cell]], cell, sentence)


def _counts(time: Time, split: str) -> bool:
    """Whether the time is one of a finished run: diverged runs may have taken no time at all."""
    return bool(getattr(time, split)) and getattr(time, split) > 0 and time.status == "completed"


def _per_epoch(time: Time, split: str) -> float:
    return getattr(time, split) / time.epochs
