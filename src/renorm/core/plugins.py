"""The names that a configuration may use, read from the source without importing torch.

Importing torch takes seconds; a dry run over thousands of cells must not pay them. A name is that of any function or
class under a `@register_arch`, `@register_norm` or `@register_dataset` decorator, so a dropped-in file is known by
existing. A test compares these names with the registries themselves.
"""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from renorm.core.errors import RenormError

PLUGIN_PACKAGES = {
    "arch": ("models", "register_arch"),
    "norm": ("norms", "register_norm"),
    "dataset": ("data", "register_dataset"),
}
FOLDERS = tuple(package for package, _ in PLUGIN_PACKAGES.values())
SOURCE = Path(__file__).parents[1]

# The modules that are part of renorm; a test compares them with the repository. Every other one was dropped in, and is
# part of the identity of the cells that use it.
SHIPPED = {
    "models": "__init__ densenet dpn imagenet layers mobilenet pnasnet preact registry resnet resnext simple vgg",
    "norms": "__init__ basic deconv deconvolution decorrelated_bn few_samples fold freeze groups iterative_norm "
             "newton_schulz patches products registry running spec spectral switchable_whitening variants whitening",
    "data": "__init__ batches digits image_files imagenet prepared registry streamed torchvision_sets",
}  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """Where a name is defined, and the files that its code reads: `files=(…)` of the decorator, relative to `path`."""

    path: Path
    files: tuple[str, ...]


@cache
def definitions(axis: str) -> dict[str, Definition]:
    """Every registered name of `axis` ('arch', 'norm' or 'dataset')."""
    package, decorator = PLUGIN_PACKAGES[axis]
    found: dict[str, Definition] = {}
    for file in sorted((SOURCE / package).glob("*.py")):
        source = file.read_text(encoding="utf-8")
        if decorator in source:
            for node, mark in _registered(ast.parse(source), decorator):
                found[node.name] = Definition(file, _declared(mark, file))
    return found


@cache
def names(axis: str) -> tuple[str, ...]:
    """The registered names of `axis` ('arch', 'norm' or 'dataset'), sorted."""
    return tuple(sorted(definitions(axis)))


@cache
def is_shipped(path: Path) -> bool:
    """Whether the module at `path` is part of renorm."""
    return path.stem in SHIPPED.get(path.parent.name, "").split() and path.parent.parent == SOURCE


def import_plugins(axis: str) -> None:
    """Import every file of the package of `axis`, so that all that is defined there registers itself."""
    package, _ = PLUGIN_PACKAGES[axis]
    for module in pkgutil.iter_modules([str(SOURCE / package)]):
        importlib.import_module(f"renorm.{package}.{module.name}")


def _registered(tree: ast.Module, decorator: str) -> Iterator[tuple[ast.FunctionDef | ast.ClassDef, ast.expr]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for mark in node.decorator_list:
            call = mark.func if isinstance(mark, ast.Call) else mark
            if getattr(call, "id", getattr(call, "attr", None)) == decorator:
                yield node, mark


def _declared(mark: ast.expr, path: Path) -> tuple[str, ...]:
    """The paths in `files=` of a decorator, which must be written out to be read without running the file."""
    given = [word.value for word in getattr(mark, "keywords", ()) if word.arg == "files"]
    try:
        values = ast.literal_eval(given[0]) if given else ()
    except ValueError:
        values = None
    if not isinstance(values, tuple | list) or not all(isinstance(value, str) for value in values):
        raise RenormError(f'{path}:{mark.lineno}: files: write the paths out, as in files=("weights.pt",)')
    return tuple(values)
