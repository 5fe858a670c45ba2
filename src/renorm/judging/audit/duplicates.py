"""Duplicates: one run under two attempts, in two cells or under one name; and repetitions over a whole table."""

from collections import Counter
from collections.abc import Iterator

from scipy import stats

from renorm.judging.audit.granularity import resolution
from renorm.judging.audit.loader import Finding, Table, counted, grouped

# A table is suspect where equal pairs are this improbable beside the pairs that differ by 1 to NEAR units.
P_REPEATED, NEAR, PAIRS, SMALLEST = 1e-5, 4, 5, 20
# Accuracies this near to 0 or 1 lie so close together that equal ones are expected.
SATURATED = 0.02
NONE: Counter = Counter()


def duplicate_attempts(table: Table) -> Iterator[Finding]:
    """Two attempts of one cell with the same accuracy and the same seconds: one run, entered twice."""
    seen: dict[tuple, list] = {}
    for (cell, kind), rows in table.by_cell.items():
        timed = [r for r in rows if r.train_seconds and kind[0] == table.leading]
        for same in grouped(timed, lambda r: (r.value, r.train_seconds, r.test_seconds)).values():
            attempts = tuple(sorted({r.attempt for r in same}))
            if len(attempts) > 1:
                seen.setdefault((cell, attempts), []).extend(r.row for r in same)
    for (cell, attempts), lines in seen.items():
        sentence = f"attempts {', '.join(attempts)} have the same accuracy and the same seconds: is it one run?"
        yield table.finding("duplicate_attempt", lines, cell, sentence)


def duplicate_rows(table: Table) -> Iterator[Finding]:
    """Different cells with accuracies equal to four digits and equal seconds."""
    timed = [r for r in table.runs if r.train_seconds and r.metric == table.leading]
    seen = set()
    for same in grouped(timed, lambda r: (r.kind, round(r.fraction, 4), r.train_seconds, r.test_seconds)).values():
        cells = tuple(sorted({r.cell for r in same}))
        # Runs that are the same at their last epoch are the same at their best one.
        if len(cells) > 1 and cells not in seen:
            seen.add(cells)
            names = " and ".join(", ".join(filter(None, table.names(cell))) for cell in cells)
            sentence = f"the same accuracy {same[0].printed} and the same seconds in different cells: {names}"
            yield table.finding("duplicate_row", [r.row for r in same], cells[0], sentence)


def conflicting_values(table: Table) -> Iterator[Finding]:
    """One attempt of one cell with two values of the same kind."""
    for (cell, _), rows in table.by_cell.items():
        for attempt, same in grouped(rows, lambda r: r.attempt).items():
            if attempt and len(same) > 1:
                values = ", ".join(r.text for r in same)
                sentence = f"attempt {attempt} has {counted(len(same), f'{same[0].measure.label} value')}: {values}"
                yield table.finding("conflicting_values", [r.row for r in same], cell, sentence)


def repeated_values(table: Table) -> Iterator[Finding]:
    """More equal numbers over a whole table than its near-equal ones let expect: were numbers copied?

    Where values spread smoothly, a pair that is equal is about as probable as one that differs by +k units of the last
    digit, for small k. Of E equal pairs and N pairs that differ by 1 to 4 units either way, E is binomial with
    p = 1 / 9. Pairs within a cell are left out (repeats may agree), and so are values near 0 and 1.
    """
    runs = [r for r in table.runs if r.images and SATURATED < r.fraction < 1 - SATURATED]
    for (source, kind), rows in grouped(runs, lambda r: (r.source, r.kind)).items():
        images = [r.images for r in rows]
        units = [max(2 * r.resolution, 1 / r.images) for r in rows]
        if len(set(images)) == 1 and kind[1] != "train":
            numbers = [(r.cell, r.row, round(r.fraction / max(units))) for r in rows]
            yield from _repeated(source, f"{rows[0].measure.label} values", numbers)
    for source, rows in grouped([t for t in table.times if t.is_run], lambda t: t.cell[0]).items():
        for name in ("train", "test"):
            timed = [(t.cell, t.row, getattr(t, name)) for t in rows if getattr(t, name)]
            unit = max(_usual_unit([value for *_, value in timed]), 1e-9) if timed else 1
            yield from _repeated(
                source, f"{name} seconds", [(cell, row, round(value / unit)) for cell, row, value in timed]
            )


def _usual_unit(values: list[float]) -> float:
    """The unit of the last digit that at least a tenth of the numbers has: a trailing zero is often dropped."""
    units = Counter(float(2 * resolution(f"{value:.9g}")) for value in values)
    return min(unit for unit, count in units.items() if count >= len(values) / 10)


def _repeated(source: str, what: str, numbers: list[tuple]) -> Iterator[Finding]:
    if len(numbers) < SMALLEST:
        return
    places = grouped(numbers, lambda item: item[2])
    cells = {number: Counter(cell for cell, *_ in items) for number, items in places.items()}
    equal = near = 0
    repeated = []
    for number, items in places.items():
        pairs = _pairs(cells[number], cells[number]) // 2
        equal += pairs
        repeated += [row for _, row, _ in items] if pairs else []
        near += sum(_pairs(cells[number], cells.get(number + k, NONE)) for k in range(1, NEAR + 1))
    if equal < PAIRS:
        return
    share = 1 / (2 * NEAR + 1)
    p = float(stats.binom.sf(equal - 1, equal + near, share))
    if p < P_REPEATED:
        expected = near / (2 * NEAR)
        sentence = (
            f"{what}: {counted(equal, 'pair')} of different cells are equal in every digit, about {expected:.0f} would "
            "be by chance: were numbers copied?"
        )
        yield Finding("repeated_values", tuple(dict.fromkeys(repeated)), sentence, source)


def _pairs(a: Counter, b: Counter) -> int:
    """Pairs of a number of one cell and a number of another cell, where `a` and `b` count the numbers by cell."""
    return a.total() * b.total() - sum(count * b[cell] for cell, count in a.items())
