"""Accuracies that cannot be, units that were mixed, averages and SDs that do not follow, repeats in two clusters."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

from renorm.judging.audit import typing_errors
from renorm.judging.audit.columns import other_means
from renorm.judging.audit.granularity import Interval, debit, grim, grimmer, printed
from renorm.judging.audit.loader import Finding, Row, Table, counted, grouped
from renorm.study.known_datasets import SIZES

# Accuracies were often kept in float32: 7 digits.
FLOAT32 = Fraction(2, 10_000_000)
# An average may be one of attempts that were rounded to two decimals of a percent before.
ROUNDED = 10_000
# Two clusters: a gap of this many robust SDs of the siblings, of this many points (fractions of 1), and this many times
# as wide as both clusters together.
GAP_SDS, GAP_POINTS, GAP_TIMES, SIBLINGS = 10.0, 0.03, 5.0, 5
# Without siblings: a gap of this many points, and this many times as wide as both clusters.
ALONE_POINTS, ALONE_TIMES = 0.10, 10.0
MEDIAN_SD = {2: 0.6745, 3: 0.8326, 4: 0.8881, 5: 0.9161}  # median of an SD of n normal values, in units of sigma


def out_of_range(table: Table) -> Iterator[Finding]:
    """Values that their metric cannot have: an accuracy is from 0 to 100 %."""
    cells = table.by_cell
    for row in table.values:
        if row.in_range or _looks_like_other_unit(row):
            continue
        others = [r.fraction for r in cells.get((row.cell, row.kind), []) if r is not row and r.in_range]
        slip = ""
        if others:
            usual, reach = statistics.median(others), max(0.02, 3 * (max(others) - min(others)))
            scale = float(row.scale)
            slip = typing_errors.explain(row.text, partial(_near, scale=scale, usual=usual, reach=reach))
        meant = f"; {slip}?" if slip else ""
        sentence = f"{row.measure.label} {row.printed} is impossible: not {_range(row)}{meant}"
        yield table.finding("out_of_range", [row.row], row.cell, sentence)


def _near(value: float, scale: float, usual: float, reach: float) -> bool:
    return abs(value / scale - usual) <= reach


def _range(row: Row) -> str:
    lower, upper = (None if b is None else b * float(row.scale) for b in (row.measure.lower, row.measure.upper))
    if upper is None:
        return f"{lower:g} or more"
    return f"from {lower:g} to {upper:g}" if lower is not None else f"{upper:g} or less"


def granularity(table: Table) -> Iterator[Finding]:
    """GRIM: an accuracy is a whole number of images, the mean of n runs a whole number of n times as many."""
    attempts = table.by_cell
    for row in table.accuracies:
        n, images = _runs_behind(row, attempts), row.images
        if not n or not images or row.split == "train" or not row.in_range:
            continue
        if not _granular(row, n, images):
            yield table.finding("grim", [row.row], row.cell, _grim_sentence(row, n, images))


def _granular(row: Row, n: int, images: int) -> bool:
    value = _value(row)
    return grim(value, n, images) or (n > 1 and grim(value, n, ROUNDED))


def _value(row: Row) -> Interval:
    """What the printed value stands for, as fractions of 1."""
    return printed(row.text).scaled(1 / row.scale).widened(FLOAT32)


def _runs_behind(row: Row, attempts: dict[tuple, list[Row]]) -> int | None:
    """1 of a single run; of an average the n written, or the number of its attempts."""
    if not row.is_average:
        return 1
    return row.n or len(attempts.get((row.cell, row.kind), ())) or None


def _grim_sentence(row: Row, n: int, images: int) -> str:
    below = math.floor(row.exact * images * n)
    digits = max(len(row.text.partition(".")[2]), 2)
    near = [f"{k / (images * n) * float(row.scale):.{digits}f}" for k in (below, below + 1)]
    whole = f"no whole number of {images:,} test images gives it"
    if n > 1:
        whole = f"{n} runs on {images:,} test images cannot average to it"
    sentence = f"{row.measure.label} {row.printed} is impossible: {whole} (nearest: {near[0]} and {near[1]})"
    size = SIZES.get(row.dataset)
    if row.split == "unstated" and size and not row.n_images and _granular(row, n, size.train):
        sentence += f"; it is possible for {size.train:,} training images: is it training accuracy?"
    return sentence


def spreads(table: Table) -> Iterator[Finding]:
    """SDs that their attempts do not give, or that no runs with that mean can have (GRIMMER, DEBIT)."""
    attempts = table.by_cell
    for row in table.values:
        if not row.sd or float(row.sd) < 0:
            continue
        own = attempts.get((row.cell, row.kind), []) if row.is_average else []
        n = _runs_behind(row, attempts)
        if len(own) > 1 and len(own) == n:
            yield from _sd_of_attempts(table, row, own)
        elif row.images and n and row.split != "train" and _granular(row, n, row.images):
            yield from _sd_of_images(table, row, n, row.images)


def _sd_of_attempts(table: Table, row: Row, own: list[Row]) -> Iterator[Finding]:
    values = [r.fraction for r in own]
    found = [statistics.stdev(values), statistics.pstdev(values)]
    sd = printed(row.sd).scaled(1 / row.scale)
    # An SD moves by no more than the values it is of.
    slack = max(r.resolution for r in own) * math.sqrt(len(own) / (len(own) - 1)) + float(FLOAT32)
    if not any(float(sd.low) - slack <= value <= float(sd.high) + slack for value in found):
        sentence = f"the SD {row.sd} does not follow from its {len(own)} attempts ({found[0] * float(row.scale):.4g})"
        yield table.finding("sd_mismatch", [row.row, *(r.row for r in own)], row.cell, sentence)


def _sd_of_images(table: Table, row: Row, n: int, images: int) -> Iterator[Finding]:
    value = _value(row)
    # The SD of accuracies that were rounded to two decimals of a percent before differs a little.
    slack = FLOAT32 if ROUNDED % images == 0 else Fraction(1, 2 * ROUNDED)
    sd = printed(row.sd).scaled(1 / row.scale).widened(slack)
    binary = n == 1 or images == 1
    size = n * images
    if binary:
        possible = size < 2 or any(debit(value, sd, size, ddof) for ddof in (0, 1))
        words = f"{size:,} right or wrong answers"
    else:
        possible = any(grimmer(value, sd, n, images, ddof) for ddof in (0, 1))
        words = f"{n} runs on {images:,} test images"
    if not possible:
        sentence = f"the mean {row.printed} and the SD {row.sd} cannot both be of {words}"
        yield table.finding("debit" if binary else "grimmer", [row.row], row.cell, sentence)


def _looks_like_other_unit(row: Row) -> bool:
    return row.unit == "fraction" and "percent" in row.measure.accepted and 1 < row.value <= 100


def mixed_units(table: Table) -> Iterator[Finding]:
    """Percent among fractions, or a fraction among percents, seen against the repeats or else the block."""
    blocks = grouped(table.accuracies, lambda r: (r.source, r.dataset, r.epochs, r.kind))
    cells = grouped(table.accuracies, lambda r: (r.cell, r.kind))
    for row in table.accuracies:
        if _looks_like_other_unit(row):
            sentence = f"{row.text} is among fractions of 1: is it a percentage?"
            yield table.finding("mixed_units", [row.row], row.cell, sentence)
        elif row.unit == "percent" and 0 < row.value <= 1:
            others = [r for r in cells[row.cell, row.kind] if r is not row]
            others = others or [r for r in blocks[row.source, row.dataset, row.epochs, row.kind] if r is not row]
            usual = statistics.median(r.value for r in others) if others else 0
            if usual > 10 and 0.5 <= row.value * 100 / usual <= 2:
                sentence = f"{row.text} is among percentages near {usual:g}: is it a fraction of 1?"
                yield table.finding("mixed_units", [row.row], row.cell, sentence)


def averages(table: Table) -> Iterator[Finding]:
    """Printed averages that are not the mean of the attempts in the same table, with what explains them."""
    runs = table.with_seconds
    explained = {row.row for _, _, rows, _ in other_means(table) for row in rows}
    wrong = []
    for row in (*table.values, *table.seconds):
        attempts = runs.get((row.cell, row.kind), [])
        asked = row.is_average and attempts and row.n in (None, len(attempts)) and row.row not in explained
        if asked and not _is_mean(row, attempts):
            wrong.append((row, attempts, _exchanges(row, attempts, runs)))
    # An exchange that explains several averages is the likelier one.
    usual = Counter(pattern for _, _, exchanges in wrong for pattern in exchanges)
    for row, attempts, exchanges in wrong:
        mean = statistics.fmean(r.fraction for r in attempts)
        digits = max(2, len(row.text.partition(".")[2]))
        sentence = (
            f"the average {row.printed} does not follow from its {counted(len(attempts), 'attempt')}, whose mean is "
            f"{mean * float(row.scale):.{digits}f}"
        )
        if exchanges:
            attempt, norm, other = max(exchanges, key=lambda pattern: (usual[pattern], pattern))
            named = table.labels.of("norm", norm)
            sentence += f"; it is the mean with attempt {attempt} replaced by attempt {other} of {named}"
        elif slip := typing_errors.explain(row.text, partial(_is_mean, row, attempts)):
            sentence += f"; {slip}?"
        yield table.finding("average_mismatch", [row.row, *(r.row for r in attempts)], row.cell, sentence)


def _is_mean(row: Row, attempts: list[Row], value: float | None = None) -> bool:
    """Whether the printed average (or `value` with its digits) is the mean of values rounded as the attempts are.

    The mean of n rounded values is off by no more than the mean of their roundings.
    """
    mean = sum((r.exact for r in attempts), Fraction()) / len(attempts)
    slack = sum((Fraction(r.resolution) for r in attempts), Fraction()) / len(attempts) + FLOAT32
    stated = row.exact if value is None else Fraction(f"{value:.12g}") / row.scale
    return abs(stated - mean) <= Fraction(row.resolution) + slack


def _exchanges(row: Row, attempts: list[Row], runs: dict[tuple, list[Row]]) -> list[tuple[str, str, str]]:
    """(attempt, norm, other attempt): exchanges with another column of the same network that give the average."""
    source, dataset, arch, _, recipe, epochs = row.cell
    found = []
    for (cell, kind), others in runs.items():
        if kind == row.kind and cell != row.cell and cell == (source, dataset, arch, cell[3], recipe, epochs):
            for (i, old), new in itertools.product(enumerate(attempts), others):
                if _is_mean(row, [*attempts[:i], new, *attempts[i + 1 :]]):
                    found.append((old.attempt, cell[3], new.attempt))
    return found


def two_clusters(table: Table) -> Iterator[Finding]:
    """Repeats of one cell that form two clusters, far apart for what sibling cells do."""
    cells = {key: rows for key, rows in table.by_cell.items() if key[1][0] == table.leading and key[1][1] != "train"}
    blocks = grouped(cells, lambda key: (key[0][0], key[0][1], key[0][5], key[1]))
    seen: dict[tuple, list] = {}
    for members in blocks.values():
        several = {key: cells[key] for key in members if len(cells[key]) > 1}
        sds = {key: _sd(rows) for key, rows in several.items()}
        for key, rows in several.items():
            values = sorted(r.fraction for r in rows)
            siblings = [sd for other, sd in sds.items() if other != key]
            usual = statistics.median(siblings) if len(siblings) >= SIBLINGS else None
            if len(rows) > 2 and values[-1] <= 1 and _two_clusters(values, usual):
                seen.setdefault(key[0], []).append((key[1], rows))
    for cell, kinds in seen.items():
        values = sorted(r.fraction for r in kinds[0][1])
        numbers = ", ".join(f"{value * 100:.2f}" for value in values)
        lines = [r.row for _, found in kinds for r in found]
        yield table.finding("bimodal", lines, cell, f"attempts form two clusters (bimodal): {numbers} %")


def _two_clusters(values: list[float], usual: float | None) -> bool:
    """Is the widest gap between sorted values far wider than the clusters on either side of it, and than `usual`?"""
    gaps = [b - a for a, b in itertools.pairwise(values)]
    widest = max(gaps)
    within = (values[-1] - values[0]) - widest
    if usual is not None:
        return widest > max(GAP_SDS * usual, GAP_POINTS, GAP_TIMES * within)
    return widest > max(ALONE_TIMES * within, ALONE_POINTS)


def _sd(rows: list[Row]) -> float:
    """An SD whose median over cells is sigma."""
    values = [r.fraction for r in rows]
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) / MEDIAN_SD.get(len(values), 1.0)
