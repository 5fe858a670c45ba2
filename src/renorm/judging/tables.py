"""CSV out: the same numbers give the same bytes."""

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from renorm.core.files import write_atomic


def cell_text(value: Any) -> str:
    """One field: empty when not stated; floats in 12 digits, which hides the last bits that differ between machines."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value + 0.0:.12g}" if value else "0"
    return str(value)


def to_csv(columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> str:
    """The table as text with '\\n' line ends; a row may leave columns out but may not bring others."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        strange = set(row) - set(columns)
        if strange:
            raise ValueError(f"columns {sorted(strange)} are not in the table's contract")
        writer.writerow([cell_text(row.get(column)) for column in columns])
    return out.getvalue()


def write_table(path: Path, columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> None:
    """Write the table whole or not at all."""
    write_atomic(path, to_csv(columns, rows))
