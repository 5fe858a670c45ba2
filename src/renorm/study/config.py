"""config.yaml → one validated `Study`. Bad input is one clear line with the key's path, the value and the way out."""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from renorm.core import plugins, zoo
from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import TOP1, Metrics
from renorm.core.validation import flatten, read_yaml, validate_model
from renorm.study import comparisons as study_comparisons
from renorm.study import names, parts, recipe_axes
from renorm.study import programs as study_programs
from renorm.study.cell import Cell
from renorm.study.comparisons import Comparison
from renorm.study.fields import Count, Finite, Name, Positive, Strict
from renorm.study.known_datasets import PUBLISHED_NORMALISATION
from renorm.study.labels import Labels
from renorm.study.metrics import AddedMetric, registry

# Raised when the meaning of a run changes, so that old records are not mixed with new ones.
PROTOCOL = 1

# Normalisers that have no settings of their own: their cells do not depend on `norm:` of the recipe.
PLAIN_NORMS = frozenset({"none", "batch_norm", "group_norm", "layer_norm", "instance_norm"})

# What makes a recipe a point of a family, or a family of recipes.
PLACE = ("family", "axes", "zip")

# What is in results_dir beside the folders of the reports.
FOLDERS = ("data", "runs", "layer_views", "calibration")


class NormOptions(Strict):
    """Settings of the deconvolved layers (Ye et al. 2020, Section 3.4 and Algorithm 1)."""

    block: Count = 64
    block_fc: Count = 512
    iterations: Annotated[int, Field(ge=1, le=100, strict=True)] = 5
    sampling_stride: Annotated[int, Field(ge=1, le=64, strict=True)] = 3
    eps: Positive = 1e-5
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1


class Normalise(Strict):
    """Input normalisation by given constants, per channel, of pixels on the scale 0 to 1."""

    mean: Annotated[list[Finite], Field(min_length=1, max_length=16)]
    std: Annotated[list[Positive], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _equally_many(self) -> "Normalise":
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels and std {len(self.std)}: give one of each a channel")
        return self


class Recipe(Strict):
    """How a cell is trained. Everything here changes the numbers, so all of it is part of the run record."""

    optimizer: parts.Optimizer = parts.SGD(name="sgd")
    schedule: parts.Schedule = parts.Cosine(name="cosine")
    batch_size: Count = 128
    loss: parts.Loss = parts.CrossEntropy(name="cross_entropy")
    augment: parts.Augment = parts.CropFlip(name="crop_flip")
    gradient_clip: Positive | None = None
    normalise: Literal["dataset", "published", "none"] | Normalise = "dataset"
    norm: NormOptions = NormOptions()
    norm_settings: dict[Name, dict] = {}
    pretrained: str | None = None
    metrics: Annotated[list[Name], Field(min_length=1)] | None = None
    precision: Literal["float32", "tf32", "bfloat16"] = "tf32"
    deterministic: bool = False
    train_images: Count | None = None
    test_images: Count | None = None
    log_steps: Annotated[int, Field(ge=0, le=100_000, strict=True)] = 0
    program: Name | None = None
    values: dict[Name, StrictStr | StrictBool | StrictInt | Finite] = {}
    by_arch: dict[Name, dict] = {}
    family: Name | None = None
    axes: list[str] = []

    @model_validator(mode="after")
    def _axes(self) -> "Recipe":
        if self.axes and self.family is None:
            raise ValueError("axes: a list places a recipe in its `family`: name that, or give each axis its values")
        known = recipe_axes.settings(type(self))
        for axis in self.axes:
            if axis not in known and not axis.startswith("values."):
                raise ValueError(f"axes: unknown setting '{axis}': {suggest(axis, known)}")
        return self

    @model_validator(mode="after")
    def _values(self) -> "Recipe":
        if self.values and self.program is None:
            raise ValueError("values: fill in the command of a program: name one with `program:`, or leave them out")
        return self

    @model_validator(mode="after")
    def _by_arch(self) -> "Recipe":
        for arch, change in self.by_arch.items():
            if self.program is None and zoo.canonical(arch) not in plugins.names("arch") and not zoo.is_zoo(arch):
                raise ValueError(f"by_arch: unknown arch '{arch}': {suggest(arch, plugins.names('arch'))}")
            for key in ("by_arch", "program"):
                if key in change:
                    raise ValueError(f"by_arch.{arch}: {key} is not a value of one architecture: take it out")
            try:
                self.for_arch(arch)
            except RenormError as error:
                raise ValueError(str(error)) from None
        return self

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, values: list[str] | None) -> list[str] | None:
        for name in values or ():
            if name not in plugins.names("metric"):
                hint = suggest(name, plugins.names("metric"))
                raise ValueError(f"'{name}' is not measured by a plugin (@register_metric): {hint}")
        return values

    @model_validator(mode="after")
    def _norm_settings(self) -> "Recipe":
        for norm, values in self.norm_settings.items():
            if norm not in plugins.names("norm"):
                raise ValueError(f"norm_settings: unknown norm '{norm}': {suggest(norm, plugins.names('norm'))}")
            model = plugins.settings("norm", norm)
            if model is None:
                raise ValueError(f"norm_settings.{norm}: it has no settings of its own: use the keys of `norm`")
            try:
                validate_model(model, values, f"norm_settings.{norm}")
            except RenormError as error:
                raise ValueError(str(error)) from None
        return self

    def for_arch(self, arch: str) -> "Recipe":
        """The recipe with what `by_arch` says of `arch` put over it."""
        if arch not in self.by_arch:
            return self
        values = self.model_dump(exclude={"by_arch"})
        return validate_model(Recipe, deep_merge(values, self.by_arch[arch]), f"by_arch.{arch}")

    def placed(self, place: Callable[[str], str]) -> "Recipe":
        """The recipe with the file of weights that it names at `place(path)`."""
        own = {"pretrained": place(self.pretrained)} if self.pretrained else {}
        by_arch = {
            arch: change | {"pretrained": place(change["pretrained"])} if change.get("pretrained") else change
            for arch, change in self.by_arch.items()
        }
        return self.model_copy(update={**own, "by_arch": by_arch}) if own or by_arch else self

    def resolved(self, norm: str, arch: str) -> dict:
        """The hyper-parameters that a built-in cell with normaliser `norm` in `arch` depends on, and no others."""
        recipe = self.for_arch(arch)
        values = recipe.model_dump(exclude={"by_arch", "program", "values", "norm_settings", *PLACE})
        if norm in PLAIN_NORMS:
            del values["norm"]
        elif model := plugins.settings("norm", norm):
            values["norm"] = model.model_validate(self.norm_settings.get(norm, {})).own()
        return {"protocol": PROTOCOL, **values}

    def settings(self, arch: str) -> dict[str, Any]:
        """What a program's command line may hold of the recipe: value by dotted name, those of `values` among them."""
        recipe = self.for_arch(arch)
        values = recipe.model_dump(exclude={"by_arch", "program", "values", "norm_settings", *PLACE})
        return flatten(values) | recipe.values


class Experiment(Strict):
    """A block of the grid: the product of its axes."""

    title: str = ""
    dataset: list[str]
    arch: list[str]
    norm: list[str]
    recipe: list[str]
    epochs: list[Annotated[int, Field(ge=1, le=100_000, strict=True)]]
    seeds: list[Annotated[int, Field(ge=0, lt=2**31, strict=True)]]
    published_as: dict[Literal["dataset", "arch", "norm", "recipe"], Name] = {}

    def __contains__(self, cell: Cell) -> bool:
        names = all(getattr(cell, axis) in getattr(self, axis) for axis in ("dataset", "arch", "norm", "recipe"))
        return names and cell.epochs in self.epochs and cell.seed in self.seeds

    @field_validator("dataset", "arch", "norm", "recipe", "epochs", "seeds")
    @classmethod
    def _not_empty_not_twice(cls, values: list) -> list:
        if not values:
            raise ValueError("the axis is empty: name at least one value")
        twice = sorted({str(v) for v in values if values.count(v) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is there twice: name each value once")
        return values

    @model_validator(mode="after")
    def _published_as_another(self) -> Self:
        for axis, value in self.published_as.items():
            if value in getattr(self, axis):
                raise ValueError(f"published_as.{axis}: '{value}' is what the experiment runs: name what was printed")
        return self

    @field_validator("dataset", "arch", mode="before")
    @classmethod
    def _without_slash(cls, values: Any) -> Any:
        found = isinstance(values, list) and all(isinstance(value, str) for value in values)
        return [without_slash(value) for value in values] if found else values


def without_slash(name: str) -> str:
    """`torchvision/resnet50`, `folder/pets` → as in paths and tables, where a slash separates parts."""
    return name.replace("/", ".", 1) if plugins.is_folder(name) else zoo.canonical(name)


class ImageData(Strict):
    """How a data set of image files is read: from `folder`, and of its class folders `classes`, in this order."""

    folder: str | None = None
    image_size: Annotated[int, Field(ge=1, le=4096, strict=True)] = 224
    classes: Annotated[list[Annotated[str, Field(pattern=r"^[^,/]+$")]], Field(max_length=100_000)] = []


class LayerView(Strict):
    """A layer view: the input of one deconvolved layer of a cell before and after deconvolution."""

    title: str = ""
    kind: Literal["covariance", "image", "sparsity"]
    cell: str
    trained: bool = True
    layer: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 1
    images: Annotated[int, Field(ge=2, le=10_000, strict=True)] = 128
    image: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 1

    @model_validator(mode="after")
    def _places(self) -> "LayerView":
        try:
            Cell.from_path(self.cell)
        except RenormError as error:
            raise ValueError(f"cell: {error}") from None
        if self.image > self.images:
            raise ValueError(f"image: {self.image} is none of the first {self.images} images: raise `images`")
        return self

    @property
    def of(self) -> Cell:
        return Cell.from_path(self.cell)


class MarginRule(Strict):
    """The equivalence margin of the claims that `where` selects; of two sizes the smaller one.

    `points` is for shares (accuracies and the like), `absolute` for other metrics, in their printed unit; `relative` is
    a share of the claim. A rule without a size for a claim's metric is not that claim's rule.
    """

    where: dict[Literal["dataset", "arch", "norm", "recipe", "epochs", "metric"], str | int | list[str | int]] = {}
    points: Positive | None = None
    absolute: Positive | None = None
    relative: Positive | None = None

    @model_validator(mode="after")
    def _some(self) -> "MarginRule":
        if self.points is None and self.absolute is None and self.relative is None:
            raise ValueError("a margin needs points, absolute or relative: add one")
        return self


class Judge(Strict):
    """The published rules: colours by a one-sided threshold, consistency of repeats; and how equivalence is decided."""

    threshold: Positive = 0.10
    threshold_kind: Literal["relative", "absolute"] = "relative"
    consistency_threshold: Positive = 0.5
    selection: Literal["final", "best"] = "final"
    metric: Name = TOP1
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    short_epochs: Count = 20
    margins: list[MarginRule] = []


class Claims(Strict):
    """Folders of claims: those that are checked, and earlier attempts at checking them."""

    original: list[str]
    reproductions: list[str] = []
    own_cells: bool = False

    @field_validator("original", "reproductions", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("original", "reproductions")
    @classmethod
    def _not_twice(cls, folders: list[str]) -> list[str]:
        names = [Path(folder).name for folder in folders]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"'{name}' is there twice: each source needs a name of its own")
        return folders


class Budget(Strict):
    """The hours that a study may take in all, spent ones included, and the order in which its cells get them."""

    gpu_hours: Positive | None = None
    cpu_hours: Positive | None = None
    order: Literal["coverage", "cheapest", "undecided"] = "coverage"

    @model_validator(mode="after")
    def _one_limit(self) -> "Budget":
        if (self.gpu_hours is None) == (self.cpu_hours is None):
            raise ValueError("expected either gpu_hours or, for a study with gpu: 0, cpu_hours: write one of them")
        return self

    @property
    def hours(self) -> float:
        return self.gpu_hours or self.cpu_hours or 0.0


class Study(Strict):
    """Everything that a study is: what to run, what was claimed, how to judge."""

    study: Name
    title: str = ""
    description: str = ""
    plugins: list[str] = []
    datasets: dict[Name, ImageData] = {}
    results_dir: str = "results"
    data_dir: str | None = None
    download: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gpu: Annotated[int, Field(ge=0, le=64, strict=True)] = 0
    gpu_slots: Annotated[int, Field(ge=1, le=64, strict=True)] = 1
    threads: Annotated[int, Field(ge=1, le=1024, strict=True)] = 1
    checkpoint_minutes: Positive = 10.0
    budget: Budget | None = None
    mixed_records: Literal["warn", "refuse"] = "warn"
    claims: Claims | None = None
    comparisons: list[Comparison] = []
    metrics: dict[Name, AddedMetric] = {}
    judge: Judge = Judge()
    labels: Labels = Labels()
    programs: dict[Name, study_programs.Program] = {}
    recipes: dict[Name, Recipe] = {}
    experiments: dict[Name, Experiment] = {}
    layer_views: dict[Name, LayerView] = {}
    only: list[str] | None = None
    adopt: list[str] = []

    @model_validator(mode="before")
    @classmethod
    def _metrics_of_programs(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("programs"), dict):
            return values
        metrics = values.get("metrics")
        programs = {name: study_programs.with_metrics(one, metrics) for name, one in values["programs"].items()}
        return values | {"programs": programs}

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, values: Any) -> Any:
        """`extends` and `axes` of recipes resolved; an experiment that names a recipe with axes has its points."""
        recipes = values.get("recipes") if isinstance(values, dict) else None
        if not isinstance(recipes, dict):
            return values
        try:
            recipes, families = recipe_axes.expanded(_extended(recipes), Recipe)
        except ValueError as error:
            raise ValueError(f"recipes.{error}") from None
        values = values | {"recipes": recipes}
        if families and isinstance(values.get("experiments"), dict):
            points = {name: _with_points(one, families) for name, one in values["experiments"].items()}
            values |= {"experiments": points}
        return values

    @field_validator("datasets", mode="before")
    @classmethod
    def _datasets(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for name in values:
            if name != "imagenet" and not plugins.is_folder(str(name)):
                raise ValueError(f"'{name}': only data sets of image files have settings here: folder/<name>, imagenet")
        return {without_slash(str(name)): value for name, value in values.items()}

    @field_validator("only", mode="before")
    @classmethod
    def _comma_list(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            raise ValueError("a name of digits: write only='[\"2020\"]' on the command line, only: '2020' in a file")
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @field_validator("results_dir")
    @classmethod
    def _plain_path(cls, value: str) -> str:
        # The path is part of file names and shell commands of the workflow.
        if not value or not all(c.isalnum() or c in "._-/" for c in value) or ".." in Path(value).parts:
            raise ValueError("use letters, digits and . _ - / only, without '..'")
        return value.rstrip("/") or "/"

    @model_validator(mode="after")
    def _references(self) -> "Study":
        if not self.experiments and not self.claims:
            raise ValueError("experiments: is missing: name at least one, or claims, which are judged without runs")
        for name, experiment in self.experiments.items():
            for recipe in experiment.recipe:
                if recipe not in self.recipes:
                    hint = suggest(recipe, self.recipes)
                    raise ValueError(f"experiments.{name}.recipe: unknown recipe '{recipe}': {hint}")
            self._check_normalisation(name, experiment)
        self._refuse_names()
        self._check_metrics()
        self._check_measured()
        for name in self.only or ():
            if name not in self.experiments and self.only != ["all"]:
                raise ValueError(f"only: unknown experiment '{name}': {suggest(name, self.experiments)}")
        for name, view in self.layer_views.items():
            if not any(view.of in experiment for experiment in self.experiments.values()):
                raise ValueError(f"layer_views.{name}.cell: '{view.of}' is in no experiment: name a cell of the grid")
            if "deconv" not in view.of.norm:
                norm = view.of.norm
                raise ValueError(f"layer_views.{name}.cell: '{norm}' deconvolves nothing: name a cell with deconv")
        if self.gpu_slots > 1 and self.gpu != 1:
            raise ValueError(f"gpu_slots: {self.gpu_slots} cells share a GPU only with gpu: 1 (found {self.gpu}): "
                             "change one")  # fmt: skip
        if self.budget:
            given, wanted = ("gpu", "cpu") if self.budget.gpu_hours else ("cpu", "gpu")
            if (given == "gpu") != bool(self.gpu):
                raise ValueError(f"budget.{given}_hours: cells have gpu: {self.gpu}: write {wanted}_hours")
        return self

    def _check_normalisation(self, name: str, experiment: Experiment) -> None:
        for recipe in experiment.recipe:
            if self.recipes[recipe].program or all(
                self.recipes[recipe].for_arch(arch).normalise != "published" for arch in experiment.arch
            ):
                continue
            for dataset in experiment.dataset:
                if dataset not in PUBLISHED_NORMALISATION:
                    known = ", ".join(sorted(PUBLISHED_NORMALISATION))
                    raise ValueError(
                        f"experiments.{name}: recipe '{recipe}' has normalise: published, and nothing was published "
                        f"for {dataset} (known: {known}): use dataset, or mean and std"
                    )

    def _check_measured(self) -> None:
        """The metrics that recipes measure have a direction."""
        for name, recipe in self.recipes.items():
            for metric in recipe.metrics or ():
                if metric not in self.metrics:
                    raise ValueError(f"recipes.{name}.metrics: '{metric}' has no direction: declare it in `metrics:`: "
                                     f"{metric}: {{direction: higher}}")  # fmt: skip

    def _check_metrics(self) -> None:
        """The metrics that rules name are known, and their sizes are in a unit that the metric has."""
        try:
            known = self.registry
        except RenormError as error:
            raise ValueError(str(error)) from None
        if self.judge.metric not in known:
            raise ValueError(f"judge.metric: unknown '{self.judge.metric}': {suggest(self.judge.metric, known)}")
        for position, rule in enumerate(self.judge.margins):
            wanted = rule.where.get("metric", [])
            for name in wanted if isinstance(wanted, list) else [wanted]:
                where = f"judge.margins.{position}"
                if name not in known:
                    raise ValueError(f"{where}.where.metric: unknown '{name}': {suggest(str(name), known)}")
                if known[str(name)].is_share and rule.absolute is not None:
                    raise ValueError(f"{where}.absolute: '{name}' is a share: write points")
                if not known[str(name)].is_share and rule.points is not None:
                    raise ValueError(f"{where}.points: '{name}' is not a share: write absolute, in its unit")

    @property
    def registry(self) -> Metrics:
        """Every metric that the study knows: the built-in ones and its own."""
        return registry(self.metrics)

    def _refuse_names(self) -> None:
        """Every report has a folder of its own in `results_dir`, and a source's name that no claims folder has."""
        folders = [*self.claims.original, *self.claims.reproductions] if self.claims else []
        claims = {Path(folder).name for folder in folders}
        alone = list(self.experiments) == [self.study]
        for key, name in (("study", self.study), *(("experiments", name) for name in self.experiments)):
            if name == "all":
                raise ValueError(f"{key}: 'all' is what `only: all` names, every experiment: choose another")
            if name in FOLDERS or name.endswith(".partial"):
                raise ValueError(f"{key}: '{name}' is the name of a folder in results_dir: choose another")
            if name in claims:
                raise ValueError(f"{key}: '{name}' is the name of a claims folder: choose another")
            if key == "experiments" and name == self.study and not alone:
                raise ValueError(f"{key}: '{name}' is the study's own name: choose another, each has a report")

    def alone(self, name: str) -> "Study":
        """The study that consists of the experiment `name` and of the published values of its cells."""
        experiment = self.experiments[name]
        claims = self.claims and self.claims.model_copy(update={"own_cells": True})
        return self.model_copy(update={
            "study": name, "title": experiment.title or name, "only": None, "claims": claims, "budget": None,
            "description": f"One experiment of: {self.title or self.study}", "experiments": {name: experiment},
            "layer_views": {key: view for key, view in self.layer_views.items() if view.of in experiment},
            **self.of_recipes(experiment.recipe),
        })  # fmt: skip

    def of_recipes(self, names: Collection[str]) -> dict[str, Any]:
        """`recipes` and `comparisons` of the study with no more recipes than `names`."""
        recipes = {name: recipe for name, recipe in self.recipes.items() if name in names}
        kept: list[Comparison] = []
        for one in self.comparisons:
            part = self.model_copy(update={"recipes": recipes, "comparisons": [one]})
            kept += [] if list(study_comparisons.mistakes(part)) else [one]
        return {"recipes": recipes, "comparisons": kept}

    @property
    def taken(self) -> dict[str, Experiment]:
        """The experiments that `only` takes: all of them when it is not there or says `all`."""
        only = self.only or ["all"]
        return {name: e for name, e in self.experiments.items() if only == ["all"] or name in only}

    @property
    def folder(self) -> Path:
        """Where the study's tables and pages stand."""
        return Path(self.results_dir) / self.study

    def read_from(self, folder: Path) -> "Study":
        """The study with the folders that it names taken as relative to `folder`, where its file is."""
        return self._placed(lambda path: os.path.normpath(folder / path))

    def written_for(self, folder: Path) -> dict:
        """The configuration for a file in `folder`, which `load` reads as this study again."""
        return self._placed(lambda path: os.path.relpath(path, folder)).model_dump()

    def _placed(self, place: Callable[[str], str]) -> "Study":
        claims = self.claims and self.claims.model_copy(update={
            "original": [place(path) for path in self.claims.original],
            "reproductions": [place(path) for path in self.claims.reproductions],
        })  # fmt: skip
        programs = {name: program.placed(place) for name, program in self.programs.items()}
        recipes = {name: recipe.placed(place) for name, recipe in self.recipes.items()}
        return self.model_copy(update={
            "claims": claims, "adopt": [place(path) for path in self.adopt], "programs": programs, "recipes": recipes,
            "plugins": [place(path) for path in self.plugins],
            "datasets": {
                name: one.model_copy(update={"folder": place(one.folder)}) if one.folder else one
                for name, one in self.datasets.items()
            },
        })  # fmt: skip

    @property
    def claims_folders(self) -> list[str]:
        """The folders of what was published."""
        return [*self.claims.original, *self.claims.reproductions] if self.claims else []

    def data_root(self) -> Path:
        """The folder of the raw data sets: `data_dir`, else the environment's RENORM_DATA, else `data`."""
        return data_root(self.data_dir)


def data_root(configured: str | None = None) -> Path:
    """`configured`, else the environment's RENORM_DATA, else `data` in the working directory."""
    return Path(configured or os.environ.get("RENORM_DATA") or "data").expanduser()


def _extended(recipes: dict) -> dict:
    """Resolve `extends: other` between recipes: nested keys are taken over one by one."""

    def resolve(name: str, seen: tuple[str, ...]) -> dict:
        recipe = recipes[name]
        if not isinstance(recipe, dict) or "extends" not in recipe:
            return recipe
        base = recipe["extends"]
        if not isinstance(base, str) or base not in recipes:
            raise ValueError(f"'{name}' extends unknown recipe '{base}': {suggest(base, recipes)}")
        if base in (*seen, name):
            raise ValueError(f"'{name}' extends itself by way of '{base}'")
        rest = {key: value for key, value in recipe.items() if key != "extends"}
        inherited = resolve(base, (*seen, name))
        if not isinstance(inherited, dict):
            return inherited
        # A place on an axis is one recipe's own.
        return deep_merge({key: value for key, value in inherited.items() if key not in PLACE}, rest)

    return {name: resolve(name, ()) for name in recipes}


def _with_points(experiment: Any, families: dict[str, list[str]]) -> Any:
    """`experiment` with the points of a recipe's axes in the place of the recipe."""
    named = experiment.get("recipe") if isinstance(experiment, dict) else None
    if not isinstance(named, list):
        return experiment
    found = [point for name in named for point in (families.get(name, [name]) if isinstance(name, str) else [name])]
    return experiment | {"recipe": found}


def deep_merge(base: dict, change: dict) -> dict:
    """`base` with the nested keys of `change` put over it."""
    out = dict(base)
    for key, value in change.items():
        if key in parts.PARTS and isinstance(value, dict) and isinstance(out.get(key), dict) and "name" in value:
            # Another optimizer takes over what it knows of the settings of the one that it replaces.
            out[key] = parts.kept(key, out[key], str(value["name"]))
        out[key] = deep_merge(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def validate(values: Any, where: str = "config", folder: Path | None = None) -> Study:
    """The study in `values` (a parsed YAML document), or one `RenormError` line per mistake.

    `folder`: where its file is, to which the paths that it names are relative; without it no file is looked for.
    """
    if not isinstance(values, dict):
        raise RenormError(f"{where}: expected keys and values, found {type(values).__name__}")
    if folder is not None:
        use_plugins(values, folder, where)
    study = validate_model(Study, values, where)
    if folder is not None:
        study = study.read_from(folder)
    lines = list(names.mistakes(study, files=folder is not None))
    if lines:
        raise RenormError(*(f"{where}: {line}" for line in lines))
    return study


def load(path: str | Path, overrides: dict | None = None) -> Study:
    """The study in the YAML or JSON file `path`, with `overrides` put over it.

    Folders that the file names are relative to it; those of the study that is returned, to the working directory.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise RenormError(f"{path}: expected keys and values, found {type(values).__name__}")
    return validate(deep_merge(values, overrides or {}), str(path), Path(path).parent)


def use_plugins(values: dict, folder: Path, where: str = "config") -> None:
    """Make the files of `plugins:`, relative to `folder`, those of this process, before their names are validated."""
    files = values.get("plugins") or []
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise RenormError(f"{where}: plugins: expected a list of files, as in [my_nets.py]")
    plugins.use(Path(os.path.normpath(folder / file)) for file in files)


def schema() -> dict:
    """The JSON schema of a study's configuration, generated from the types above."""
    found = Study.model_json_schema()
    recipe = found["$defs"]["Recipe"]["properties"]
    # What is resolved before a recipe is one: `extends`, and axes with their values.
    value = {"type": ["string", "number", "boolean"]}
    values = {"type": "array", "items": value, "minItems": 1}
    recipe["extends"] = {"type": "string"}
    recipe["axes"] = {"anyOf": [recipe["axes"], {"type": "object", "additionalProperties": values, "minProperties": 1}]}
    recipe["zip"] = {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}, "minItems": 2}]}
    return found
