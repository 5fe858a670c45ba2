"""The cell: one point of the grid, and the path that is its identity."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import PurePosixPath

from renorm.core.errors import RenormError

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True, order=True)
class Cell:
    """dataset × arch × norm × recipe × epochs × seed.

    Names are restricted to lower-case letters, digits and `_.-`, so that a cell's path can hold nothing that a shell
    or a file system would read as anything but a name.
    """

    dataset: str
    arch: str
    norm: str
    recipe: str
    epochs: int
    seed: int

    def __post_init__(self):
        for key in ("dataset", "arch", "norm", "recipe"):
            value = getattr(self, key)
            if not isinstance(value, str) or not NAME.fullmatch(value):
                raise RenormError(f"{key}: {value!r} is not a name: use lower-case letters, digits and _ . - only")
        for key, least in (("epochs", 1), ("seed", 0)):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**31:
                raise RenormError(f"{key}: {value!r} is not a whole number from {least} to {2**31 - 1}")

    @property
    def path(self) -> str:
        """`dataset/arch/norm/recipe/e{epochs}/s{seed}`, relative to `results/runs`."""
        return f"{self.dataset}/{self.arch}/{self.norm}/{self.recipe}/e{self.epochs}/s{self.seed}"

    @classmethod
    def from_path(cls, path: str | PurePosixPath) -> "Cell":
        """The inverse of `path`; the last six parts of a longer path count."""
        parts = PurePosixPath(path).parts[-6:]
        match = len(parts) == 6 and re.fullmatch(r"e([0-9]+)/s([0-9]+)", "/".join(parts[4:]))
        if not match:
            raise RenormError(f"'{path}' is not a valid cell path: expected dataset/arch/norm/recipe/e<epochs>/s<seed>")
        dataset, arch, norm, recipe = parts[:4]
        return cls(dataset, arch, norm, recipe, int(match[1]), int(match[2]))

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> "Cell":
        """The cell of a table's row, whose other columns are ignored; the numbers may be text."""
        return cls(row["dataset"], row["arch"], row["norm"], row["recipe"], int(row["epochs"]), int(row["seed"]))

    def as_dict(self) -> dict:
        return asdict(self)

    def __str__(self) -> str:
        return self.path


# Of every table that has a row per cell, in this order.
AXES = tuple(field.name for field in fields(Cell))
