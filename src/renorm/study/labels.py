"""What the study calls its data sets, architectures, normalisers, recipes and axes in print."""

from renorm.study.fields import Strict

PLACE = ("arch", "norm", "recipe")  # axes whose values are names; the value of another axis is printed beside its axis


class Labels(Strict):
    """How names are printed; a name without a label is printed as it is."""

    dataset: dict[str, str] = {}
    arch: dict[str, str] = {}
    norm: dict[str, str] = {}
    recipe: dict[str, str] = {}
    axis: dict[str, str] = {}

    def on(self, axis: str) -> dict[str, str]:
        """Name → label on `axis`, in the study's order; empty for an axis without labels."""
        return getattr(self, axis) if axis in type(self).model_fields else {}

    def of(self, axis: str, key: str) -> str:
        """The label of the name `key` on `axis`."""
        return self.on(axis).get(key, key)

    def value(self, axis: str, key: str) -> str:
        """A value of an axis that is compared; settings of a recipe are named beside their value."""
        return self.of(axis, key) if axis in PLACE else f"{self.of('axis', axis)} {key}"
