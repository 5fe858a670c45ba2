"""Checks that could not be made, and why: a table that matches nothing must not pass for one without findings."""

from collections.abc import Iterator

from renorm.judging.audit.loader import NOT_CHECKED, Finding, Table, counted, grouped


def unmatched_claims(table: Table) -> Iterator[Finding]:
    """Rows that were to be compared with claims and are about other data sets, networks or normalisers."""
    if not table.claims:
        return
    sources = {source for source, _ in table.claims.values()}
    # Claims are not compared with themselves.
    rows = [r for r in table.accuracies if r.measure.higher_is_better and r.split != "train" and sources != {r.source}]
    found = {r.row for same, _ in table.claimed for r in same}
    strangers = []
    for axis, position in (("dataset", 0), ("arch", 1), ("norm", 2)):
        known = {key[position] for key in table.claims}
        names = sorted({getattr(r, axis) for r in rows} - known)
        strangers += [f"no claim is about {axis} {_quoted(names)}"] if names and known else []
    if rows and (not found or strangers) and len(found) < len(rows):
        sentence = f"{len(found):,} of {counted(len(rows), 'row')} match a claim"
        yield _note("; ".join([sentence, *strangers]), [r.row for r in rows if r.row not in found])


def unknown_images(table: Table) -> Iterator[Finding]:
    """Data sets whose number of test images is not known: granularity cannot be checked."""
    rows = [r for r in table.accuracies if not r.images and r.split != "train"]
    for dataset, same in grouped(rows, lambda r: r.dataset).items():
        sentence = f"number of test images not known for '{dataset}'"
        yield _note(f"{sentence}: {counted(len(same), 'accuracy', 'accuracies')} not checked for granularity "
                    "(column n_images)", [r.row for r in same], dataset)  # fmt: skip


def unknown_runs(table: Table) -> Iterator[Finding]:
    """Averages of a number of runs that is not given."""
    cells = table.by_cell
    rows = [r for r in table.accuracies if r.is_average and not r.n and not cells.get((r.cell, r.kind))]
    if rows:
        yield _note(f"{counted(len(rows), 'average')} without a number of runs: not checked for granularity (column n)",
                    [r.row for r in rows])  # fmt: skip


def unread_rows(table: Table) -> Iterator[Finding]:
    """Rows that no check looks at."""
    for what, rows in table.unread.items():
        yield _note(f"{counted(len(rows), 'row')} not checked: {what}", rows)


def _quoted(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _note(sentence: str, rows: list, dataset: str = "") -> Finding:
    return Finding(NOT_CHECKED, tuple(dict.fromkeys(rows)), sentence, dataset=dataset)
