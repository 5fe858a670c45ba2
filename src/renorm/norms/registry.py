"""Names of the normalisers, and `apply`, which puts one into any network."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from renorm.core import plugins
from renorm.core.errors import RenormError, suggest
from renorm.norms.spec import LayerSettings, NormSpec, layer_settings, require_matches

Replace = Callable[[nn.Module, LayerSettings], nn.Module]
_NORMS: dict[str, Replace] = {}


def register_norm(
    function: Replace | None = None, *, settings: type | None = None, files: Sequence[str] = ()
) -> Callable:
    """Register a normaliser under its function's name.

    The function gets one layer (a batch norm, Conv2d or Linear of the network) and its settings, and returns what
    takes its place: the same layer, or another one.

    Args:
        function: what `@register_norm` is written above.
        settings: a subclass of `renorm.study.parts.Settings`, of a normaliser with settings of its own: a recipe's
            `norm_settings: {<name>: {…}}` gives them, and the function finds them as `settings.own`.
        files: paths of what the function reads, relative to its file and written out: their content is part of the
            identity of its cells (`renorm.core.code_digest` reads them from the source).
    """

    def put(function: Replace) -> Replace:
        name = function.__name__
        if name in _NORMS and plugins.is_shipped(Path(_NORMS[name].__code__.co_filename)):
            raise RenormError(f"norm '{name}' is registered twice")
        _NORMS[name] = function
        plugins.declare_settings("norm", name, function, settings)
        return function

    return put if function is None else put(function)


def list_norms() -> list[str]:
    """All names that `apply` takes, sorted."""
    plugins.load()
    return sorted(_NORMS)


def is_batch_norm(layer: nn.Module) -> TypeGuard[_BatchNorm]:
    """True for batch norm of any dimension, synchronised or not."""
    return isinstance(layer, _BatchNorm)


def apply(model: nn.Module, spec: NormSpec | str) -> nn.Module:
    """Put the normaliser of `spec` (or of that name, with default settings) into `model`; in place, returns the model.

    The network is expected in batch-norm form. Every batch norm, Conv2d and Linear is offered to the normaliser;
    subclasses of Conv2d and Linear are left alone (other code may read their weights behind our back, and a
    deconvolved layer is one). A layer used in two places is replaced once. If `model` is itself such a layer,
    the replacement is returned.

    Raises RenormError for an unknown norm or for an override that matches no layer.
    """
    spec = NormSpec(spec) if isinstance(spec, str) else spec
    if spec.name not in _NORMS:
        plugins.load()
    if spec.name not in _NORMS:
        raise RenormError(f"norm: unknown '{spec.name}': {suggest(spec.name, _NORMS)}")
    layers = [(path, layer) for path, layer in model.named_modules() if _replaceable(layer)]
    require_matches(spec, [path for path, _ in layers])
    stem, head = spec.stem or _find_stem(layers), _find_head(layers)
    substitute = _NORMS[spec.name]
    replacements = {
        layer: substitute(layer, layer_settings(spec, path, stem=path in stem, head=path == head))
        for path, layer in layers
    }
    return _put(model, replacements)


def with_defaults(spec: NormSpec | str, overrides: dict, stem: tuple[str, ...] = ()) -> NormSpec:
    """`spec` with an architecture's own `overrides` put before the user's, which win, and with its stem."""
    spec = NormSpec(spec) if isinstance(spec, str) else spec
    return replace(spec, overrides={**overrides, **spec.overrides}, stem=spec.stem or stem)


def _replaceable(layer: nn.Module) -> bool:
    return type(layer) in (nn.Conv2d, nn.Linear) or is_batch_norm(layer)


def _put(module: nn.Module, replacements: dict[nn.Module, nn.Module]) -> nn.Module:
    if module in replacements:
        replacement = replacements[module]
        replacement.train(module.training)
        return replacement
    # _modules and not named_children(), which names a module used in two places only once
    for name, child in list(module._modules.items()):
        if child is not None:
            new = _put(child, replacements)
            if new is not child:
                setattr(module, name, new)
    return module


def _find_stem(layers: list[tuple[str, nn.Module]]) -> tuple[str, ...]:
    first = next((i for i, (_, layer) in enumerate(layers) if not is_batch_norm(layer)), None)
    if first is None:
        return ()
    followed = layers[first + 1 :][:1]
    return (layers[first][0], *(path for path, layer in followed if is_batch_norm(layer)))


def _find_head(layers: list[tuple[str, nn.Module]]) -> str | None:
    return next((path for path, layer in reversed(layers) if not is_batch_norm(layer)), None)
