"""Rows that stand twice: under two attempts, in two cells, or under one name."""

from collections.abc import Iterator

from renorm.judging.audit.loader import Finding, Table, grouped


def duplicate_attempts(table: Table) -> Iterator[Finding]:
    """Two attempts of one cell with the same accuracy and the same seconds: one run, entered twice."""
    for (cell, kind), rows in table.by_cell().items():
        if kind[0] != "top1":
            continue
        timed = [r for r in rows if r.train_seconds is not None]
        for same in grouped(timed, lambda r: (r.value, r.train_seconds, r.test_seconds)).values():
            attempts = sorted({r.attempt for r in same})
            if len(attempts) > 1:
                sentence = f"attempts {', '.join(attempts)} have the same accuracy and the same seconds: one run?"
                yield table.finding("duplicate_attempt", [r.row for r in same], cell, sentence)


def duplicate_rows(table: Table) -> Iterator[Finding]:
    """Different cells with accuracies equal to four digits and equal seconds."""
    timed = [r for r in table.runs if r.train_seconds is not None and r.metric == "top1"]
    for same in grouped(timed, lambda r: (r.kind, round(r.fraction, 4), r.train_seconds, r.test_seconds)).values():
        cells = sorted({r.cell for r in same})
        if len(cells) > 1:
            names = " and ".join("/".join(filter(None, table.names(cell))) for cell in cells)
            sentence = f"the same accuracy {same[0].value:g} and the same seconds in different cells: {names}"
            yield table.finding("duplicate_row", [r.row for r in same], cells[0], sentence)


def same_identity(table: Table) -> Iterator[Finding]:
    """One attempt of one cell with two values of the same kind."""
    for (cell, kind), rows in table.by_cell().items():
        for attempt, same in grouped(rows, lambda r: r.attempt).items():
            if attempt and len(same) > 1:
                told = ", ".join(f"{r.value:g}" for r in same)
                yield table.finding(
                    "identity", [r.row for r in same], cell, f"attempt {attempt} has {kind[0]} twice: {told}"
                )
