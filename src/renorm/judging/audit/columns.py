"""Columns of a table (one normaliser, one number of epochs, one attempt over all networks) that hold another's numbers.

A published table has a column per normaliser and epochs and a row per network; a slip in a spreadsheet repeats a whole
column, or averages another column's attempts.
"""

import functools
import itertools
import statistics
from collections.abc import Iterator
from typing import NamedTuple

from renorm.judging.audit.loader import Finding, Row, Table, grouped, in_epochs

# Columns are equal where n networks, and this share of those in both, have equal values that differ among them.
NETWORKS, SHARE, DISTINCT = 4, 0.75, 3


class Column(NamedTuple):
    """One column; `attempt` is "mean" of an average and of computed means, "" where the table does not say."""

    source: str
    dataset: str
    norm: str
    recipe: str
    epochs: int
    kind: tuple
    attempt: str


def duplicate_columns(table: Table) -> Iterator[Finding]:
    """Two columns of accuracies with the same numbers."""
    columns = grouped([r for r in table.accuracies if r.status == "completed"], _column)
    for (a, rows_a), (b, rows_b) in itertools.combinations(sorted(columns.items()), 2):
        if a.source == b.source and a.kind[0] == b.kind[0] and _same_question(a, b):
            same = _equal(rows_a, rows_b)
            if _telling([row.text for row, _ in same], len(_both(rows_a, rows_b))):
                names = " and ".join(_name(table, column) for column in (a, b))
                sentence = f"the columns {names} are equal for {len(same)} of {len(_both(rows_a, rows_b))} networks"
                yield _finding("duplicate_column", sentence, a, [r.row for pair in same for r in pair])


def column_of_another(table: Table) -> Iterator[Finding]:
    """A column of averages that holds the means of another column's attempts."""
    for column, other, same, known in other_means(table):
        what = "" if same[0].measure.granular else f"{same[0].measure.label} of "
        sentence = (
            f"the column {what}{_name(table, column)} holds the means of {_name(table, other)} for "
            f"{len(same)} of {known} networks"
        )
        yield _finding("column_mixup", sentence, column, [r.row for r in same])


@functools.lru_cache(maxsize=1)  # two checks ask for it, one after the other
def other_means(table: Table) -> tuple[tuple[Column, Column, list[Row], int], ...]:
    """Columns of averages with another column's means: both columns, those averages, and of how many networks."""
    printed = [r for r in (*table.accuracies, *table.seconds) if r.is_average and r.status == "completed"]
    averages = grouped(printed, _column)
    means, found = _means(table), []
    for column, rows in sorted(averages.items()):
        own = means.get(column._replace(attempt="mean"), {})
        for other, others in sorted(means.items()):
            if other[:2] != column[:2] or other.kind[0] != column.kind[0] or other == column._replace(attempt="mean"):
                continue
            known = [r for r in rows if r.arch in others]
            same = [r for r in known if _rounds(r, others[r.arch]) and not _rounds(r, own.get(r.arch))]
            if _telling([r.text for r in same], len(known)):
                found.append((column, other, same, len(known)))
    return tuple(found)


def _column(row: Row) -> Column:
    attempt = "mean" if row.is_average else row.attempt
    return Column(row.source, row.dataset, row.norm, row.recipe, row.epochs, row.kind, attempt)


def _same_question(a: Column, b: Column) -> bool:
    """Whether the numbers of both columns should differ: the values of the last epoch may well be the best ones."""
    return a.kind[1] == b.kind[1] and (a.kind == b.kind or a[:5] != b[:5])


def _both(a: list[Row], b: list[Row]) -> set[str]:
    return {r.arch for r in a} & {r.arch for r in b}


def _equal(a: list[Row], b: list[Row]) -> list[tuple[Row, Row]]:
    others = {r.arch: r for r in b}
    return [(r, others[r.arch]) for r in a if r.arch in others and r.fraction == others[r.arch].fraction]


def _telling(values: list[str], of: int) -> bool:
    """Enough equal values, not all alike: near 100 % all networks have the same accuracies."""
    return len(values) >= max(NETWORKS, SHARE * of) and len(set(values)) >= DISTINCT


def _means(table: Table) -> dict[Column, dict[str, float]]:
    """Column → network → the mean of its attempts."""
    found: dict[Column, dict[str, float]] = {}
    for rows in table.with_seconds.values():
        if len(rows) > 1 and rows[0].attempt:
            column = _column(rows[0])._replace(attempt="mean")
            found.setdefault(column, {})[rows[0].arch] = statistics.fmean(r.fraction for r in rows)
    return found


def _rounds(row: Row, mean: float | None) -> bool:
    """Whether the printed value is `mean`, rounded or cut off."""
    return mean is not None and abs(row.fraction - mean) <= 2 * row.resolution + 1e-9


def _name(table: Table, column: Column) -> str:
    recipe = f", {column.recipe}" if table.several_recipes else ""
    attempt = f", attempt {column.attempt}" if column.attempt not in ("", "mean") else ""
    norm = table.labels.of("norm", column.norm)
    return f"{table.labels.of('dataset', column.dataset)}, {norm}{recipe}, {in_epochs(column.epochs)}{attempt}"


def _finding(kind: str, sentence: str, column: Column, rows: list) -> Finding:
    return Finding(kind, tuple(dict.fromkeys(rows)), sentence, column.source, column.dataset, norm=column.norm,
                   recipe=column.recipe, epochs=column.epochs)  # fmt: skip
