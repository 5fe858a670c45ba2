"""`renorm adopt`: records from elsewhere become records of a study, if they fit; where they came from is kept."""

from dataclasses import dataclass, field

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.core.locks import locked
from renorm.runs import finished, recordings
from renorm.runs.recordings import Offered
from renorm.runs.run_record import HISTORY, RECORD, now
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import Study

ORIGIN = "adopted.json"


@dataclass
class Outcome:
    """What came of the records that were offered; `refused`: the origin of each that does not fit, and why."""

    adopted: list[Cell] = field(default_factory=list)
    there: list[Cell] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people, one line each."""
        counts = f"{len(self.adopted)} adopted, {len(self.there)} finished before, {len(self.refused)} do not fit"
        return [*(f"{origin}: does not fit: {why}" for origin, why in self.refused), counts]


def adopt(study: Study, paths: list[str]) -> Outcome:
    """Take what fits of the records at `paths` into the results of `study`.

    Raises `RenormError` for a path that is not there and for a record that is damaged.
    """
    known, outcome = grid.cells(study.model_copy(update={"only": None})), Outcome()
    for one in (one for path in paths for one in recordings.offered(path)):
        cell = one.record.cell
        if cell not in known:
            outcome.refused.append((one.origin, f"{cell} is not a cell of study '{study.study}'"))
        elif (seen := finished.of(study, cell)).record and not seen.offered:
            outcome.there.append(cell)
        elif differences := finished.identity(study, cell).differences(one.record):
            outcome.refused.append((one.origin, "; ".join(differences)))
        else:
            _take(study, one)
            outcome.adopted.append(cell)
    return outcome


def bring_in(study: Study) -> int:
    """Copy the records that `adopt:` of the configuration names, as far as cells need them; returns how many."""
    looks = {cell: finished.of(study, cell) for cell in grid.cells(study)} if study.adopt else {}
    offered = [look.offered for look in looks.values() if look.offered]
    for one in offered:
        _take(study, one)
    return len(offered)


def origin(study: Study, cell: Cell) -> str:
    """Where the record of `cell` was adopted from; empty when it was made here."""
    path = finished.run_folder(study, cell) / ORIGIN
    try:
        return files.read_json(path, "adopt the record again")["from"] if path.exists() else ""
    except (RenormError, KeyError, TypeError):
        return "unknown"


def _take(study: Study, one: Offered) -> None:
    folder = finished.run_folder(study, one.record.cell)
    with locked(folder / ".lock", f"cell {one.record.cell}"):
        finished.set_aside(folder)
        files.write_atomic(folder / HISTORY, one.history)
        files.write_json(folder / ORIGIN, {"from": one.origin, "adopted": now(), "checksum": one.document["checksum"]})
        files.write_json(folder / RECORD, one.document)
