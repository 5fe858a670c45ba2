"""This study's own results, claims or no claims: architectures against norm × epochs."""

import pandas as pd

from renorm.core.table_specs import GROUP
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, facets, slug
from renorm.report.tables.comparison import of_expected
from renorm.report.tables.completeness import column_title, columns_of, norm_heads, opened
from renorm.report.tables.model import Cell, Group, Row, Table, per_norm


def tables(inputs: Inputs) -> list[Table]:
    names, known = Names(inputs), averages(inputs)
    seen = pd.DataFrame({"metric": sorted({key[-1] for key, row in known.items() if formatting.known(row["value"])})})
    metrics = names.metrics(seen)
    return [
        _table(names, dataset, inputs["cells"][inputs["cells"]["dataset"] == dataset], metric, known)
        for metric in metrics
        for dataset in names.order("dataset", inputs["cells"])
        if any(key[0] == dataset and key[-1] == metric for key in known)
    ]


def averages(inputs: Inputs) -> dict[tuple, dict]:
    """A cell's mean, SD and n: from study_means.csv, else from a row with a claim, else from a comparison."""
    known: dict[tuple, dict] = {}
    for row in _own(inputs, "comparison"):
        for side in ("baseline", "method"):
            key = (row["dataset"], row["arch"], row[side], row["recipe"], row["epochs"], row["metric"])
            values = {"value": row[f"{side}_value"], "n": row[f"n_{side}"], "n_expected": row["n_expected"]}
            known[key] = {**values, "sd": float("nan"), "minimum": float("nan"), "maximum": float("nan")}
    for name in ("threshold_rule", "study_means"):
        for row in _own(inputs, name):
            if row.get("split", "test") in ("test", "unstated") or name == "threshold_rule":
                known[(*(row[key] for key in GROUP), row["metric"])] = row
    return known


def _own(inputs: Inputs, name: str) -> list[dict]:
    if not inputs.has(name):
        return []
    frame = inputs[name]
    frame = frame[frame["source"] == inputs.name] if "source" in frame else frame
    return frame.to_dict("records")


def _table(names: Names, dataset: str, cells: pd.DataFrame, metric: str, known: dict) -> Table:
    columns = columns_of(names, cells)
    groups = []
    for arch, recipe in names.rows(cells):
        rows = cells[(cells["arch"] == arch) & (cells["recipe"] == recipe)]
        planned = set(zip(rows["epochs"], rows["norm"], strict=True))
        label = names.row_label((arch, recipe), cells)
        keys = [(dataset, arch, norm, recipe, epochs, metric) for epochs, norm in columns]
        made = [_cell(names, key, known) if (key[4], key[2]) in planned else Cell("") for key in keys]
        row = Row([label], per_norm(opened(made, columns), [norm for _, norm in columns]))
        groups.append(Group([row], key=label, facets=facets((arch, "", recipe))))
    title = f"{names.dataset(dataset)}, {names.metric(metric).title}"
    return Table(
        slug("own", dataset, metric), title, "own", norm_heads(names, columns, "value", sort=True), groups,
        ["Architecture"], [column_title(names, key) for key in columns], "study_means",
        dataset=dataset, collapsed=metric != names.inputs.primary.name,
    )  # fmt: skip


def _cell(names: Names, key: tuple, known: dict) -> Cell:
    row = known.get(key)
    dataset, arch, norm, _, epochs, metric = key
    where = f"{names.dataset(dataset)}: {names.arch(arch)}, {names.norm(norm)}, {epochs_label(epochs)}"
    if row is None or not formatting.known(row["value"]):
        n = "" if row is None else f"n {of_expected(row['n'], row['n_expected'])}"
        lost = row is not None and row["diverged"] and row["diverged"] == row["n_expected"]
        word, tone = ("diverged", "below") if lost else ("missing", "missing")
        return Cell(word, tone=tone, id=slug("own", *key), small=n, card=[("cell", where)])
    n = of_expected(row["n"], row["n_expected"])
    text, deviation, ends = (
        [formatting.measure(names.metric(metric), row[column]) for column in columns]
        for columns in (("value",), ("sd",), ("minimum", "maximum"))
    )
    card = [("cell", where), ("mean", text[0]), ("SD", deviation[0]), ("n", n)]
    if formatting.known(row["minimum"]):
        card.append(("range", " to ".join(ends)))
    text = [*text, *(deviation if formatting.known(row["sd"]) else [])]
    cell = Cell(" ± ".join(text), id=slug("own", *key), sort=row["value"], small=f"n {n}", card=card)
    cell.partial = n if " of " in n else ""
    cell.links = names.inputs.links(dict(zip(GROUP, key, strict=False)))
    return cell
