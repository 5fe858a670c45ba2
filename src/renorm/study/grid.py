"""The study's grid: experiments → cells. A cell that several experiments name is one cell."""

from itertools import product

from renorm.study.cell import Cell
from renorm.study.config import PROTOCOL, Experiment, LayerView, Recipe, Study
from renorm.study.programs import Program


def experiment_cells(experiment: Experiment) -> list[Cell]:
    """The product of the experiment's axes, in the order of the configuration."""
    e = experiment
    return [Cell(*point) for point in product(e.dataset, e.arch, e.norm, e.recipe, e.epochs, e.seeds)]


def cells(study: Study) -> dict[Cell, list[str]]:
    """Every cell of the study once, with the names of the experiments that want it; `only` narrows the experiments."""
    wanted: dict[Cell, list[str]] = {}
    for name, experiment in study.taken.items():
        for cell in experiment_cells(experiment):
            wanted.setdefault(cell, []).append(name)
    return wanted


def hyperparameters(study: Study, cell: Cell) -> dict:
    """The resolved hyper-parameters of `cell`: what its run record must hold to count for this study."""
    return resolved(study.recipes[cell.recipe], program(study, cell), cell)


def resolved(recipe: Recipe, by: Program | None, cell: Cell) -> dict:
    """The hyper-parameters of `cell` with `recipe`, trained by a program or, with None, by the built-in trainer."""
    if by is None:
        return recipe.resolved(cell.norm, cell.arch)
    return {"protocol": PROTOCOL, "program": by.identity(cell, recipe.settings(cell.arch))}


def program(study: Study, cell: Cell) -> Program | None:
    """The program that trains `cell`; None for the built-in trainer."""
    name = study.recipes[cell.recipe].program
    return None if name is None else study.programs[name]


def layer_views(study: Study) -> dict[str, LayerView]:
    """The layer views of cells that the study's taken experiments want."""
    wanted = cells(study) if study.layer_views else {}
    return {name: view for name, view in study.layer_views.items() if view.of in wanted}


def inspected(study: Study) -> set[Cell]:
    """The cells whose trained weights are kept for a layer view, whatever `only` takes."""
    return {view.of for view in study.layer_views.values() if view.trained}
