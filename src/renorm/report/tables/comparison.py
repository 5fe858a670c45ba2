"""The heart of the report: per dataset, what was claimed and what every source found, for each cell of the grid."""

import pandas as pd

from renorm.report import numbers
from renorm.report.inputs import Inputs
from renorm.report.names import Names, epochs_label, slug
from renorm.report.tables.model import Cell, Group, Head, Row, Table

MARKS = {"better": "▲", "within": "=", "below": "▼", "missing": "–"}
# How far from the claim, as a part of the published threshold, before the tint behind a value gets one step stronger.
STEPS = (0.1, 0.5, 1.0)


def tables(inputs: Inputs) -> list[Table]:
    verdicts = inputs["verdicts"]
    datasets = Names(inputs).order("dataset", verdicts)
    return [_table(inputs, dataset, verdicts[verdicts["dataset"] == dataset]) for dataset in datasets]


def _table(inputs: Inputs, dataset: str, rows: pd.DataFrame) -> Table:
    names = Names(inputs)
    blocks = _blocks(names, rows)
    lookup = {_key(row): row for row in rows.to_dict("records")}
    claimed = {key[:-1]: row for key, row in lookup.items()}
    groups = []
    for pair in names.rows(rows):
        arch, recipe = pair
        label = names.row_label(pair, rows)
        norms = names.norms(rows[(rows["arch"] == arch) & (rows["recipe"] == recipe)])
        made = []
        for place, norm in enumerate(norms):
            cells = _cells(inputs, names, (dataset, arch, norm, recipe), blocks, lookup, claimed)
            made.append(Row([None if place else label, names.norm(norm)], cells))
        groups.append(Group(made, key=label))
    return Table(
        slug("comparison", dataset), names.dataset(dataset), "comparison", _heads(names, blocks, rows), groups,
        ["Architecture", "Norm"], _columns(names, blocks, rows), dataset=dataset,
    )  # fmt: skip


def _blocks(names: Names, rows: pd.DataFrame) -> list[tuple[float, str, list[str]]]:
    """(epochs, metric, sources): a group of columns; only sources that speak to it get one."""
    blocks = []
    for (metric, epochs), here in rows.groupby(["metric", "epochs"]):
        told = here[here["value"].notna() | (here["source"] == names.inputs.name)]
        blocks.append((epochs, metric, names.sources(told)))
    return sorted(blocks, key=lambda block: (block[1] != "top1", block[1], block[0]))


def _columns(names: Names, blocks: list, rows: pd.DataFrame) -> list[str]:
    several = rows["metric"].nunique() > 1
    return [
        f"{names.group(metric, epochs, several)}: {head}"
        for epochs, metric, sources in blocks
        for head in ("claimed", *map(names.source, sources))
    ]


def _heads(names: Names, blocks: list, rows: pd.DataFrame) -> list[list[Head]]:
    several = rows["metric"].nunique() > 1
    top = [Head("Architecture", down=2, kind="text"), Head("Norm", down=2, kind="text")]
    top += [Head(names.group(m, e, several), span=1 + len(sources), first=True) for e, m, sources in blocks]
    low = []
    for _, _, sources in blocks:
        low.append(Head("claimed", first=True, sort=True))
        low += [Head(names.source(source), sort=True) for source in sources]
    return [top, low]


def _key(row: dict) -> tuple:
    return (*(row[axis] for axis in ("dataset", "arch", "norm", "recipe", "epochs", "metric")), row["source"])


def _cells(inputs, names, key, blocks, lookup, claimed) -> list[Cell]:
    cells = []
    for epochs, metric, sources in blocks:
        claim = claimed.get((*key, epochs, metric))
        cells.append(claim_cell(names, claim))
        cells += [value_cell(inputs, names, lookup.get((*key, epochs, metric, source)), claim) for source in sources]
    return cells


def claim_cell(names: Names, row: dict | None) -> Cell:
    if row is None:
        return Cell("", first=True)
    where = ", ".join(part for part in (row["table"], row["page"]) if part)
    card = [("claimed", numbers.measure(row["metric"], row["claimed"])), ("by", names.source(row["claim_source"]))]
    card += [("where", where), ("split", row["split"])]
    return Cell(
        numbers.measure(row["metric"], row["claimed"]), tone="claim", first=True, sort=_sort(row["claimed"]),
        id=slug("claim", *(row[axis] for axis in ("dataset", "arch", "norm", "recipe", "epochs", "metric"))),
        card=[pair for pair in card if pair[1]],
    )  # fmt: skip


def value_cell(inputs: Inputs, names: Names, row: dict | None, claim: dict | None) -> Cell:
    """A source's value beside its claim. A source that was never to measure this cell stays empty, not missing."""
    if row is None:
        return Cell("", tone="" if claim is None else "untested")
    verdict = row["verdict"] if row["verdict"] in MARKS else "missing"
    text = numbers.measure(row["metric"], row["value"]) if numbers.known(row["value"]) else "missing"
    mark = "" if verdict == "missing" else row["mark"] or MARKS[verdict]
    mark += "⚑" if row.get("flags") else ""
    cell = Cell(text, mark=mark, tone=verdict, depth=_depth(inputs, row), sort=_sort(row["value"]))
    cell.id = slug(*(row[axis] for axis in ("dataset", "arch", "norm", "recipe", "epochs", "metric", "source")))
    cell.card, cell.small = _card(names, row), spread(row)
    return cell


def spread(row: dict) -> str:
    """n of n expected and the standard deviation, as small print under a value."""
    n = of_expected(row["n"], row["n_expected"])
    return f"±{numbers.percent(row['sd'])}, n {n}" if numbers.known(row["sd"]) else f"n {n}"


def of_expected(n: float, expected: float) -> str:
    if not numbers.known(expected) or n == expected:
        return numbers.count(n) if numbers.known(n) else "unstated"
    return f"{numbers.count(n if numbers.known(n) else 0)} of {numbers.count(expected)}"


def _card(names: Names, row: dict) -> list[tuple[str, str]]:
    metric = row["metric"]
    cell = f"{names.arch(row['arch'])}, {names.norm(row['norm'])}, {epochs_label(row['epochs'])}"
    card = [("cell", f"{names.dataset(row['dataset'])}: {cell}"), ("source", names.source(row["source"]))]
    card.append(("claimed", numbers.measure(metric, row["claimed"])))
    if numbers.known(row["value"]):
        card.append(("found", numbers.measure(metric, row["value"])))
        card.append(("change", f"{numbers.points(row['change'])} points, {_relative(row)} of the claim"))
    if numbers.known(row["sd"]):
        card.append(("SD", numbers.percent(row["sd"])))
    if numbers.known(row["minimum"]) and numbers.known(row["maximum"]):
        card.append(("range", f"{numbers.percent(row['minimum'])} to {numbers.percent(row['maximum'])}"))
    card.append(("n", of_expected(row["n"], row["n_expected"])))
    card.append(("split", row["reproduced_split"] or "unstated"))
    card += [("why", row["reason"])] if row["reason"] else []
    return card + ([("flag", row["flags"])] if row.get("flags") else [])


def _relative(row: dict) -> str:
    return f"{numbers.points(row['relative_change'], 1)} %"


def _depth(inputs: Inputs, row: dict) -> int:
    """The tint is centred on the claim and scaled by the study's own threshold."""
    judge = inputs.study.get("judge") or {}
    column = "change" if judge.get("threshold_kind") == "absolute" else "relative_change"
    if not numbers.known(row[column]):
        return 0
    return sum(abs(row[column]) > step * float(judge.get("threshold", 0.1)) for step in STEPS)


def _sort(value: float) -> float | str:
    return value if numbers.known(value) else ""
