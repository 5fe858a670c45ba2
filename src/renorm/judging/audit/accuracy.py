"""Accuracies that cannot be, units that were mixed, averages that do not follow, repeats that fall into two camps."""

import itertools
import statistics
from collections.abc import Iterator

from renorm.judging.audit.loader import Finding, Row, Table, grouped

# Accuracies were often kept in float32: 7 digits.
FLOAT32 = 2e-7
# Two camps: a gap of this many robust SDs of the siblings and of this many points (fractions of 1).
GAP_SDS, GAP_POINTS, SIBLINGS = 8.0, 0.02, 5
# Without siblings three attempts must fall into a pair and a far one: so many points, and so many times the pair's gap.
ALONE_POINTS, ALONE_TIMES = 0.10, 10.0
MEDIAN_SD = {2: 0.6745, 3: 0.8326, 4: 0.8881, 5: 0.9161}  # median of an SD of n normal values, in units of sigma


def impossible(table: Table) -> Iterator[Finding]:
    """Accuracies outside 0 to 100 %, or no whole number of the split's images at the digits written."""
    for row in table.accuracies:
        if not 0 <= row.value <= (100 if row.unit == "percent" else 1) and not _looks_like_other_unit(row):
            yield table.finding("impossible", [row.row], row.cell, f"{_told(row)} is no accuracy")
        elif row.images and not row.is_average and row.split != "train" and not _possible(row, row.images):
            yield table.finding(
                "impossible", [row.row], row.cell,
                f"{_told(row)} cannot be: no whole number of {row.images:,} test images gives it",
            )  # fmt: skip


def _possible(row: Row, images: int) -> bool:
    scale = 100 if row.unit == "percent" else 1
    nearest = round(row.fraction * images) / images
    return abs(nearest - row.fraction) <= row.resolution / scale + FLOAT32


def _told(row: Row) -> str:
    return f"{row.metric} {row.value:g}{' %' if row.unit == 'percent' else ''}"


def _looks_like_other_unit(row: Row) -> bool:
    return row.unit == "fraction" and 1 < row.value <= 100


def mixed_units(table: Table) -> Iterator[Finding]:
    """Percent among fractions, or a fraction among percents, seen against the repeats or else the block."""
    blocks = grouped(table.accuracies, lambda r: (r.source, r.dataset, r.epochs, r.kind))
    cells = grouped(table.accuracies, lambda r: (r.cell, r.kind))
    for row in table.accuracies:
        if _looks_like_other_unit(row):
            sentence = f"{row.value:g} stands among fractions of 1: a percentage?"
            yield table.finding("units", [row.row], row.cell, sentence)
        elif row.unit == "percent" and 0 < row.value <= 1:
            others = [r for r in cells[row.cell, row.kind] if r is not row]
            others = others or [r for r in blocks[row.source, row.dataset, row.epochs, row.kind] if r is not row]
            usual = statistics.median(r.value for r in others) if others else 0
            if usual > 10 and 0.5 <= row.value * 100 / usual <= 2:
                sentence = f"{row.value:g} stands among percentages near {usual:g}: a fraction of 1?"
                yield table.finding("units", [row.row], row.cell, sentence)


def averages(table: Table) -> Iterator[Finding]:
    """Printed averages that are not the mean of the attempts in the same table."""
    runs = table.by_cell()
    for row in table.accuracies:
        attempts = runs.get((row.cell, row.kind), [])
        if not row.is_average or not attempts or (row.n and row.n != len(attempts)):
            continue
        mean = statistics.fmean(r.fraction for r in attempts)
        scale = 100 if row.unit == "percent" else 1
        written = max(r.resolution / (100 if r.unit == "percent" else 1) for r in attempts)
        if abs(row.fraction - mean) > row.resolution / scale + written + FLOAT32:
            sentence = (
                f"the average {row.value:g} does not follow from its {len(attempts)} attempts ({mean * scale:.4g})"
            )
            yield table.finding("average", [row.row, *(r.row for r in attempts)], row.cell, sentence)


def two_clusters(table: Table) -> Iterator[Finding]:
    """Repeats of one cell that fall into two groups, far apart for what sibling cells do."""
    cells = table.by_cell()
    blocks = grouped(cells, lambda key: (key[0][0], key[0][1], key[0][5], key[1]))
    for members in blocks.values():
        several = {key: cells[key] for key in members if len(cells[key]) > 1}
        for key, rows in several.items():
            if key[1][0] != "top1" or key[1][1] == "train":
                continue
            siblings = [r for other, r in several.items() if other != key]
            values = sorted(r.fraction for r in rows)
            if values[-1] <= 1 and _two_camps(values, _robust_sd(siblings)):
                told = ", ".join(f"{value * 100:.2f}" for value in values)
                yield table.finding("bimodal", [r.row for r in rows], key[0], f"attempts form two clusters: {told} %")


def _two_camps(values: list[float], usual: float | None) -> bool:
    """Is the widest gap between sorted values far wider than `usual`, or, where nothing is usual, than the next gap?"""
    gaps = sorted((b - a for a, b in itertools.pairwise(values)), reverse=True)
    if usual is not None:
        return gaps[0] > max(GAP_SDS * usual, GAP_POINTS)
    return len(gaps) > 1 and gaps[0] > max(ALONE_TIMES * gaps[1], ALONE_POINTS)


def _robust_sd(siblings: list[list[Row]]) -> float | None:
    """The median SD of sibling cells, made an estimate of sigma; None with too few of them."""
    if len(siblings) < SIBLINGS:
        return None
    return statistics.median(
        statistics.stdev(r.fraction for r in rows) / MEDIAN_SD.get(len(rows), 1.0) for rows in siblings
    )
