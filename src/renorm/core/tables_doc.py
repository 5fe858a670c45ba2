"""`python -m renorm.core.tables_doc docs/tables.md`: the tables between the page's marks, from the specs."""

import re
import sys
from pathlib import Path

from renorm.core.errors import RenormError
from renorm.core.files import write_atomic
from renorm.core.table_specs import COLLECTED, COMPARED, JUDGED, MEASUREMENTS
from renorm.core.tables import Column, TableSpec

PARTS = {
    "measurements": lambda: _columns(MEASUREMENTS),
    "collected": lambda: "\n".join(map(_table, COLLECTED)),
    "judged": lambda: "\n".join(map(_table, JUDGED)),
    "compared": lambda: "\n".join(map(_table, COMPARED)),
}


def updated(page: str, where: str = "docs/tables.md") -> str:
    """`page` with every part between `<!-- name -->` and `<!-- end -->` written anew."""
    for name, part in PARTS.items():
        found = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", page, re.S)
        if not found:
            raise RenormError(f"{where}: the mark <!-- {name} --> is missing: put it back")
        page = f"{page[: found.start(1)]}\n{part()}\n{page[found.end(1) :]}"
    return page


def _table(spec: TableSpec) -> str:
    note = f" {spec.note}" if spec.note else ""
    return f"### `{spec.file}`\n\n{spec.description}.{note}\n\n{_columns(spec.columns)}"


def _columns(columns: tuple[Column, ...]) -> str:
    rows = [f"| `{c.name}` | {c.kind} | {'yes' if c.empty else ''} | {c.meaning} |" for c in columns]
    return "\n".join(["| column | type | may be empty | meaning |", "|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_atomic(path, updated(path.read_text(encoding="utf-8"), str(path)))
