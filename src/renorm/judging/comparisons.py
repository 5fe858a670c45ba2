"""The study's comparisons as the judgement uses them: which cell is compared with which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from renorm.core.table_specs import GROUP
from renorm.study.comparisons import GRID_AXES
from renorm.study.recipe_axes import text

Point = tuple[str, Mapping[str, str]]  # of a recipe: its family, and its value on each axis
Group = tuple  # a cell without its seed: dataset, arch, norm, recipe, epochs
RECIPE = GROUP.index("recipe")


@dataclass(frozen=True)
class Comparison:
    """Two values of one axis, all else equal.

    Attributes:
        name, title: Its key and its heading.
        axis: `norm`, `recipe`, `arch`, or a setting that recipes vary.
        baseline, method: The two values, as text.
        where: The cells it is about: axis → a value or a list of them.
        points: Recipe → its family and its values on the family's axes, in the study's order.
    """

    name: str
    axis: str
    baseline: str
    method: str
    title: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    points: Mapping[str, Point] = field(default_factory=dict)

    def value(self, group: Group) -> str | None:
        """The cell's value on the axis; None where it has none, or `where` leaves the cell out."""
        if not all(self._fits(group, key, wanted) for key, wanted in self.where.items()):
            return None
        if self.axis in GRID_AXES:
            return str(group[GROUP.index(self.axis)])
        return self._point(group)[1].get(self.axis)

    def counterpart(self, group: Group) -> Group | None:
        """The cell with the baseline's value in place of this one's; None where the cell is not in the comparison."""
        if self.value(group) is None:
            return None
        if self.axis in GRID_AXES:
            return _with(group, GROUP.index(self.axis), self.baseline)
        family, point = self._point(group)
        wanted = (family, {**point, self.axis: self.baseline})
        recipe = next((name for name, known in self.points.items() if (known[0], dict(known[1])) == wanted), None)
        return None if recipe is None else _with(group, RECIPE, recipe)

    def setting(self, group: Group) -> tuple:
        """Everything that the cells of one pair share."""
        if self.axis in GRID_AXES:
            return _with(group, GROUP.index(self.axis), "")
        family, point = self._point(group)
        return _with(group, RECIPE, (family, *((a, v) for a, v in sorted(point.items()) if a != self.axis)))

    def order(self, values: set[str]) -> list[str]:
        """Values of the axis: the baseline, the method, then the others as the study's recipes have them."""
        known = [point.get(self.axis) for _, point in self.points.values()]
        places = {value: place for place, value in enumerate(dict.fromkeys([self.baseline, self.method, *known]))}
        return sorted(values, key=lambda value: (places.get(value, len(places)), value))

    def _point(self, group: Group) -> Point:
        return self.points.get(group[RECIPE], ("", {}))

    def _fits(self, group: Group, key: str, wanted: Any) -> bool:
        words = {text(value) for value in (wanted if isinstance(wanted, list) else [wanted])}
        family, point = self._point(group)
        if key == "recipe":
            return bool(words & {group[RECIPE], family})
        return (text(group[GROUP.index(key)]) if key in GROUP else point.get(key)) in words


def _with(group: Group, place: int, value: Any) -> Group:
    return (*group[:place], value, *group[place + 1 :])


def of_study(study: Mapping[str, Any]) -> Iterator[Comparison]:
    """The comparisons in study.json."""
    points = {recipe: (found["family"], found["axes"]) for recipe, found in (study.get("recipe_axes") or {}).items()}
    for given in study.get("comparisons") or ():
        yield Comparison(**given, points=points)
