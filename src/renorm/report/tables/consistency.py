"""Averaged squared deviation of the repeats from the original value: the published measure of consistency."""

import pandas as pd

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Answers, Names, facets, slug
from renorm.report.tables.comparison import CLAIM, per_claims
from renorm.report.tables.completeness import column_title, columns_of, norm_heads
from renorm.report.tables.model import Cell, Group, Row, Table, per_norm


def tables(inputs: Inputs) -> list[Table]:
    names, frame = Names(inputs), inputs["repeat_consistency"]
    made = []
    for answers in per_claims(names, frame):
        for source in names.sources(answers.rows):
            for metric, same in answers.rows[answers.rows["source"] == source].groupby("metric"):
                if same["deviation"].notna().any():
                    made.append(_table(names, answers, source, metric, same))
    return made


def _table(names: Names, answers: Answers, source: str, metric: str, rows: pd.DataFrame) -> Table:
    dataset = rows["dataset"].iloc[0]
    columns = columns_of(names, rows)
    lookup = {(r["arch"], r["recipe"], r["epochs"], r["norm"]): r for r in rows.to_dict("records")}
    opening = {columns.index(next(c for c in columns if c[0] == e)) for e in {c[0] for c in columns}}
    groups = []
    for arch, recipe in names.rows(rows):
        label = names.row_label((arch, recipe), rows)
        cells = [_cell(names, lookup.get((arch, recipe, e, n)), i in opening) for i, (e, n) in enumerate(columns)]
        row = Row([label], per_norm(cells, [norm for _, norm in columns]))
        groups.append(Group([row], key=label, facets=facets((arch, "", recipe))))
    title = f"{answers.of(names.dataset(dataset))}, {names.source(source)}"
    title += "" if metric == names.inputs.primary.name else f", {names.label('metric', metric)}"
    return Table(
        slug("repeat_consistency", dataset, *answers.key, source, metric), title, "repeat_consistency",
        norm_heads(names, columns, "deviation", sort=True), groups, ["Architecture"],
        [column_title(names, key) for key in columns], "repeat_consistency", dataset=dataset,
    )  # fmt: skip


def _cell(names: Names, row: dict | None, first: bool) -> Cell:
    if row is None:
        return Cell("", first=first)
    if not formatting.known(row["deviation"]):
        return Cell("missing", tone="missing", first=first)
    bound = "≥ " if row["reported_as"] == "average" else ""
    consistent = row["consistent"].strip().lower() == "true"
    card = [("deviation", bound + formatting.decimal(row["deviation"], 6)), ("n", formatting.count(row["n"]))]
    card += [
        ("claimed", formatting.measure(names.metric(row["metric"]), row["claimed"])),
        ("reported as", row["reported_as"]),
    ]
    mark, tone = ("", "") if consistent else ("▼", "below")
    return Cell(
        bound + formatting.decimal(row["deviation"], 4), mark=mark, tone=tone,
        sort=row["deviation"], first=first, card=card, small=f"n {formatting.count(row['n'])}",
        id=slug("repeat_consistency", *(row[axis] for axis in CLAIM), row["source"]),
    )  # fmt: skip
