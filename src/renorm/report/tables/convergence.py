"""How many epochs until a share of the baseline's final test value is reached."""

import pandas as pd

from renorm.core.table_specs import GROUP
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, facets, slug
from renorm.report.tables.comparison import of_expected
from renorm.report.tables.model import Cell, Group, Head, Row, Table, per_norm


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("convergence"):
        return []
    names, frame = Names(inputs), inputs.of("convergence", inputs.normalisers)
    frame = frame[frame["epochs"] > 1]
    return [
        _table(names, dataset, epochs, rows)
        for dataset in names.order("dataset", frame)
        for epochs, rows in frame[frame["dataset"] == dataset].groupby("epochs")
    ]


def _table(names: Names, dataset: str, epochs: float, rows: pd.DataFrame) -> Table:
    levels, norms = sorted(set(rows["level"])), names.norms(rows)
    lookup = {(r["arch"], r["recipe"], r["level"], r["norm"]): r for r in rows.to_dict("records")}
    groups = []
    for pair in names.rows(rows):
        cells = [_cell(names, lookup.get((*pair, level, norm)), norm == norms[0]) for level in levels for norm in norms]
        label = names.row_label(pair, rows)
        row = Row([label], per_norm(cells, [norm for _ in levels for norm in norms]))
        groups.append(Group([row], key=label, facets=facets((pair[0], "", pair[1]))))
    shares = [f"{100 * level:g}\u00a0%" for level in levels]
    top = [Head("Architecture", "arch", down=2, kind="text")]
    top += [Head(share, "level", span=len(norms), first=True) for share in shares]
    low = [Head(names.norm(norm), "epochs_needed", first=norm == norms[0], sort=True) for _ in levels for norm in norms]
    columns = [f"{share}: {names.norm(norm)}" for share in shares for norm in norms]
    title = f"{names.dataset(dataset)}, {epochs_label(epochs)}"
    return Table(
        slug("convergence", dataset, epochs), title, "curves", [top, low], groups, ["Architecture"], columns,
        "convergence", dataset=dataset, collapsed=True,
    )  # fmt: skip


def _cell(names: Names, row: dict | None, first: bool) -> Cell:
    if row is None:
        return Cell("", first=first)
    if not formatting.known(row["epochs_needed"]):
        return Cell("not reached", tone="missing", first=first)
    metric = names.inputs.primary
    card = [("target", f"{formatting.measure(metric, row['target'])} test {metric.quality}")]
    card += [("seconds", formatting.seconds(row["seconds_needed"]))] if formatting.known(row["seconds_needed"]) else []
    card += [("time ratio", formatting.ratio(row["ratio"]))] if formatting.known(row["ratio"]) else []
    card.append(("reached by", f"{of_expected(row['n_reached'], row['n'])} runs"))
    partial = of_expected(row["n_reached"], row["n"])
    cell = Cell(formatting.decimal(row["epochs_needed"], 1), sort=row["epochs_needed"], first=first, card=card)
    cell.partial = partial if " of " in partial else ""
    cell.id = slug("reached", *(row[k] for k in (*GROUP, "level")))
    return cell
