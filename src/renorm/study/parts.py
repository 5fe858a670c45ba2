"""The parts of a recipe that are chosen by name and have settings of their own: optimizer, schedule, augment, loss.

A class here is one built-in name with its settings; `renorm.training` has the function behind it, and a test compares
both. Plugins add names with `@register_optimizer(settings=...)` and its like (`renorm.core.plugins`).
"""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
    model_serializer,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from renorm.core import plugins
from renorm.core.errors import suggest
from renorm.study.fields import Count, NotNegative, Positive, Strict

Share = Annotated[float, Field(ge=0, lt=1)]
# Zero and false mean that there is none: one form for one meaning, since the form is part of a cell's identity.
OFF = AfterValidator(lambda value: value or None)


class Settings(Strict):
    """The settings of one name; a plugin's settings are a subclass. A setting that is None is left out."""

    name: str = ""

    @model_serializer(mode="plain")
    def _canonical(self) -> Any:
        return {"name": self.name, **self.own()} if self.own() else self.name

    def own(self) -> dict[str, Any]:
        """The settings that are not None, without the name."""
        fields = [key for key in type(self).model_fields if key != "name"]
        return {key: value for key in fields if (value := getattr(self, key)) is not None}


class Rated(Settings):
    """What every optimizer has: the rate that the schedule changes, and weight decay."""

    lr: Positive = 0.1
    weight_decay: NotNegative = 1e-3


class SGD(Settings):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013); nesterov: true for Nesterov's form."""

    lr: Positive = 0.1
    momentum: Share = 0.9
    weight_decay: NotNegative = 1e-3
    nesterov: Annotated[bool | None, OFF] = None


class Adam(Rated):
    """Adam (Kingma and Ba 2015); weight decay is an L2 term of the gradient."""

    betas: Annotated[list[Share] | None, Field(min_length=2, max_length=2)] = None


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""


class RMSprop(Rated):
    """RMSprop (Tieleman and Hinton 2012), as torch.optim has it."""

    alpha: Share = 0.99
    momentum: Annotated[Share | None, OFF] = None


class Warm(Settings):
    """What every schedule takes: epochs in which the rate rises linearly to its value (Goyal et al. 2017)."""

    warmup_epochs: Annotated[NotNegative | None, OFF] = None


class Cosine(Warm):
    """Cosine annealing to 0 over all steps of the cell (Loshchilov and Hutter 2017)."""


class Constant(Warm):
    """The same rate in every step."""


class Linear(Warm):
    """A straight line to 0 over all steps of the cell."""


class Step(Warm):
    """The rate times `factor` every `every` epochs."""

    every: Count = 30
    factor: Positive = 0.1


class Multistep(Warm):
    """The rate times `factor` after each of the epochs `milestones` (He et al. 2016)."""

    milestones: Annotated[list[Count], Field(min_length=1)]
    factor: Positive = 0.1


class OneCycle(Settings):
    """Cosine rise to the rate over the first `rise` of the steps, then to nearly 0 (Smith and Topin 2019)."""

    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    start_divisor: Positive = 25.0
    end_divisor: Positive = 1e4


class CropFlip(Settings):
    """Random crop after zero padding by 4 and horizontal flip; of image files, a random resized crop."""


class Crop(Settings):
    """Random crop after zero padding by 4; of image files, a random resized crop."""


class NoAugmentation(Settings):
    """The images as they are; of image files, the centre."""


class Cutout(Settings):
    """A square of `size` pixels around a random point is set to 0 (DeVries and Taylor 2017)."""

    size: Count = 16


class RandomErasing(Settings):
    """With `probability`, a random rectangle is set to 0 (Zhong et al. 2020)."""

    probability: Annotated[float, Field(gt=0, le=1)] = 0.5
    area: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [0.02, 0.33]
    aspect: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [0.3, 3.3]


class Mixup(Settings):
    """Pairs of images and of labels mixed with a weight of Beta(alpha, alpha) a batch (Zhang et al. 2018)."""

    alpha: Positive = 0.2


class CrossEntropy(Settings):
    """Cross-entropy, with label smoothing where `label_smoothing` is given (Szegedy et al. 2016)."""

    label_smoothing: Annotated[Share | None, OFF] = None


class MSE(Settings):
    """Squared error to the one-hot target, times classes / 2."""


# What the network sees of an image, one of them; other augmentations change whole batches and are added to it.
GEOMETRIES = ("crop_flip", "crop", "none")
PARTS: dict[str, dict[str, type[Settings]]] = {
    "optimizer": {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop},
    "schedule": {
        "cosine": Cosine, "constant": Constant, "linear": Linear, "step": Step, "multistep": Multistep,
        "one_cycle": OneCycle,
    },
    "augment": {
        "crop_flip": CropFlip, "crop": Crop, "none": NoAugmentation, "cutout": Cutout,
        "random_erasing": RandomErasing, "mixup": Mixup,
    },
    "loss": {"cross_entropy": CrossEntropy, "mse": MSE},
}  # fmt: skip
DEFAULT_NAMES = {"optimizer": "sgd", "schedule": "cosine", "augment": "crop_flip", "loss": "cross_entropy"}


def names(kind: str) -> list[str]:
    """All names of a kind (`optimizer`, `schedule`, `augment`, `loss`), those of plugins among them, sorted."""
    return sorted({*PARTS[kind], *plugins.names(kind)})


def settings_of(kind: str, name: str) -> type[Settings]:
    """The settings that a name takes; ValueError for an unknown name."""
    if name in PARTS[kind]:
        return PARTS[kind][name]
    if name not in plugins.names(kind):
        raise ValueError(f"unknown {kind} '{name}': {suggest(name, names(kind))}")
    return plugins.settings(kind, name) or (Rated if kind == "optimizer" else Settings)


def parse(kind: str, value: Any) -> Settings:
    """A name, or a mapping with `name` and settings, as the settings of that name.

    Raises:
        ValueError: The name is unknown.
        pydantic.ValidationError: A setting is unknown or wrong.
    """
    if isinstance(value, Settings):
        return value
    values = {"name": value} if isinstance(value, str) and kind != "optimizer" else value
    if not isinstance(values, dict):
        raise ValueError(f"expected {'keys and values (name, lr, momentum, …)' if kind == 'optimizer' else 'a name'}")
    name = values.get("name", DEFAULT_NAMES[kind] if kind == "optimizer" else None)
    if not isinstance(name, str):
        raise ValueError(f"name: is missing: add it (known: {', '.join(names(kind))})")
    model = settings_of(kind, name)
    unknown = [key for key in values if key not in model.model_fields]
    if unknown:
        raise ValidationError.from_exception_data(
            kind,
            [
                InitErrorDetails(
                    type=PydanticCustomError(
                        "unknown_key", "unknown key: {hint}", {"hint": suggest(key, model.model_fields)}
                    ),
                    loc=(str(key),), input=values[key],
                )
                for key in unknown
            ],
        )  # fmt: skip
    return model.model_validate({**values, "name": name})


def _parser(kind: str) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(kind, value))


def _parse_augment(value: Any) -> Any:
    """One geometry and any number of batch augmentations, in their order; the geometry alone is a name."""
    if not isinstance(value, list):
        value = [value]
    found = [parse("augment", one) for one in value]
    twice = sorted({one.name for one in found if [other.name for other in found].count(one.name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is there twice: name each once")
    chosen = [one for one in found if one.name in GEOMETRIES]
    if len(chosen) > 1:
        raise ValueError(f"{' and '.join(one.name for one in chosen)} exclude each other: name one of them")
    ordered = [*(chosen or [NoAugmentation(name="none")]), *(one for one in found if one.name not in GEOMETRIES)]
    return ordered if len(ordered) > 1 else ordered[0]


def _schema(kind: str, many: bool = False) -> WithJsonSchema:
    named = {"type": "object", "properties": {"name": {"type": "string"}}}
    one: list[dict] = [named] if kind == "optimizer" else [{"type": "string"}, named | {"required": ["name"]}]
    several = [{"type": "array", "items": {"anyOf": one}, "minItems": 1}] if many else []
    return WithJsonSchema({"anyOf": [*one, *several], "description": f"built in: {', '.join(PARTS[kind])}"})


Optimizer = Annotated[SerializeAsAny[Settings], _parser("optimizer"), _schema("optimizer")]
Schedule = Annotated[SerializeAsAny[Settings], _parser("schedule"), _schema("schedule")]
Loss = Annotated[SerializeAsAny[Settings], _parser("loss"), _schema("loss")]
Augment = Annotated[
    SerializeAsAny[Settings] | list[SerializeAsAny[Settings]], BeforeValidator(_parse_augment), _schema("augment", True)
]


def kept(kind: str, base: dict, name: str) -> dict:
    """What of `base`, the settings of another name, `name` takes as well."""
    try:
        fields = settings_of(kind, name).model_fields
    except ValueError:  # an unknown name is reported where the whole is validated
        return base
    return {key: value for key, value in base.items() if key in fields}


def plugin_code(hyper: dict, **cell: str) -> dict[str, str | list[str]]:
    """What `code_digest.dropped_in` takes for a cell: its names, plugins' names in its recipe, its file of weights."""
    found: dict[str, str | list[str]] = dict(cell)
    for kind in PARTS:
        given = hyper.get(kind)
        chosen = [
            one["name"] if isinstance(one, dict) else one for one in (given if isinstance(given, list) else [given])
        ]
        if own := [name for name in chosen if name and name not in PARTS[kind]]:
            found[kind] = own
    if hyper.get("metrics"):
        found["metric"] = hyper["metrics"]
    if hyper.get("pretrained"):
        found["pretrained"] = hyper["pretrained"]
    return found
