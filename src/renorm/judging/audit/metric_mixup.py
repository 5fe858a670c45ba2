"""Whole blocks (data set × epochs) that are not at the level of their claims: another metric, split or protocol."""

import statistics
from collections.abc import Iterator

from renorm.judging.audit.loader import Finding, Row, Table, grouped, in_epochs

FAR = 0.02  # two points, as a fraction of 1
SHARE = 0.75
CELLS = 5
# Without a block that differs: errors are at most this share of the claimed ones, or a larger share where values are so
# many points above their claims. Better training explains neither.
TRAINING_LEVEL = 0.5
HIGH, HIGH_LEVEL = 0.05, 0.7


def metric_mixup(table: Table) -> Iterator[Finding]:
    """Blocks whose cells are nearly all far above, or all far below, their claims while other blocks are not."""
    found = _blocks(table)
    sides = {block: _side([value - claim for _, value, claim in cells]) for block, cells in found.items()}
    for block, side in sides.items():
        others = [s for other, s in sides.items() if other != block and _comparable(other, block)]
        if side and any(s != side for s in others) and not _training(side, found[block]):
            yield _finding(table, "metric_mixup", block, side, found[block], (
                "other blocks do not: another metric, split or protocol than the claims'?"
            ))  # fmt: skip


def training_level(table: Table) -> Iterator[Finding]:
    """Blocks whose errors are far smaller than those claimed: the level of training accuracy."""
    for block, cells in _blocks(table).items():
        side = _side([value - claim for _, value, claim in cells])
        if _training(side, cells):
            stated = {"unstated": "the split is not stated", "test": "the split is said to be test"}[block[3][1]]
            yield _finding(table, "training_accuracy", block, side, cells, (
                f"which is the level of training accuracy, and {stated}: on which images was it measured?"
            ))  # fmt: skip


def _blocks(table: Table) -> dict[tuple, list[tuple[Row, float, float]]]:
    """(source, dataset, epochs, kind) → (a row, the cell's value, its claim) of every claimed cell."""
    cells = []
    for rows, claim in table.claimed:
        runs = [r for r in rows if not r.is_average] or rows
        cells.append((rows[0], statistics.fmean(r.fraction for r in runs), claim))
    return grouped(cells, lambda c: (c[0].source, c[0].dataset, c[0].epochs, c[0].kind))


def _comparable(a: tuple, b: tuple) -> bool:
    return a[0] == b[0] and a[3][0] == b[3][0]


def _side(differences: list[float]) -> int:
    """+1 or -1 when nearly all cells lie far on that side, else 0."""
    if len(differences) < CELLS:
        return 0
    for side in (1, -1):
        if sum(side * d > FAR for d in differences) >= SHARE * len(differences):
            return side
    return 0


def _training(side: int, cells: list[tuple[Row, float, float]]) -> bool:
    level = statistics.median((1 - value) / max(1 - claim, 1e-9) for _, value, claim in cells)
    above = statistics.median(value - claim for _, value, claim in cells)
    return side > 0 and (level <= TRAINING_LEVEL or (above >= HIGH and level <= HIGH_LEVEL))


def _finding(table: Table, kind: str, block: tuple, side: int, cells: list, question: str) -> Finding:
    source, dataset, epochs, (_, split, _) = block
    differences = [value - claim for _, value, claim in cells]
    far = sum(side * d > FAR for d in differences)
    median = statistics.median(differences) * 100
    label = cells[0][0].measure.label
    sentence = (
        f"{table.labels.of('dataset', dataset)}, {in_epochs(epochs)}: "
        f"{far} of {len(cells)} {label} values ({split} split) "
        f"are more than {FAR * 100:g} points {'above' if side > 0 else 'below'} their claims (median {median:+.1f} "
        f"points); {question}"
    )
    if kind == "training_accuracy":
        sentence = sentence.replace("points); which", "points), which")
    rows = tuple(dict.fromkeys(r.row for r, *_ in cells))
    return Finding(kind, rows, sentence, source, dataset, epochs=epochs)
