"""All normalisers side by side: the study's metric, time, and which of them nothing beats in both."""

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, facets, slug
from renorm.report.tables.comparison import of_expected
from renorm.report.tables.model import Cell, Group, Head, Row, Table

SETTING = ("arch", "recipe", "epochs")


def tables(inputs: Inputs) -> list[Table]:
    """One for each data set on which more than two normalisers were run on the same thing."""
    if not inputs.has("normalisers"):
        return []
    names, frame = Names(inputs), inputs["normalisers"]
    return [_table(names, dataset, frame[frame["dataset"] == dataset]) for dataset in names.order("dataset", frame)]


def _table(names: Names, dataset: str, rows) -> Table:
    columns = {
        names.inputs.primary.label: "value", f"over {names.norm(names.inputs.baseline)}": "delta_vs_baseline",
        f"over {names.norm(names.inputs.method)}": "delta_vs_method", "s per epoch": "epoch_seconds",
        "ratio": "ratio", "not beaten": "pareto_optimal",
    }  # fmt: skip
    order = names.norms(rows)
    groups = []
    for pair in names.rows(rows):
        here = rows[(rows["arch"] == pair[0]) & (rows["recipe"] == pair[1])]
        for epochs in sorted(set(here["epochs"])):
            label = names.row_label(pair, rows) + (f", {epochs_label(epochs)}" if rows["epochs"].nunique() > 1 else "")
            found = sorted(here[here["epochs"] == epochs].to_dict("records"), key=lambda r: order.index(r["norm"]))
            made = [_row(names, row, label if not i else None) for i, row in enumerate(found)]
            groups.append(Group(made, key=label, facets=facets((pair[0], "", pair[1]))))
    heads = [Head(*named, kind="text") for named in (("Architecture", "arch"), ("Norm", "norm"))]
    heads += [Head(*named, sort=True) for named in columns.items()]
    title = f"{names.dataset(dataset)}: {names.inputs.primary.quality} and time of every normaliser"
    return Table(
        slug("normalisers", dataset),
        title,
        "normalisers",
        [heads],
        groups,
        ["Architecture", "Norm"],
        list(columns),
        "normalisers",
        dataset=dataset,
    )


def _row(names: Names, row: dict, label: str | None) -> Row:
    n, metric = of_expected(row["n"], row["n_expected"]), names.inputs.primary
    value = Cell("missing", tone="missing", first=True, small=f"n {n}")
    if formatting.known(row["value"]):
        deviation = f" ± {formatting.measure(metric, row['sd'])}" if formatting.known(row["sd"]) else ""
        value = Cell(
            formatting.measure(metric, row["value"]) + deviation, sort=row["value"], first=True, small=f"n {n}"
        )
        value.partial = n if " of " in n else ""
        value.links = names.inputs.links(row)
    value.id = slug("normalisers", row["dataset"], *(row[key] for key in SETTING), row["norm"])
    cells = [value]
    cells += [
        Cell(formatting.difference(metric, row[key]), sort=_sort(row[key]))
        for key in ("delta_vs_baseline", "delta_vs_method")
    ]
    cells += [Cell(formatting.seconds(row["epoch_seconds"]), sort=_sort(row["epoch_seconds"]))]
    cells += [Cell(formatting.ratio(row["ratio"]), sort=_sort(row["ratio"]), kind="ratio")]
    cells += [Cell("●" if row["pareto_optimal"] == "true" else "", kind="text")]
    return Row([label, names.norm(row["norm"])], cells, {"norm": row["norm"]})


def _sort(value: float) -> float | str:
    return value if formatting.known(value) else ""
