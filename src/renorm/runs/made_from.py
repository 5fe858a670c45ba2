"""From what the tables and pages of a report were made, by content: made_from.json in its folder.

Every step notes the digest of what it read when it has ended. What a step would read now is compared with that, so
that a report is of the configuration given and of the records that are there, whatever any time stamp says.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from renorm import __version__
from renorm.core import files
from renorm.core.errors import RenormError

FILE = "made_from.json"
COLLECT, JUDGE, FIGURES, REPORT = STEPS = ("collect", "judge", "figures", "report")


def collected(
    configuration: dict, records: Iterable[Sequence[Any]], views: Iterable[Path], costs: Iterable[dict]
) -> str:
    """What `collect` reads: the configuration, what is known of every cell, the layer views, and what jobs cost."""
    found = [list(row) for row in records], [_file(path) for path in views], list(costs)
    return _digest([__version__, configuration, *found])


def judged(collect: str, claims: Iterable[str | Path]) -> str:
    """What `judge` reads: the tables of `collect`, and every file of the folders of claims."""
    found = [
        (Path(folder).name, path.name, _file(path))
        for folder in claims
        for path in sorted(Path(folder).glob("*.*"))
        if path.is_file()
    ]
    return _digest([collect, found])


def rendered(before: str, step: str) -> str:
    """What `figures` and `report` read: what the step before them made."""
    return _digest([before, step])


def note(folder: Path, step: str, digest: str) -> None:
    """Note that `step` has ended; what was noted of later steps is no longer valid."""
    known = read(folder)
    kept = {name: known[name] for name in STEPS[: STEPS.index(step)] if name in known}
    files.write_json(folder / FILE, {**kept, step: digest})


def note_after(folder: Path, step: str) -> None:
    """Note that `figures` or `report` has ended, after what is noted of the step before it."""
    note(folder, step, rendered(read(folder).get(STEPS[STEPS.index(step) - 1], ""), step))


def read(folder: Path) -> dict[str, str]:
    """Step → digest, of the steps that have ended; empty where nothing is noted."""
    try:
        found = files.read_json(folder / FILE, "collect the study again") if (folder / FILE).exists() else {}
    except RenormError:
        return {}
    return found if isinstance(found, dict) else {}


def stale(folder: Path, collect: str, claims: Iterable[str | Path]) -> set[str]:
    """The steps of a report that must be taken again, given what `collect` would read now."""
    known = read(folder)
    judge = judged(collect, claims)
    figures = rendered(judge, FIGURES)
    now = {COLLECT: collect, JUDGE: judge, FIGURES: figures, REPORT: rendered(figures, REPORT)}
    first = next((i for i, step in enumerate(STEPS) if known.get(step) != now[step]), len(STEPS))
    return set(STEPS[first:])


def _file(path: Path) -> str:
    return files.sha256(path) if path.exists() else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
