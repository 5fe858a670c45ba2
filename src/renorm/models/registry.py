"""Names of the architectures, what is known of each, and `create`, the trainer's one entry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from renorm import norms
from renorm.core import plugins, zoo
from renorm.core.errors import RenormError, suggest
from renorm.norms import NormSpec


@dataclass(frozen=True)
class ArchDescription:
    """An architecture as data.

    name             as on the command line
    title            as in a paper's table
    source           the paper that introduced it
    min_size         smallest image (pixels, square) that the network takes
    size             image size that it was made for
    deconv_overrides layer path pattern -> settings of these layers in a deconvolved network, see `NormSpec.overrides`
    stem             paths of the layers that `deconv_stem` deconvolves besides the classifier
    """

    name: str
    title: str
    source: str = ""
    min_size: int = 1
    size: int = 32
    deconv_overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    stem: tuple[str, ...] = ()


Builder = Callable[[int, int, int], nn.Module]
_ARCHS: dict[str, tuple[Builder, ArchDescription]] = {}


def register_arch(title: str, *, files: Sequence[str] = (), **description) -> Callable[[Builder], Builder]:
    """Register a builder (num_classes, image_size, in_channels) -> network in batch-norm form, under its own name.

    Args:
        title: as in a paper's table.
        files: paths of what the builder reads (weights, a module of one's own), relative to its file and written out:
            their content is part of the identity of its cells (`renorm.core.code_digest` reads them from the source).
        description: the other fields of `ArchDescription`.
    """
    if not isinstance(title, str):
        raise RenormError(f"architecture '{title.__name__}' has no title: write @register_arch(\"Title\") above it")

    def register(builder: Builder) -> Builder:
        name = builder.__name__
        if name in _ARCHS and plugins.is_shipped(Path(_ARCHS[name][0].__code__.co_filename)):
            raise RenormError(f"architecture '{name}' is registered twice")
        _ARCHS[name] = builder, ArchDescription(name=name, title=title, **description)
        return builder

    return register


def list_archs() -> list[str]:
    """All names that `build` takes, sorted."""
    plugins.load()
    return sorted(_ARCHS)


def describe(name: str) -> ArchDescription:
    """What is known of the architecture; RenormError for an unknown name."""
    return _find(name)[1]


def build(name: str, num_classes: int, image_size: int = 32, in_channels: int = 3) -> nn.Module:
    """The network in batch-norm form: (N, in_channels, image_size, image_size) -> logits (N, num_classes).

    RenormError for an unknown name or an image that is too small.
    """
    builder, description = _find(name)
    if image_size < description.min_size:
        raise RenormError(f"{name}: images of {image_size} pixels are too small, {description.min_size} at least")
    return builder(num_classes, image_size, in_channels)


def create(
    arch: str, norm_spec: NormSpec | str, num_classes: int, image_size: int = 32, in_channels: int = 3,
    prepare: Callable[[nn.Module], None] | None = None,
) -> nn.Module:  # fmt: skip
    """Build the architecture, add its own per-layer settings to the spec (the spec's win), put in the normaliser.

    With one seed all normalisers start from the same convolution and linear weights. `prepare` gets the network before
    the normaliser is put in, to load weights.
    """
    model = build(arch, num_classes, image_size, in_channels)
    if prepare:
        prepare(model)
    description = describe(arch)
    return norms.apply(model, norms.with_defaults(norm_spec, dict(description.deconv_overrides), description.stem))


def _find(name: str) -> tuple[Builder, ArchDescription]:
    if zoo.is_zoo(name):
        if problem := zoo.problem(name):
            raise RenormError(f"arch: {problem}")
        return _from_zoo(zoo.canonical(name)), ArchDescription(name=name, title=name, size=224)
    if name not in _ARCHS:
        plugins.load()
    if name not in _ARCHS:
        raise RenormError(f"arch: unknown '{name}': {suggest(name, _ARCHS)}")
    return _ARCHS[name]


def _from_zoo(name: str) -> Builder:
    """The builder of a network of torchvision or timm; other input channels than 3 get a first convolution anew."""
    package, _, network = name.partition(".")

    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        # Imported where it is used: with it comes torch's compiler, and both take longer than torch itself.
        if package == "timm":
            import timm

            return timm.create_model(network, num_classes=num_classes, in_chans=in_channels)
        from torchvision.models import get_model

        model = get_model(network, num_classes=num_classes)
        path, conv = next((path, m) for path, m in model.named_modules() if isinstance(m, nn.Conv2d))
        if conv.in_channels != in_channels:
            model.set_submodule(path, first_convolution(conv, in_channels))
        return model

    return build


def first_convolution(conv: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """A convolution like `conv` for images with another number of channels, with initial weights."""
    options: dict[str, Any] = {name: getattr(conv, name) for name in ("kernel_size", "stride", "padding")}
    return nn.Conv2d(in_channels, conv.out_channels, bias=conv.bias is not None, **options)
