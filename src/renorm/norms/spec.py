"""Which normaliser, and its settings for the whole network and for single layers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, TypeGuard

from renorm.core.errors import RenormError, suggest


@dataclass(frozen=True)
class NormSpec:
    """A normaliser's name and settings; the study's config holds the same keys.

    name             a name from `list_norms()`
    block            input channels that share one covariance (deconv, channel_deconv); channels per group of the
                     whitening norms
    block_fc         the same for fully connected layers, in features
    iterations       Newton-Schulz steps; part of the method: fewer or more steps are another method
    sampling_stride  pixels between two patches that enter the statistics, times the convolution's own stride
    eps              added to the covariance's diagonal (or to the variance), in squared units of the input
    momentum         weight of the newest batch in the running statistics
    overrides        layer path pattern (shell style, as in `named_modules`) -> settings of these layers; later patterns
                     win. Besides the keys above (all but `name`) a layer takes `freeze` (use the running statistics
                     after 100 training steps) and `only` (names of the norms to which the entry applies)
    stem             paths of the layers that `deconv_stem` treats as the stem; empty: the first convolution and the
                     batch norm right behind it
    own              settings that the normaliser declares itself (`register_norm(settings=...)`)
    """

    name: str
    block: int = 64
    block_fc: int = 512
    iterations: int = 5
    sampling_stride: int = 3
    eps: float = 1e-5
    momentum: float = 0.1
    overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    stem: tuple[str, ...] = ()
    own: Any = None

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise RenormError(f"norm: name = {self.name!r}: give a name from list_norms()")
        _check("norm", {key: getattr(self, key) for key in SETTINGS})
        if not isinstance(self.overrides, Mapping):
            raise RenormError(f"norm: overrides = {self.overrides!r}: give a mapping from layer paths to settings")
        for pattern, settings in self.overrides.items():
            if not isinstance(pattern, str) or not isinstance(settings, Mapping):
                raise RenormError(f"overrides: {pattern!r}: {settings!r}: give a layer path and its settings")
            _check(f"overrides '{pattern}'", settings)


SETTINGS = ("block", "block_fc", "iterations", "sampling_stride", "eps", "momentum")
LAYER_KEYS = (*SETTINGS, "freeze", "only")


@dataclass(frozen=True)
class LayerSettings:
    """What `NormSpec` says about one layer; see there.

    `stem`, `head`: it is part of the stem, is the classifier. Not for configurations but for the norms of variants.py:
    `every`: steps (a divisor of 1000) for which a D is used, `detached`: no gradient through the statistics,
    `bfloat16`: precision of the samples.
    """

    path: str
    block: int
    block_fc: int
    iterations: int
    sampling_stride: int
    eps: float
    momentum: float
    freeze: bool = False
    stem: bool = False
    head: bool = False
    every: int = 1
    detached: bool = False
    bfloat16: bool = False
    own: Any = None


def layer_settings(spec: NormSpec, path: str, **place: bool) -> LayerSettings:
    """The settings of the layer at `path`: the network's own, then every matching override in order."""
    values = {key: getattr(spec, key) for key in SETTINGS}
    for pattern, settings in spec.overrides.items():
        if fnmatchcase(path, pattern) and spec.name in _only(settings, spec.name):
            values |= {key: value for key, value in settings.items() if key != "only"}
    return LayerSettings(path=path, **values, **place, own=spec.own)


def _only(settings: Mapping[str, Any], name: str) -> Sequence[str]:
    """The norms to which the settings apply: those that they name, or `name`."""
    return settings.get("only", (name,))


def require_matches(spec: NormSpec, paths: list[str]) -> None:
    """Raise RenormError for an override that matches no layer: a misspelt path must not pass in silence."""
    for pattern in spec.overrides:
        if not any(fnmatchcase(path, pattern) for path in paths):
            raise RenormError(f"overrides: no layer matches '{pattern}': {suggest(pattern, paths)}")


def _check(where: str, settings: Mapping[str, object]) -> None:
    for key, value in settings.items():
        if key not in LAYER_KEYS:
            raise RenormError(f"{where}: unknown setting '{key}': {suggest(key, LAYER_KEYS)}")
        valid, wanted = VALID[key]
        if not valid(value):
            raise RenormError(f"{where}: {key} = {value!r} is not {wanted}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


# setting -> whether a value is one, and what it must be
VALID: dict[str, tuple[Callable[[object], bool], str]] = {
    **dict.fromkeys(("block", "block_fc", "iterations", "sampling_stride"), (_whole, "a whole number from 1")),
    "eps": (lambda value: _number(value) and 0 < value < float("inf"), "a number above 0"),
    "momentum": (lambda value: _number(value) and 0 <= value <= 1, "a number within 0 and 1"),
    "freeze": (lambda value: isinstance(value, bool), "true or false"),
    "only": (_names, "a list of norms"),
}

assert {f.name for f in fields(LayerSettings)} >= set(SETTINGS)
