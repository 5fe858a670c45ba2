"""What the audit found in the runs and in the published tables: a sentence each, and where it stands."""

import re

from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names
from renorm.report.tables.model import Cell, Table, flat, text


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("audit"):
        return []
    names = Names(inputs)
    rows = [_row(names, row) for row in inputs["audit"].to_dict("records")]
    titles = ["Finding", "Source", "Where", "Epochs", "What", "Rows"]
    return [flat("findings", "Finding by finding", "audit", titles, rows)]


def _row(names: Names, row: dict) -> list[Cell]:
    where = (names.dataset(row["dataset"]), names.arch(row["arch"]), names.norm(row["norm"]))
    epochs = formatting.count(row["epochs"]) if formatting.known(row["epochs"]) else ""
    told = [row["kind"].replace("_", " "), names.source(row["source"]), " · ".join(filter(None, where)), epochs]
    return [text(part) for part in (*told, row["sentence"], places(row["rows"]))]


def places(rows: str) -> str:
    """`file:line` after `file:line`, or lines alone, as a list of each file's lines: neighbours become a range."""
    files: dict[str, list[int]] = {}
    # A file's name may hold blanks.
    for file, line in re.findall(r"(?:(\S.*?):)?(\d+)(?= |$)", rows):
        files.setdefault(file, []).append(int(line))
    told = (", ".join(f"{a}–{b}" if a < b else str(a) for a, b in _ranges(sorted(lines))) for lines in files.values())
    return "; ".join(f"{file}: {lines}" if file else lines for file, lines in zip(files, told, strict=True))


def _ranges(lines: list[int]) -> list[tuple[int, int]]:
    """(first, last) of every run of neighbours."""
    found: list[tuple[int, int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1] = (found[-1][0], line)
        else:
            found.append((line, line))
    return found
