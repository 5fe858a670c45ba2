"""The names that may stand in a configuration, read from the source without importing torch.

Importing torch takes seconds; a dry run over thousands of cells must not pay them. A name is whatever stands under a
`@register_arch`, `@register_norm` or `@register_dataset` decorator, so a dropped-in file is known by existing. A test
holds these names against the registries themselves.
"""

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path

PLUGIN_PACKAGES = {
    "arch": ("models", "register_arch"),
    "norm": ("norms", "register_norm"),
    "dataset": ("data", "register_dataset"),
}


@cache
def names(axis: str) -> tuple[str, ...]:
    """The registered names of `axis` ('arch', 'norm' or 'dataset'), sorted."""
    room, decorator = PLUGIN_PACKAGES[axis]
    found: set[str] = set()
    for file in sorted((Path(__file__).parents[1] / room).glob("*.py")):
        source = file.read_text(encoding="utf-8")
        if decorator in source:
            found.update(_registered(ast.parse(source), decorator))
    return tuple(sorted(found))


def import_plugins(axis: str) -> None:
    """Import every file of the room of `axis`, so that what stands there registers itself."""
    room, _ = PLUGIN_PACKAGES[axis]
    for module in pkgutil.iter_modules([str(Path(__file__).parents[1] / room)]):
        importlib.import_module(f"renorm.{room}.{module.name}")


def _registered(tree: ast.Module, decorator: str):
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for mark in node.decorator_list:
            call = mark.func if isinstance(mark, ast.Call) else mark
            if getattr(call, "id", getattr(call, "attr", None)) == decorator:
                yield node.name
