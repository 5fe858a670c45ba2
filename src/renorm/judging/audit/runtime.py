"""Seconds that are something else, that are off from their siblings, or that betray which network was run."""

import statistics
from collections.abc import Iterator

from renorm.judging.audit.loader import Finding, Table, Time, grouped

SIBLING_FACTOR = 1.3  # seconds per epoch against the other attempts
SIBLING_SECONDS = 30.0  # and by so many seconds in all: shorter runs are measured by their start-up
SETTING_FACTOR = 1.5  # seconds per epoch between settings of 10 epochs and more
SETTING_EPOCHS = 10
AS_FAST, USUALLY_SLOWER, TWINS = 1.1, 1.3, 4


def equal_to_something_else(table: Table) -> Iterator[Finding]:
    """Training seconds that equal the test seconds, or an accuracy of the same run."""
    for time in table.times:
        if time.train is not None and time.train == time.test:
            sentence = f"training and testing both took {time.train:g} s: one of them was entered twice"
            yield table.finding("seconds_equal", [time.row], time.cell, sentence)
    for row in table.accuracies:
        for name, seconds in (("training", row.train_seconds), ("testing", row.test_seconds)):
            if (
                seconds is not None
                and len(f"{row.value:g}") > 3
                and seconds in (row.value, round(row.fraction * 100, 4))
            ):
                sentence = (
                    f"{name} took {seconds:g} s, which is the run's accuracy: one of them stands in a wrong column"
                )
                yield table.finding("seconds_equal", [row.row], row.cell, sentence)


def truncated(table: Table) -> Iterator[Finding]:
    """Runs that finished fewer or more epochs than their cell says, and were not recorded as diverged."""
    for time in table.times:
        if time.epochs_completed not in (None, time.cell[5]) and time.status != "diverged":
            yield table.finding("truncated", [time.row], time.cell, f"{time.epochs_completed} epochs were completed")


def off_from_siblings(table: Table) -> Iterator[Finding]:
    """Seconds per epoch off from the other attempts of the cell: a truncated run, or another machine."""
    for cell, times in grouped(_single(table), lambda t: t.cell).items():
        usual = statistics.median(_per_epoch(t) for t in times)
        for time in times if len(times) > 1 else ():
            ratio = _per_epoch(time) / usual
            apart = abs(_per_epoch(time) - usual) * time.epochs > SIBLING_SECONDS
            if apart and not 1 / _limit(len(times)) <= ratio <= _limit(len(times)):
                sentence = (
                    f"attempt {time.attempt} took {_per_epoch(time):.4g} s an epoch, the cell's median is {usual:.4g} s"
                )
                yield table.finding("runtime_outlier", [time.row], cell, sentence)


def _limit(attempts: int) -> float:
    """Two attempts both lie half-way from their median: their ratio is the square of either's distance."""
    return SIBLING_FACTOR if attempts > 2 else (1 + SIBLING_FACTOR) / 2


def off_between_settings(table: Table) -> Iterator[Finding]:
    """Seconds per epoch that differ between the epoch settings of one network: they cannot be of one machine."""
    long = [t for t in table.times if t.train and t.status != "diverged" and t.cell[5] >= SETTING_EPOCHS]
    for settings in grouped(long, lambda t: t.cell[:5]).values():
        by_epochs = grouped(settings, lambda t: t.cell[5])
        usual = {epochs: statistics.median(map(_per_epoch, times)) for epochs, times in by_epochs.items()}
        if len(usual) > 1 and max(usual.values()) > SETTING_FACTOR * min(usual.values()):
            told = ", ".join(f"{usual[epochs]:.4g} s an epoch at {epochs}" for epochs in sorted(usual))
            cell = by_epochs[min(by_epochs)][0].cell
            yield table.finding(
                "seconds_scale", [t.row for t in settings], cell, f"seconds do not scale with epochs: {told}"
            )


def at_baseline_speed(table: Table) -> Iterator[Finding]:
    """A network of the method as fast as its baseline twin, where the method usually costs time: was it the method?"""
    means = {cell: statistics.fmean(_per_epoch(t) for t in times) for cell, times in _timed_cells(table).items()}
    baseline, method = table.labels.norm(table.baseline), table.labels.norm(table.method)
    ratios = {
        cell: seconds / means[twin]
        for cell, seconds in means.items()
        if cell[3] == table.method and (twin := (*cell[:3], table.baseline, *cell[4:])) in means
    }
    for source, cells in grouped(ratios, lambda cell: cell[0]).items():
        usual = statistics.median(ratios[cell] for cell in cells)
        for cell in cells if len(cells) >= TWINS and usual >= USUALLY_SLOWER else ():
            if ratios[cell] < AS_FAST:
                rows = [t.row for t in _timed_cells(table)[cell]]
                sentence = f"trains in {ratios[cell]:.2f} times the time of {baseline}, where {usual:.2f} is usual"
                yield table.finding(
                    "baseline_speed", rows, cell, f"{sentence}{' in ' + source if source else ''}: was it {method}?"
                )


def _timed_cells(table: Table) -> dict[tuple, list[Time]]:
    return grouped([t for t in table.times if t.train and t.status != "diverged"], lambda t: t.cell)


def _single(table: Table) -> list[Time]:
    return [t for t in table.times if t.attempt and t.train and t.status != "diverged"]


def _per_epoch(time: Time) -> float:
    return time.train / time.epochs
