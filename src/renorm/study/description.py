"""study.json: what the judgement and the report need of the configuration; written, read and known here alone."""

import os
from pathlib import Path

from pydantic import model_validator

from renorm.core import files
from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import Metrics
from renorm.core.validation import validate_model
from renorm.study import grid, recipe_axes
from renorm.study.comparisons import Comparison
from renorm.study.config import Claims, Judge, Study
from renorm.study.fields import Strict
from renorm.study.labels import Labels
from renorm.study.metrics import AddedMetric, registry
from renorm.study.recipe_axes import Place

FILE = "study.json"
FIRST = "run `renorm collect` first"
AGAIN = "run `renorm collect` again"


class Block(Strict):
    """An experiment that the study takes, with the number of its cells.

    Attributes:
        published_as: Axis → what a source printed where it ran these cells.
    """

    name: str
    title: str
    cells: int
    published_as: dict[str, str] = {}


class Description(Strict):
    """The part of a configuration that its tables are judged and printed by.

    Attributes:
        labels: As configured; points of a recipe's axes are called by their values.
        recipes: Names, in the study's order.
        recipe_axes: Recipe → its place, of the recipes that are points of a family.
        claims: Folders relative to that of study.json.
    """

    study: str
    title: str = ""
    description: str = ""
    labels: Labels = Labels()
    recipes: list[str] = []
    comparisons: list[Comparison] = []
    recipe_axes: dict[str, Place] = {}
    metrics: dict[str, AddedMetric] = {}
    judge: Judge = Judge()
    claims: Claims | None = None
    experiments: list[Block] = []

    @model_validator(mode="after")
    def _known_metric(self) -> "Description":
        try:
            known = self.registry
        except RenormError as error:
            raise ValueError(str(error)) from None
        if self.judge.metric not in known:
            hint = suggest(self.judge.metric, known)
            raise ValueError(f"judge.metric: unknown '{self.judge.metric}': {hint}")
        return self

    @property
    def heading(self) -> str:
        """The title, or the name of a study that has none."""
        return self.title or self.study

    @property
    def registry(self) -> Metrics:
        """Every metric that the study knows: the built-in ones and its own."""
        return registry(self.metrics)

    def claims_folders(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The folders of the original claims and of the reproductions, for a study.json in `folder`."""
        listed = (self.claims.original, self.claims.reproductions) if self.claims else ([], [])
        first, second = ([Path(os.path.normpath(folder / path)) for path in paths] for paths in listed)
        return first, second


def of(study: Study, folder: Path) -> Description:
    """The description of `study` for the study.json in `folder`."""
    wanted, labels = grid.cells(study), study.labels
    recipes = recipe_axes.labels(study.recipes, labels.recipe, labels.axis)
    return Description(
        study=study.study, title=study.title or study.study, description=study.description,
        labels=labels.model_copy(update={"recipe": recipes}),
        recipes=list(study.recipes), comparisons=study.comparisons, recipe_axes=recipe_axes.points(study.recipes),
        metrics=study.metrics, judge=study.judge, claims=study.written_for(folder)["claims"],
        experiments=[
            Block(
                name=name, title=experiment.title or name, cells=sum(name in names for names in wanted.values()),
                published_as={str(axis): name for axis, name in experiment.published_as.items()},
            )
            for name, experiment in study.taken.items()
        ],
    )  # fmt: skip


def write(description: Description, folder: Path) -> None:
    """Write study.json in `folder`."""
    files.write_json(folder / FILE, description.model_dump(mode="json"))


def read(folder: str | Path) -> Description:
    """The description in `folder`.

    Raises:
        RenormError: study.json is not there, or not one that this version of renorm writes.
    """
    path = Path(folder) / FILE
    if not path.exists():
        raise RenormError(f"{path}: not there; {FIRST}")
    try:
        return validate_model(Description, files.read_json(path, AGAIN), str(path))
    except RenormError as error:
        raise RenormError(*(line if AGAIN in line else f"{line}; {AGAIN}" for line in str(error).split("\n"))) from None
