"""What a run of Snakemake has to do, by content: cells to train, layer views to inspect, steps of a report to take.

The Snakefile asks here, and nothing here looks at a time stamp.
"""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from renorm.execution import budget
from renorm.execution.budget import Allowance
from renorm.runs import finished, layer_views, made_from
from renorm.runs.collect import inputs_digest
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import Study


class Pending:
    """The answers for one study at one moment; every record is read once."""

    def __init__(self, study: Study):
        self.study = study
        # A report of the study, and one of each of its experiments alone, whether `only` takes it or not.
        self.reports = {name: study.alone(name) for name in study.experiments} | {study.study: study}
        self._looks: dict[Cell, finished.Look] = {}
        self._identities: dict[Cell, finished.Identity] = {}
        self._steps: dict[str, set[str]] = {}

    def look(self, cell: Cell) -> finished.Look:
        """What there is of a cell's record."""
        if cell not in self._looks:
            self._looks[cell] = finished.of(self.study, cell, self._identity(cell))
        return self._looks[cell]

    def _identity(self, cell: Cell) -> finished.Identity:
        """What the record of a cell must hold: found once for all seeds, unless a program trains the cell."""
        if grid.program(self.study, cell):
            return finished.identity(self.study, cell)
        alike = replace(cell, seed=0)
        if alike not in self._identities:
            self._identities[alike] = finished.identity(self.study, cell)
        return replace(self._identities[alike], cell=cell)

    def cells(self, report: str) -> list[Cell]:
        """The cells of a report, sorted."""
        return sorted(grid.cells(self.reports[report]))

    def to_train(self, report: str) -> list[Cell]:
        """The cells of a report that are not finished, as far as the budget allows."""
        return [cell for cell in self.cells(report) if not self.look(cell).record and not self.is_left_out(cell)]

    @cached_property
    def allowance(self) -> Allowance:
        """What the budget allows of the study; of experiments that `only` leaves out, nothing."""
        records = {cell: self.look(cell).record for cell in grid.cells(self.study)}
        return budget.allowance(self.study, records)

    @cached_property
    def places(self) -> dict[Cell, int]:
        """The cells that the budget allows, the first with the largest number; empty without a budget."""
        taken = self.allowance.taken if self.study.budget else []
        return {cell: len(taken) - place for place, cell in enumerate(taken)}

    def place(self, cell: Cell) -> int:
        """How early the cell is to be submitted, compared with others; 0 for every cell without a budget."""
        return self.places.get(cell, 0)

    def is_inspected(self, name: str) -> bool:
        """Whether a layer view exists for the current cell, weights and data."""
        view = self.study.layer_views[name]
        record = self.look(view.of).record
        return bool(record or not view.trained) and layer_views.is_current(self.study, name, record)

    def to_inspect(self, report: str) -> list[str]:
        """The layer views of a report that have to be made, and can be: not of a cell that the budget leaves out."""
        return [
            name for name, view in grid.layer_views(self.reports[report]).items()
            if not self.is_inspected(name) and not (view.trained and self.is_left_out(view.of))
        ]  # fmt: skip

    def is_left_out(self, cell: Cell) -> bool:
        """Whether the cell is missing and the budget does not allow it."""
        return bool(self.study.budget) and not self.look(cell).record and cell not in self.places

    def steps(self, report: str) -> set[str]:
        """The steps of a report (`made_from.STEPS`) that have to be taken."""
        if report not in self._steps:
            self._steps[report] = self._stale(report)
        return self._steps[report]

    def _stale(self, report: str) -> set[str]:
        if self.to_train(report) or self.to_inspect(report):
            return set(made_from.STEPS)
        study, folder = self.reports[report], Path(self.study.results_dir, report)
        looks = [(cell, self.look(cell).record) for cell in grid.cells(study)]
        return made_from.stale(folder, inputs_digest(study, looks, folder), study.claims_folders)

    @property
    def claims_unread(self) -> bool:
        """Whether the claims are other ones than those that were judged."""
        known = made_from.read(self.study.folder)
        claims = self.study.claims_folders
        return known.get(made_from.JUDGE) != made_from.judged(known.get(made_from.COLLECT, ""), claims)
