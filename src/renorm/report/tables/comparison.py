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
    names = Names(inputs)
    verdicts = inputs["verdicts"]
    return [_table(inputs, names, dataset, rows) for dataset, rows in verdicts.groupby("dataset", sort=False)]


def _table(inputs: Inputs, names: Names, dataset: str, rows: pd.DataFrame) -> Table:
    sources = names.sources(inputs["verdicts"])
    blocks = sorted(set(zip(rows["epochs"], rows["metric"], strict=True)), key=lambda block: (block[1], block[0]))
    several = rows["metric"].nunique() > 1
    recipes = names.order("recipe", rows)
    heads = _heads(names, blocks, sources, several)
    columns = [
        f"{names.group(metric, epochs, several)}: {head}"
        for epochs, metric in blocks
        for head in ("claimed", *map(names.source, sources))
    ]
    lookup = {_key(row): row for row in rows.to_dict("records")}
    claimed = {key[:-1]: row for key, row in lookup.items()}
    groups = []
    for recipe in recipes:
        for arch in names.order("arch", rows):
            norms = names.norms(rows[(rows["arch"] == arch) & (rows["recipe"] == recipe)])
            label = names.arch(arch) + (f" ({recipe})" if len(recipes) > 1 else "")
            made = [
                Row(
                    [label if i == 0 else None, names.norm(norm)],
                    _cells(inputs, names, (dataset, arch, norm, recipe), blocks, sources, lookup, claimed),
                )
                for i, norm in enumerate(norms)
            ]
            groups += [Group(made, key=label)] if made else []
    title = names.dataset(dataset)
    return Table(
        slug("comparison", dataset), title, "comparison", heads, groups, ["Architecture", "Norm"], columns,
        dataset=dataset,
    )  # fmt: skip


def _heads(names: Names, blocks: list, sources: list[str], several: bool) -> list[list[Head]]:
    top = [Head("Architecture", down=2, kind="text"), Head("Norm", down=2, kind="text")]
    top += [Head(names.group(m, e, several), span=1 + len(sources), first=True) for e, m in blocks]
    low = []
    for _ in blocks:
        low.append(Head("claimed", first=True, sort=True))
        low += [Head(names.source(source), sort=True) for source in sources]
    return [top, low]


def _key(row: dict) -> tuple:
    return (*(row[axis] for axis in ("dataset", "arch", "norm", "recipe", "epochs", "metric")), row["source"])


def _cells(inputs, names, key, blocks, sources, lookup, claimed) -> list[Cell]:
    cells = []
    for epochs, metric in blocks:
        claim = claimed.get((*key, epochs, metric))
        cells.append(claim_cell(names, claim))
        cells += [value_cell(inputs, names, lookup.get((*key, epochs, metric, source)), claim) for source in sources]
    return cells


def claim_cell(names: Names, row: dict | None) -> Cell:
    if row is None:
        return Cell("", first=True)
    where = ", ".join(part for part in (row["table"], f"p. {row['page']}" if row["page"] else "") if part)
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
    return Cell(
        text, mark=row["mark"] or MARKS[verdict], tone=verdict, depth=_depth(inputs, row), sort=_sort(row["value"]),
        id=slug(*(row[axis] for axis in ("dataset", "arch", "norm", "recipe", "epochs", "metric", "source"))),
        card=_card(names, row), small=spread(row),
    )  # fmt: skip


def spread(row: dict) -> str:
    """n of n expected and the standard deviation, as small print under a value."""
    n = of_expected(row["n"], row["n_expected"])
    return f"±{numbers.percent(row['sd'])}, n {n}" if numbers.known(row["sd"]) else f"n {n}"


def of_expected(n: float, expected: float) -> str:
    if not numbers.known(expected) or n == expected:
        return numbers.count(n)
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
    return card + ([("why", row["reason"])] if row["reason"] else [])


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
