"""What a study compares: two values of one axis, all else equal (`comparisons:` of the configuration)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from renorm.core import plugins
from renorm.core.errors import suggest
from renorm.core.table_specs import GROUP
from renorm.study import recipe_axes
from renorm.study.fields import Name, Strict

if TYPE_CHECKING:
    from renorm.study.config import Study

GRID_AXES = ("norm", "recipe", "arch")
Scalar = str | int | float


class Comparison(Strict):
    """One comparison: the value `method` of an axis with the value `baseline`, in the cells that `where` selects.

    `axis`: norm, recipe, arch, or a setting that recipes vary on an axis (`batch_size`). `where`: cells by dataset,
    arch, norm, recipe (or its family), epochs, or the value on another axis of the recipe; a list means any of them.
    """

    name: Name
    title: str = ""
    axis: str = "norm"
    baseline: str
    method: str
    where: dict[str, Scalar | list[Scalar]] = {}

    @field_validator("baseline", "method", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return recipe_axes.text(value) if isinstance(value, int | float) else value


def mistakes(study: Study) -> Iterator[str]:
    """One line for each part of `comparisons` that names nothing or says nothing."""
    names = [comparison.name for comparison in study.comparisons]
    axes = _axes(study)
    for place, one in enumerate(study.comparisons):
        where = f"comparisons.{place}"
        if one.name in names[:place]:
            yield f"{where}.name: '{one.name}' is there twice: give each comparison a name of its own"
        if one.axis not in axes:
            yield f"{where}.axis: unknown axis '{one.axis}' of comparison '{one.name}': {suggest(one.axis, axes)}"
            continue
        known = axes[one.axis]
        for side in ("baseline", "method"):
            value = getattr(one, side)
            # Without experiments the values are those of the claims.
            if value not in known and (study.experiments or one.axis not in ("norm", "arch")):
                what = f"unknown {one.axis} '{value}' of comparison '{one.name}'"
                yield f"{where}.{side}: {what}: {suggest(value, known)}"
        if one.baseline == one.method:
            yield f"{where}.method: '{one.method}' is the baseline of comparison '{one.name}' too: name another"
        if study.experiments:
            yield from _conditions(where, one, axes)


def _conditions(where: str, one: Comparison, axes: Mapping[str, Iterable[str]]) -> Iterator[str]:
    known = [key for key in (*GROUP, *axes) if key != one.axis]
    for key, wanted in one.where.items():
        if key == one.axis:
            yield f"{where}.where.{key}: is what comparison '{one.name}' varies: leave it out"
        elif key not in known:
            yield f"{where}.where: unknown axis '{key}': {suggest(key, list(dict.fromkeys(known)))}"
        elif key in axes:
            for value in map(recipe_axes.text, wanted if isinstance(wanted, list) else [wanted]):
                if value not in axes[key]:
                    yield f"{where}.where.{key}: unknown {key} '{value}': {suggest(value, axes[key])}"


def _axes(study: Study) -> dict[str, list[str]]:
    """Axis → the values that a comparison may name: registered, or the study's own."""
    found = {
        axis: [*dict.fromkeys(v for e in study.experiments.values() for v in getattr(e, axis)), *plugins.names(axis)]
        for axis in ("dataset", "norm", "arch")
    }
    points = recipe_axes.points(study.recipes)
    found["recipe"] = [*study.recipes, *dict.fromkeys(place.family for place in points.values())]
    for place in points.values():
        for axis, value in place.axes.items():
            values = found.setdefault(axis, [])
            if value not in values:
                values.append(value)
    return found
