"""The networks of torchvision and timm by name, read from their source without importing them.

An architecture `torchvision/resnet50` is `torchvision.resnet50` in paths and tables, where a slash separates parts.
"""

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from renorm.core.errors import suggest

# Package → the folder of its networks, below the package's own.
ZOOS = {"torchvision": "models", "timm": "models"}
REGISTERED = re.compile(r"^@register_model(?:\(\))?\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class Definition:
    """Where a name is defined.

    Attributes:
        path: The file.
        line: Of the function or class.
        files: What its code reads: `files=(…)` of the decorator, relative to `path`.
        summary: The first line of its docstring, or the title of an architecture.
        has_settings: Whether the decorator names `settings=`.
    """

    path: Path
    line: int = 1
    files: tuple[str, ...] = ()
    summary: str = ""
    has_settings: bool = False


def is_zoo(name: str) -> bool:
    """Whether a name is that of a network of a zoo, in either spelling."""
    return re.split(r"[./]", name)[0] in ZOOS and name not in ZOOS


def canonical(name: str) -> str:
    """`torchvision/resnet50` → `torchvision.resnet50`."""
    return name.replace("/", ".", 1) if is_zoo(name) else name


def problem(name: str) -> str:
    """Why a name is not that of a network of its zoo; empty when it is."""
    zoo, _, network = canonical(name).partition(".")
    known = networks(zoo)
    if not known:
        return f"unknown arch '{name}': {zoo} is not installed: `pip install {zoo}`"
    return "" if network in known else f"unknown arch '{name}': {zoo}: {_near(network, known)}"


def _near(network: str, known: dict[str, Path]) -> str:
    hint = suggest(network, known)
    return hint if hint.startswith("did you") else "no network is called like that: `renorm list archs` has the names"


@cache
def networks(zoo: str) -> dict[str, Path]:
    """Networks of a zoo for image classification → their files; none where it is not installed."""
    spec = importlib.util.find_spec(zoo)
    if spec is None or not spec.submodule_search_locations:
        return {}
    folder = Path(spec.submodule_search_locations[0]) / ZOOS[zoo]
    return {
        name: file
        for file in sorted(folder.glob("*.py"))
        for name in REGISTERED.findall(file.read_text(encoding="utf-8"))
    }


def definition(name: str) -> Definition | None:
    """Where a zoo defines a network; None for a name that is none of theirs."""
    zoo, _, network = name.partition(".")
    file = networks(zoo).get(network) if zoo in ZOOS else None
    return Definition(file, summary=f"{zoo} {importlib.metadata.version(zoo)}") if file else None
