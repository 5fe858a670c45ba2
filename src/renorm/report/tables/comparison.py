"""The heart of the report: per dataset, what was claimed and what every source found, for each cell of the grid."""

from collections.abc import Callable

import pandas as pd

from renorm.core.table_specs import GROUP
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Answers, Names, epochs_label, facets, slug
from renorm.report.tables.model import Cell, Group, Head, Row, Table
from renorm.study import claims

MakeCell = Callable[[Names, dict | None], Cell]
# What a claim is about and whose it is.
CLAIM = ("claim_source", *claims.CLAIM)
MARKS = {"better": "▲", "within": "=", "below": "▼", "diverged": "✗", "missing": "–"}
# How far from the claim, as a part of the published threshold, before the tint behind a value gets one step stronger.
STEPS = (0.1, 0.5, 1.0)


def tables(inputs: Inputs) -> list[Table]:
    def cell(names: Names, row: dict | None) -> Cell:
        return value_cell(inputs, names, row)

    names = Names(inputs)
    return [
        pivot(names, answers, cell, id="comparison", spec="threshold_rule", value="value", claim=claim_cell)
        for answers in per_claims(names, inputs["threshold_rule"])
    ]


def per_claims(names: Names, frame: pd.DataFrame) -> list[Answers]:
    """The rows of every table: a data set's answers to one source's claims."""
    datasets = names.order("dataset", frame)
    return [answers for dataset in datasets for answers in names.answers(frame[frame["dataset"] == dataset])]


def pivot(
    names: Names, answers: Answers, cell: MakeCell, *, id: str, spec: str, value: str, claim: MakeCell | None = None
) -> Table:
    """Claims as a grid: architecture and norm down, epochs across, one column a source in each group.

    The cells are made from `value` of `spec`; the table is in the section `id`.
    """
    rows = answers.rows
    blocks = _blocks(names, rows)
    lookup = {_key(row): row for row in rows.to_dict("records")}
    dataset = rows["dataset"].iloc[0]
    groups = []
    for arch, recipe in names.rows(rows):
        label = names.row_label((arch, recipe), rows)
        norms = names.norms(rows[(rows["arch"] == arch) & (rows["recipe"] == recipe)])
        made = []
        for place, norm in enumerate(norms):
            cells = _cells(names, (dataset, arch, norm, recipe), blocks, lookup, cell, claim)
            made.append(Row([None if place else label, names.norm(norm)], cells, {"norm": norm}))
        groups.append(Group(made, key=label, facets=facets((arch, "", recipe))))
    several = rows["metric"].nunique() > 1
    extra = ("claimed",) if claim else ()
    heads = [(names.group(m, e, several), (*extra, *map(names.source, sources))) for e, m, sources in blocks]
    columns = [f"{title}: {head}" for title, low in heads for head in low]
    return Table(
        slug(id, dataset, *answers.key), answers.of(names.dataset(dataset)), id,
        _heads(heads, value, bool(claim)), groups,
        ["Architecture", "Norm"], columns, spec, dataset=dataset, own=names.inputs.name in set(rows["source"]),
    )  # fmt: skip


def _blocks(names: Names, rows: pd.DataFrame) -> list[tuple[float, str, list[str]]]:
    """(epochs, metric, sources): a group of columns; only sources with a value get one."""
    blocks = []
    for (metric, epochs), here in rows.groupby(["metric", "epochs"]):
        known = here[here["value"].notna() | (here["source"] == names.inputs.name)]
        blocks.append((epochs, metric, names.sources(known)))
    return sorted(blocks, key=lambda block: (block[1] != names.inputs.primary.name, block[1], block[0]))


def _heads(groups: list[tuple[str, tuple[str, ...]]], value: str, claim: bool) -> list[list[Head]]:
    top = [Head("Architecture", "arch", down=2, kind="text"), Head("Norm", "norm", down=2, kind="text")]
    top += [Head(title, "epochs", span=len(low), first=True) for title, low in groups]
    columns = [("claimed" if claim and i == 0 else value, i, text) for _, low in groups for i, text in enumerate(low)]
    return [top, [Head(text, column, first=i == 0, sort=True) for column, i, text in columns]]


def _key(row: dict) -> tuple:
    return (*(row[axis] for axis in (*GROUP, "metric")), row["source"])


def _cells(names: Names, key: tuple, blocks: list, lookup: dict, cell: MakeCell, claim: MakeCell | None) -> list[Cell]:
    cells = []
    for epochs, metric, sources in blocks:
        rows = [lookup.get((*key, epochs, metric, source)) for source in sources]
        made = [cell(names, row) for row in rows]
        if claim:
            known = (row for (*of_key, _), row in lookup.items() if tuple(of_key) == (*key, epochs, metric))
            made.insert(0, claim(names, next(known, None)))
        made[0].first = True
        cells += made
    return cells


def claim_cell(names: Names, row: dict | None) -> Cell:
    if row is None:
        return Cell("")
    where = ", ".join(part for part in (row["table"], row["page"]) if part)
    claimed = formatting.measure(names.metric(row["metric"]), row["claimed"])
    claimed = claimed if formatting.known(row["claimed"]) else "diverged"
    card = [("claimed", claimed), ("by", names.source(row["claim_source"]))]
    card += [("where", where), ("split", row["split"])]
    return Cell(
        claimed, tone="claim", sort=_sort(row["claimed"]),
        id=slug("claim", *(row[axis] for axis in CLAIM)),
        card=[pair for pair in card if pair[1]],
    )  # fmt: skip


def value_cell(inputs: Inputs, names: Names, row: dict | None) -> Cell:
    """A source's value beside its claim. A source that was never to measure this cell stays empty, not missing."""
    if row is None:
        return Cell("")
    verdict = row["verdict"] if row["verdict"] in MARKS else "missing"
    missing = "diverged" if verdict == "diverged" else "missing"
    text = formatting.measure(names.metric(row["metric"]), row["value"]) if formatting.known(row["value"]) else missing
    mark = "" if verdict == "missing" else row["mark"] or MARKS[verdict]
    mark += "⚑" if row.get("flags") else ""
    tone = "below" if verdict == "diverged" else verdict
    cell = Cell(text, mark=mark, tone=tone, depth=_depth(inputs, row), sort=_sort(row["value"]))
    cell.id = slug(*(row[axis] for axis in CLAIM), row["source"])
    cell.card, cell.small, cell.links = _card(names, row), spread(names, row), inputs.links(row)
    return cell


def spread(names: Names, row: dict) -> str:
    """n of n expected and the standard deviation, as small print under a value."""
    n = of_expected(row["n"], row["n_expected"])
    return (
        f"±{formatting.measure(names.metric(row['metric']), row['sd'])}, n {n}"
        if formatting.known(row["sd"])
        else f"n {n}"
    )


def of_expected(n: float, expected: float) -> str:
    if not formatting.known(expected) or n == expected:
        return formatting.count(n) if formatting.known(n) else "unstated"
    return f"{formatting.count(n if formatting.known(n) else 0)} of {formatting.count(expected)}"


def _card(names: Names, row: dict) -> list[tuple[str, str]]:
    metric = names.metric(row["metric"])
    cell = f"{names.arch(row['arch'])}, {names.norm(row['norm'])}, {epochs_label(row['epochs'])}"
    card = [("cell", f"{names.dataset(row['dataset'])}: {cell}"), ("source", names.source(row["source"]))]
    claimed = formatting.known(row["claimed"])
    card.append(("claimed", formatting.measure(metric, row["claimed"]) if claimed else "diverged"))
    if formatting.known(row["value"]):
        card.append(("found", formatting.measure(metric, row["value"])))
    if formatting.known(row["change"]):
        change = formatting.with_unit(formatting.difference(metric, row["change"]), metric)
        relative = formatting.known(row["relative_change"])
        card.append(("change", f"{change}, {_relative(row)} of the claim" if relative else change))
    if formatting.known(row["sd"]):
        card.append(("SD", formatting.measure(metric, row["sd"])))
    if formatting.known(row["minimum"]) and formatting.known(row["maximum"]):
        ends = [formatting.measure(metric, row[end]) for end in ("minimum", "maximum")]
        card.append(("range", " to ".join(ends)))
    card.append(("n", of_expected(row["n"], row["n_expected"])))
    card.append(("split", row["reproduced_split"] or "unstated"))
    card += [("why", formatting.sentence(row["reason"]))] if row["reason"] else []
    return card + ([("flags", formatting.flags(row["flags"]))] if row.get("flags") else [])


def _relative(row: dict) -> str:
    return f"{formatting.points(row['relative_change'], 1)} %"


def _depth(inputs: Inputs, row: dict) -> int:
    """The tint is centred on the claim and scaled by the study's own threshold."""
    judge = inputs.study.judge
    column = "change" if judge.threshold_kind == "absolute" else "relative_change"
    if not formatting.known(row[column]):
        return 0
    return sum(abs(row[column]) > step * judge.threshold for step in STEPS)


def _sort(value: float) -> float | str:
    return value if formatting.known(value) else ""
