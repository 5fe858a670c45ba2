"""What the study calls its data sets, architectures, norms, recipes and axes in print."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Labels:
    """`labels` of study.json; a key without a label is its own."""

    given: dict | None = field(default_factory=dict)

    def of(self, axis: str, key: str) -> str:
        return str(((self.given or {}).get(axis) or {}).get(key, key))

    def dataset(self, key: str) -> str:
        return self.of("datasets", key)

    def arch(self, key: str) -> str:
        return self.of("archs", key)

    def norm(self, key: str) -> str:
        return self.of("norms", key)

    def value(self, axis: str, key: str) -> str:
        """A value of an axis that is compared; settings of a recipe are named beside their value."""
        if axis in ("norm", "recipe", "arch"):
            return self.of(f"{axis}s", key)
        return f"{self.of('axes', axis)} {key}"
