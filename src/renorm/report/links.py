"""Where the records of a study's runs stand, seen from its report: relative, and only those that are there."""

from pathlib import Path
from urllib.parse import quote

import pandas as pd

from renorm.core.table_specs import GROUP

RUNS = "../runs"


def run_links(folder: Path, cells: pd.DataFrame) -> dict[tuple, list[tuple[str, str]]]:
    """Cell without its seed → ("seed 1", "../runs/…/run.json") of each of its runs."""
    found: dict[tuple, list[tuple[str, str]]] = {}
    for row in cells.to_dict("records"):
        path = "/".join(
            [*(str(row[key]) for key in GROUP[:4]), f"e{row['epochs']:.0f}", f"s{row['seed']:.0f}", "run.json"]
        )
        if (folder / RUNS / path).is_file():
            key = tuple(row[key] for key in GROUP)
            found.setdefault(key, []).append((f"seed {row['seed']:.0f}", f"{RUNS}/{quote(path)}"))
    return found
