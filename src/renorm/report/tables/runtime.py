"""How long training took, per dataset and source, and the ratio of every norm to the baseline."""

import pandas as pd

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, facets, slug
from renorm.report.tables.model import Cell, Group, Head, Row, Table, per_norm


def tables(inputs: Inputs) -> list[Table]:
    names, timing = Names(inputs), inputs.seconds
    datasets = names.order("dataset", inputs["cells"], timing)
    made = []
    for dataset in datasets:
        for source in names.sources(timing):
            rows = timing[(timing["dataset"] == dataset) & (timing["source"] == source)]
            if rows["train_seconds"].notna().any():
                made.append(_table(inputs, names, dataset, source, rows))
    return made


def _table(inputs: Inputs, names: Names, dataset: str, source: str, rows: pd.DataFrame) -> Table:
    columns = _columns(inputs, names, rows)
    lookup = {(r["arch"], r["recipe"], r["epochs"], r["norm"]): r for r in rows.to_dict("records")}
    groups = []
    for arch, recipe in names.rows(rows):
        label = names.row_label((arch, recipe), rows)
        cells = [_cell(names, lookup.get((arch, recipe, e, n)), what, first) for e, n, what, first in columns]
        row = Row([label], per_norm(cells, [norm for _, norm, *_ in columns]))
        groups.append(Group([row], key=label, facets=facets((arch, "", recipe))))
    title = f"{names.dataset(dataset)}, {names.source(source)}"
    titles = [f"{epochs_label(e)}, {names.norm(n)} {what}" for e, n, what, _ in columns]
    heads = _heads(names, columns)
    return Table(
        slug("runtime", dataset, source), title, "runtime", heads, groups, ["Architecture"], titles, "runtime",
        dataset=dataset, own=source == inputs.name,
    )  # fmt: skip


def _columns(inputs: Inputs, names: Names, rows: pd.DataFrame) -> list[tuple[float, str, str, bool]]:
    """(epochs, norm, "s" or "ratio", opens a group); the baseline has no ratio of its own."""
    columns = []
    for epochs in sorted(set(rows["epochs"])):
        here = rows[rows["epochs"] == epochs]
        pairs = [(norm, "s") for norm in names.norms(here)]
        pairs += [(n, "ratio") for n in names.norms(here[here["ratio"].notna()]) if n != inputs.baseline]
        columns += [(epochs, norm, what, i == 0) for i, (norm, what) in enumerate(pairs)]
    return columns


def _heads(names: Names, columns: list) -> list[list[Head]]:
    top = [Head("Architecture", "arch", down=2, kind="text")]
    for epochs in dict.fromkeys(column[0] for column in columns):
        top.append(Head(epochs_label(epochs), "epochs", span=sum(c[0] == epochs for c in columns), first=True))
    of = {"s": "train_seconds", "ratio": "ratio"}
    low = [Head(_head(names, norm, what), of[what], first=first, sort=True) for _, norm, what, first in columns]
    return [top, low]


def _head(names: Names, norm: str, what: str) -> str:
    return f"{names.norm(norm)}, s" if what == "s" else f"{names.norm(norm)} ratio"


def _cell(names: Names, row: dict | None, what: str, first: bool) -> Cell:
    if row is None:
        return Cell("", first=first)
    value = row["train_seconds"] if what == "s" else row["ratio"]
    if not formatting.known(value):
        return Cell("missing", tone="missing", first=first)
    key = (row["dataset"], row["arch"], row["recipe"], row["epochs"], row["norm"], row["source"], what)
    n = formatting.count(row["n"]) if formatting.known(row["n"]) else "unstated"
    if what == "ratio":
        low, high = row.get("ratio_low"), row.get("ratio_high")
        card = [("ratio", formatting.ratio(value))]
        card += (
            [("interval", f"{formatting.ratio(low)} to {formatting.ratio(high)}")]
            if formatting.known(low) and formatting.known(high)
            else []
        )
        return Cell(formatting.ratio(value), sort=value, first=first, kind="ratio", id=slug("time", *key), card=card)
    card = [("cell", f"{names.dataset(row['dataset'])}: {names.arch(row['arch'])}, {names.norm(row['norm'])}")]
    card += [("training", formatting.duration(value)), ("testing", formatting.duration(row["test_seconds"])), ("n", n)]
    card = [pair for pair in card if pair[1] != formatting.ABSENT]
    return Cell(formatting.seconds(value), sort=value, first=first, card=card, small=f"n {n}", id=slug("time", *key))
