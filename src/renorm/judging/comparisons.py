"""The study's comparisons as the judgement uses them: which cell is compared with which."""

from collections.abc import Mapping
from typing import Any

from renorm.core.table_specs import GROUP
from renorm.study import comparisons
from renorm.study.comparisons import GRID_AXES
from renorm.study.description import Description
from renorm.study.recipe_axes import Place, text

Group = tuple  # a cell without its seed: dataset, arch, norm, recipe, epochs
RECIPE = GROUP.index("recipe")
NOWHERE = Place(family="", axes={})


class Comparison(comparisons.Comparison):
    """A comparison of the configuration, with the places of the study's recipes.

    Attributes:
        places: Recipe → its place in its family, in the study's order.
    """

    places: Mapping[str, Place] = {}

    def value(self, group: Group) -> str | None:
        """The cell's value on the axis; None where it has none, or `where` leaves the cell out."""
        if not all(self._fits(group, key, wanted) for key, wanted in self.where.items()):
            return None
        if self.axis in GRID_AXES:
            return str(group[GROUP.index(self.axis)])
        return self._place(group).axes.get(self.axis)

    def counterpart(self, group: Group) -> Group | None:
        """The cell with the baseline's value in place of this one's; None where the cell is not in the comparison."""
        if self.value(group) is None:
            return None
        if self.axis in GRID_AXES:
            return _with(group, GROUP.index(self.axis), self.baseline)
        place = self._place(group)
        wanted = Place(family=place.family, axes={**place.axes, self.axis: self.baseline})
        recipe = next((name for name, known in self.places.items() if known == wanted), None)
        return None if recipe is None else _with(group, RECIPE, recipe)

    def setting(self, group: Group) -> tuple:
        """Everything that the cells of one pair share."""
        if self.axis in GRID_AXES:
            return _with(group, GROUP.index(self.axis), "")
        place = self._place(group)
        return _with(group, RECIPE, (place.family, *((a, v) for a, v in sorted(place.axes.items()) if a != self.axis)))

    def order(self, values: set[str]) -> list[str]:
        """Values of the axis: the baseline, the method, then the others as the study's recipes have them."""
        known = [place.axes.get(self.axis) for place in self.places.values()]
        ranks = {value: rank for rank, value in enumerate(dict.fromkeys([self.baseline, self.method, *known]))}
        return sorted(values, key=lambda value: (ranks.get(value, len(ranks)), value))

    def _place(self, group: Group) -> Place:
        return self.places.get(group[RECIPE], NOWHERE)

    def _fits(self, group: Group, key: str, wanted: Any) -> bool:
        words = {text(value) for value in (wanted if isinstance(wanted, list) else [wanted])}
        place = self._place(group)
        if key == "recipe":
            return bool(words & {group[RECIPE], place.family})
        return (text(group[GROUP.index(key)]) if key in GROUP else place.axes.get(key)) in words


def _with(group: Group, place: int, value: Any) -> Group:
    return (*group[:place], value, *group[place + 1 :])


def of_study(study: Description) -> tuple[Comparison, ...]:
    """What the study compares, in its order."""
    return tuple(Comparison(**dict(one), places=study.recipe_axes) for one in study.comparisons)
