"""Axes of a recipe: `axes: {batch_size: [128, 32, 8]}` becomes one recipe per value, ordered and labelled.

An expanded recipe says in `family` which recipe it was and in `axes` which of its settings vary; the value on an axis
is that of the setting itself, so that nothing is written down twice. A recipe with a name of its own can be placed on
an axis in the same way: `{family: decay, axes: [optimizer.weight_decay]}`.
"""

import re
from collections.abc import Mapping
from functools import partial
from itertools import product
from typing import Any

from pydantic import BaseModel

from renorm.core.errors import suggest
from renorm.study import parts
from renorm.study.fields import Strict

MOST = 1000  # recipes that one may expand to


class Place(Strict):
    """Where a recipe is in a family of recipes: its value on each of the family's axes, as text."""

    family: str
    axes: dict[str, str]


def text(value: Any) -> str:
    """A value of an axis as it is named, written and compared: 0.10 and 0.1 are one value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def at(values: Any, axis: str) -> Any:
    """The setting `axis` (`optimizer.lr`) of nested `values`; None where it is not there."""
    for key in axis.split("."):
        values = values.get(key) if isinstance(values, Mapping) else None
    # A part with settings (`schedule: {name: step, ...}`) is on an axis by its name.
    return values.get("name") if isinstance(values, Mapping) else values


def expanded(recipes: dict[str, Any], model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The recipes with those that have axes replaced by their points, and family → names of its points, in order.

    Args:
        recipes: Name → settings, after `extends`.
        model: The type of a recipe, whose fields are what an axis may name.

    Raises:
        ValueError: One line about an axis that names no setting, has no or equal values, or about `zip`.
    """
    found: dict[str, Any] = {}
    families: dict[str, list[str]] = {}
    for name, recipe in recipes.items():
        axes = recipe.get("axes") if isinstance(recipe, dict) else None
        if not isinstance(axes, dict):
            found[name] = recipe
            continue
        families[name] = []
        rest = {key: value for key, value in recipe.items() if key not in ("axes", "zip")}
        for point in _points(name, axes, recipe.get("zip", False), model):
            made = ".".join([name, *(f"{axis.rpartition('.')[2]}-{_slug(value)}" for axis, value in point.items())])
            if made in recipes or made in found:
                raise ValueError(f"{name}.axes: two recipes would be called '{made}': rename one")
            families[name].append(made)
            found[made] = _placed(rest, point) | {"family": name, "axes": list(point)}
    return found, families


def _slug(value: Any) -> str:
    return re.sub(r"[^a-z0-9_.-]+", "_", text(value).lower())


def _placed(settings: dict, point: dict[str, Any]) -> dict:
    """`settings` with the values of `point` put over them."""
    out = dict(settings)
    for axis, value in point.items():
        *path, last = axis.split(".")
        inner = out
        for key in path:
            found = inner.get(key)
            inner[key] = dict(found) if isinstance(found, dict) else {"name": found} if isinstance(found, str) else {}
            inner = inner[key]
        inner[last] = value
    return out


def _points(name: str, axes: dict, zipped: Any, model: type[BaseModel]) -> list[dict[str, Any]]:
    where = f"{name}.axes"
    if not axes:
        raise ValueError(f"{where}: is empty: name at least one setting with its values")
    for axis, values in axes.items():
        _check(where, axis, values, model)
    together = _together(name, list(axes), zipped)
    lengths = {axis: len(axes[axis]) for axis in together}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{axis} {count}" for axis, count in lengths.items())
        raise ValueError(f"{name}.zip: axes in step need equally many values ({said}): add or remove some")
    # The axes in step are one factor of the product, at the place of the first of them.
    factors: list[list[dict[str, Any]]] = []
    for axis, values in axes.items():
        if axis not in together:
            factors.append([{axis: value} for value in values])
        elif axis == together[0]:
            factors.append([{a: axes[a][i] for a in together} for i in range(len(values))])
    size = 1
    for factor in factors:
        size *= len(factor)
    if size > MOST:
        raise ValueError(f"{where}: {size} recipes are too many (at most {MOST}): take values out")
    points = ({key: value for part in parts for key, value in part.items()} for parts in product(*factors))
    return [{axis: point[axis] for axis in axes} for point in points]


def _together(name: str, axes: list[str], zipped: Any) -> list[str]:
    """The axes that are taken in step."""
    if isinstance(zipped, bool):
        return axes if zipped else []
    if not isinstance(zipped, list) or len(zipped) < 2:
        raise ValueError(f"{name}.zip: {zipped!r}: write true for all axes, or a list of two of them or more")
    for axis in zipped:
        if axis not in axes:
            raise ValueError(f"{name}.zip: unknown axis '{axis}': {suggest(str(axis), axes)}")
    return [axis for axis in axes if axis in zipped]


def _check(where: str, axis: Any, values: Any, model: type[BaseModel]) -> None:
    known = settings(model)
    if not isinstance(axis, str) or (axis not in known and not axis.startswith("values.")):
        raise ValueError(f"{where}: unknown setting '{axis}': {suggest(str(axis), known)}")
    if not isinstance(values, list) or not values:
        raise ValueError(f"{where}.{axis}: {values!r}: write a list of values")
    for value in values:
        if not isinstance(value, str | int | float):
            raise ValueError(f"{where}.{axis}: {value!r} is not a number, a word or a truth value: write one of these")
    words = [text(value) for value in values]
    twice = next((word for word in words if words.count(word) > 1), None)
    if twice is not None:
        raise ValueError(f"{where}.{axis}: {twice} is there twice: name each value once")


def settings(model: type[BaseModel], prefix: str = "") -> list[str]:
    """The settings of a recipe that an axis may name, with dots between nested keys."""
    found = []
    for key, kind in model.model_fields.items():
        inner = kind.annotation
        if key in parts.PARTS and not prefix:
            own = (settings_of.model_fields for settings_of in map(partial(parts.settings_of, key), parts.names(key)))
            found += [key, *dict.fromkeys(f"{key}.{name}" for fields in own for name in fields if name != "name")]
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            found += settings(inner, f"{prefix}{key}.")
        elif key not in ("by_arch", "family", "axes", "zip", "program", "values", "norm_settings"):
            found.append(prefix + key)
    return found


def points(recipes: Mapping[str, BaseModel]) -> dict[str, Place]:
    """Recipe → its place, of the recipes that are points of a family, in the study's order."""
    found = {}
    for name, recipe in recipes.items():
        family, axes = getattr(recipe, "family", None), getattr(recipe, "axes", [])
        if family:
            values = recipe.model_dump()
            found[name] = Place(family=family, axes={axis: text(at(values, axis)) for axis in axes})
    return found


def labels(recipes: Mapping[str, BaseModel], given: Mapping[str, str], axes: Mapping[str, str]) -> dict[str, str]:
    """What recipes are called in print: as `given`, and the points of an expanded recipe by their values."""
    found = dict(given)
    for name, place in points(recipes).items():
        if name not in found and name.startswith(f"{place.family}."):
            values = (f"{axes.get(axis, axis)} {value}" for axis, value in place.axes.items())
            found[name] = ", ".join([given.get(place.family, place.family), *values])
    return found
