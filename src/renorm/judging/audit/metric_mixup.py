"""Whole blocks that lie on one side of their claims while others do not: another metric, split or protocol."""

import statistics
from collections.abc import Iterator

from renorm.judging.audit.loader import Finding, Row, Table, grouped

FAR = 0.02  # two points, as a fraction of 1
SHARE = 0.75
CELLS = 5


def mixed_metric(table: Table) -> Iterator[Finding]:
    """Blocks (data set x epochs) whose cells are nearly all far above, or all far below, their claims."""
    found = grouped(_differences(table), lambda d: (d[0].source, d[0].dataset, d[0].epochs, d[0].kind))
    sides = {block: _side([difference for _, difference in cells]) for block, cells in found.items()}
    for block, side in sides.items():
        others = [
            s for other, s in sides.items() if other[0] == block[0] and other[3][0] == block[3][0] and other != block
        ]
        if side and any(s != side for s in others):
            yield _finding(table, block, side, found[block])


def _differences(table: Table) -> list[tuple[Row, float]]:
    """A row of each cell that somebody else claims, and the cell's mean minus the claim."""
    claimed = {}
    for frame in table.claims:
        wanted = frame[frame.metric.isin(("top1", "top5")) & (frame.split != "train")]
        for c in wanted.itertuples(index=False):
            claimed.setdefault((c.dataset, c.arch, c.norm, int(c.epochs), c.metric), (c.source, c.value))
    found = []
    usable = [r for r in table.accuracies if r.status != "diverged" and r.split != "train"]
    for (cell, kind), rows in grouped(usable, lambda r: (r.cell, r.kind)).items():
        source, value = claimed.get((cell[1], cell[2], cell[3], cell[5], kind[0]), (None, None))
        if value is not None and source != cell[0]:
            found.append((rows[0], statistics.fmean(r.fraction for r in rows) - value))
    return found


def _side(differences: list[float]) -> int:
    """+1 or -1 when nearly all cells lie far on that side, else 0."""
    if len(differences) < CELLS:
        return 0
    for side in (1, -1):
        if sum(side * d > FAR for d in differences) >= SHARE * len(differences):
            return side
    return 0


def _finding(table: Table, block: tuple, side: int, cells: list[tuple[Row, float]]) -> Finding:
    source, dataset, epochs, (metric, split, _) = block
    far = sum(side * d > FAR for _, d in cells)
    median = statistics.median(d for _, d in cells) * 100
    where = f"{table.labels.dataset(dataset)} after {epochs} epoch{'s' * (epochs != 1)}"
    sentence = (
        f"{where}: {far} of {len(cells)} cells lie more than {FAR * 100:g} "
        f"points {'above' if side > 0 else 'below'} their claims (median {median:+.1f}), other blocks do not: "
        f"another metric or split than the claims' ({metric}, split {split})?"
    )
    return Finding("mixed_metric", tuple(sorted(r.row for r, _ in cells)), sentence, source, dataset, epochs=epochs)
