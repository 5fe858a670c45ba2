"""What was to be run and what came of it: one dot a seed, and a list of every cell without a result."""

import pandas as pd

from renorm.core.table_specs import GROUP
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, facets, slug
from renorm.report.tables.model import Cell, Group, Head, Row, Table, flat, per_norm, text

SHOWN = 8  # rows of unfinished cells; a longer list is collapsed
DOTS = {"completed": "●", "diverged": "✕", "failed": "■", "missing": "○"}


def tables(inputs: Inputs) -> list[Table]:
    names, cells = Names(inputs), inputs["cells"]
    datasets = names.order("dataset", cells)
    grids = [_grid(names, dataset, cells[cells["dataset"] == dataset]) for dataset in datasets]
    return [*grids, _unfinished(names, cells[cells["status"] != "completed"])]


def _grid(names: Names, dataset: str, cells: pd.DataFrame) -> Table:
    """Rows are architectures, columns norm × epochs; the seeds of a cell are its dots."""
    columns = columns_of(names, cells)
    groups = []
    for arch, recipe in names.rows(cells):
        rows = cells[(cells["arch"] == arch) & (cells["recipe"] == recipe)]
        label = names.row_label((arch, recipe), cells)
        dots = [_dots(names, key, rows) for key in columns]
        made = per_norm(opened(dots, columns), [norm for _, norm in columns])
        groups.append(Group([Row([label], made)], key=label, facets=facets((arch, "", recipe))))
    return Table(
        slug("complete", dataset), names.dataset(dataset), "completeness", norm_heads(names, columns, "status"),
        groups, ["Architecture"], [column_title(names, key) for key in columns], "cells", dataset=dataset,
        sortable=False,
        collapsed=bool((cells["status"] == "completed").all()),
    )  # fmt: skip


def columns_of(names: Names, cells: pd.DataFrame) -> list[tuple[float, str]]:
    """(epochs, norm) pairs of a dataset: by epochs, the compared norms side by side."""
    present = set(zip(cells["epochs"], cells["norm"], strict=True))
    norms = names.norms(cells)
    return [(epochs, norm) for epochs in sorted(set(cells["epochs"])) for norm in norms if (epochs, norm) in present]


def norm_heads(names: Names, columns: list[tuple[float, str]], value: str, sort: bool = False) -> list[list[Head]]:
    """Epochs above normalisers; the cells are made from the column `value`."""
    top, low, last = [Head("Architecture", "arch", down=2, kind="text")], [], None
    for epochs, norm in columns:
        if epochs != last:
            top.append(Head(epochs_label(epochs), "epochs", span=sum(e == epochs for e, _ in columns), first=True))
        low.append(Head(names.norm(norm), value, first=epochs != last, sort=sort))
        last = epochs
    return [top, low]


def opened(cells: list[Cell], columns: list[tuple[float, str]]) -> list[Cell]:
    """The cells of a row, of which the first of each epoch setting opens a group."""
    last = None
    for cell, (epochs, _) in zip(cells, columns, strict=True):
        cell.first, last = epochs != last, epochs
    return cells


def column_title(names: Names, key: tuple[float, str]) -> str:
    return f"{epochs_label(key[0])}, {names.norm(key[1])}"


def _dots(names: Names, key: tuple[float, str], rows: pd.DataFrame) -> Cell:
    rows = rows[(rows["epochs"] == key[0]) & (rows["norm"] == key[1])]
    dots = "".join(DOTS.get(status, "○") for status in rows["status"])
    card = [(f"seed {formatting.count(row.seed)}", row.status) for row in rows.itertuples()]
    if rows.empty:
        return Cell(dots, kind="dots")
    first = dict(zip(GROUP, rows.iloc[0][[*GROUP]], strict=True))
    return Cell(dots, kind="dots", card=card, id=slug("runs", *first.values()), links=names.inputs.links(first))


def _unfinished(names: Names, cells: pd.DataFrame) -> Table:
    """Every cell that has no result, so that nothing is missing without a name; equal reasons share a row."""
    keys = [*GROUP, "status"] + (["error"] if "error" in cells else [])
    rows, about = [], []
    for key, same in cells.groupby(keys, sort=False, dropna=False):
        dataset, arch, norm, recipe, epochs, status = key[:6]
        seeds = ", ".join(formatting.count(seed) for seed in same["seed"])
        known = [text(f"{DOTS.get(status, '○')} {status}"), text(names.dataset(dataset)), text(names.arch(arch))]
        known += [
            text(names.norm(norm)),
            text(recipe),
            Cell(formatting.count(epochs), sort=epochs, kind="text"),
            text(seeds),
        ]
        about.append(facets((arch, "", recipe)) | {"dataset": dataset, "norm": norm})
        rows.append([*known, text(key[6] if len(key) > 6 else "")])
    columns = {"Status": "status", "Dataset": "dataset", "Architecture": "arch", "Norm": "norm", "Recipe": "recipe",
               "Epochs": "epochs", "Seeds": "seed", "Error": "error"}  # fmt: skip
    title = f"Cells without a result: {len(cells)}"
    return flat("unfinished", title, "completeness", columns, rows, about, spec="cells", collapsed=len(rows) > SHOWN)
