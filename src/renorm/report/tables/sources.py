"""Who said what was checked: every published source with its reference."""

import re

from renorm.report.inputs import Inputs
from renorm.report.tables.model import Cell, Table, flat, text


def tables(inputs: Inputs) -> list[Table]:
    rows = [_row(key, source) for key, source in inputs.published.items()]
    columns = dict.fromkeys(("Source", "Title", "Authors", "Year", "Kind", "Where", "Note"), "")  # of source.yaml
    return [flat("sources", "Published sources", "sources", columns, rows)] if rows else []


def _row(key: str, source: dict) -> list[Cell]:
    cells = [source.get(part) or "" for part in ("title", "authors", "year", "kind")]
    url = source.get("url") or ""
    # Anything else would be run where it was clicked, or leads nowhere.
    where = text(url, href=url if re.match(r"https?://", url) else "")
    return [text(source.get("label", key)), *map(text, cells), where, text(source.get("note") or "")]
