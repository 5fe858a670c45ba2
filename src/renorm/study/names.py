"""What the names in a study refer to: registered ones for the built-in trainer, a program's own for its cells."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING

from renorm.core import plugins, zoo
from renorm.core.errors import RenormError, suggest
from renorm.study import comparisons, programs
from renorm.study.cell import AXES, NAME, Cell

if TYPE_CHECKING:
    from renorm.study.config import Experiment, Recipe, Study

NAMED = ("dataset", "arch", "norm")


def mistakes(study: Study, files: bool) -> Iterator[str]:
    """One line for each name that refers to nothing, and for each mistake in a program; `files`: theirs as well."""
    yield from _recipes(study)
    found = {name: list(programs.mistakes(name, one, _known(study, name))) for name, one in study.programs.items()}
    for name, lines in found.items():
        yield from lines
        # Finished runs of a program whose code is pinned are read without it.
        pinned = isinstance(study.programs[name].code, dict)
        yield from programs.missing(name, study.programs[name]) if files and not pinned else ()
    for name, experiment in study.experiments.items():
        yield from _experiment(study, name, experiment, {name for name, lines in found.items() if lines})
    yield from comparisons.mistakes(study)
    for name, view in study.layer_views.items():
        if study.recipes[view.of.recipe].program:
            yield f"layer_views.{name}.cell: '{view.of}' is trained by a program, whose layers renorm does not know"


def unknown(axis: str, name: str) -> str:
    """What is wrong with a name of `dataset`, `arch` or `norm` that nothing defines; empty when something does."""
    if axis == "arch" and zoo.is_zoo(name):
        return zoo.problem(name)
    if axis == "dataset" and plugins.is_folder(name):
        return ""
    return "" if name in plugins.names(axis) else f"unknown {axis} '{name}': {suggest(name, plugins.names(axis))}"


def check_programs(study: Study, cells: Iterable[Cell]) -> None:
    """Raise `RenormError`, one line each, for what the programs that train `cells` lack."""
    used = dict.fromkeys(study.recipes[cell.recipe].program for cell in cells)
    lines = [line for name in used if name for line in programs.unusable(name, study.programs[name])]
    if lines:
        raise RenormError(*lines)


def _recipes(study: Study) -> Iterator[str]:
    for name, recipe in study.recipes.items():
        if recipe.program is None:
            continue
        if recipe.program not in study.programs:
            hint = suggest(recipe.program, study.programs)
            yield f"recipes.{name}.program: unknown program '{recipe.program}': {hint}"
            continue
        used = study.programs[recipe.program].placeholders
        for key in recipe.values:
            if key not in used:
                yield (f"recipes.{name}.values.{key}: the command of program '{recipe.program}' has no placeholder "
                       f"{{{key}}}: {suggest(key, used)}")  # fmt: skip
            elif key in (*AXES, *programs.AT_START):
                yield f"recipes.{name}.values.{key}: is filled in by renorm: choose another name"


def _known(study: Study, program: str) -> set[str]:
    """The placeholders that the commands of `program` may have."""
    recipes = [recipe for recipe in study.recipes.values() if recipe.program == program]
    found = {key for recipe in recipes or list(study.recipes.values())[:1] for key in _scalars(recipe)}
    return found | set(AXES)


def _scalars(recipe: Recipe) -> set[str]:
    changes = {key for change in recipe.by_arch.values() for key in change.get("values") or ()}
    return changes | {
        key for key, value in recipe.settings("").items() if value is None or isinstance(value, programs.Scalar)
    }


def _unknown_recipe(study: Study, name: str) -> str:
    return "" if name in study.recipes else f"unknown recipe '{name}': {suggest(name, study.recipes)}"


def _experiment(study: Study, name: str, experiment: Experiment, broken: set[str]) -> Iterator[str]:
    builtin = [recipe for recipe in experiment.recipe if study.recipes[recipe].program is None]
    for axis in NAMED:
        values = getattr(experiment, axis)
        for value in values:
            if not NAME.fullmatch(value):
                yield (f"experiments.{name}.{axis}: '{value}' is not a name: use lower-case letters, digits and _ . - "
                       "only")  # fmt: skip
            elif builtin and (problem := unknown(axis, value)):
                yield f"experiments.{name}.{axis}: {problem} (found {json.dumps(values)})"
    for axis, value in experiment.published_as.items() if builtin else ():
        problem = unknown(axis, value) if axis in NAMED else _unknown_recipe(study, value)
        if problem:
            yield f"experiments.{name}.published_as.{axis}: {problem}"
    seen = set()
    counts = {
        axis: len(getattr(experiment, "seeds" if axis == "seed" else axis)) for axis in (*NAMED, "epochs", "seed")
    }
    for recipe in experiment.recipe:
        program = study.recipes[recipe].program
        if program not in study.programs or program in broken:
            continue
        placeholders = study.programs[program or ""].placeholders
        for axis, count in counts.items():
            if count > 1 and axis not in placeholders:
                # All of them would be one and the same run, and count as several.
                yield (f"experiments.{name}: {count} values of {axis}, and the command of program '{program}' has no "
                       f"placeholder {{{axis}}}: add it, or name one value")  # fmt: skip
        for line in _unfilled(study, experiment, recipe):
            if line not in seen:
                seen.add(line)
                yield f"experiments.{name}: {line}"


def _unfilled(study: Study, experiment: Experiment, recipe: str) -> Iterator[str]:
    """Cells of `experiment` whose command line cannot be filled in."""
    chosen = study.recipes[recipe]
    program = study.programs[chosen.program or ""]
    for dataset, arch, norm in product(experiment.dataset, experiment.arch, experiment.norm):
        try:
            cells = [Cell(dataset, arch, norm, recipe, epochs, experiment.seeds[0]) for epochs in experiment.epochs]
            for cell in cells:
                program.filled(cell, chosen.settings(arch))
        except RenormError as error:
            yield f"program '{chosen.program}': {error}"
