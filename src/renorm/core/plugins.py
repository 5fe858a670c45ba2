"""The names that a configuration may use, read from the source without importing torch.

Importing torch takes seconds; a dry run over thousands of cells must not pay them. A name is that of any function or
class under a decorator of `DECORATORS`. renorm's own files are in its packages; a study's are the files of its
`plugins:`, and those that installed packages name under the entry point `renorm.plugins`. A test compares these names
with the registries themselves.
"""

import ast
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from renorm.core import zoo
from renorm.core.errors import RenormError
from renorm.core.zoo import Definition

PLUGIN_PACKAGES = {
    "arch": ("models", "register_arch"),
    "norm": ("norms", "register_norm"),
    "dataset": ("data", "register_dataset"),
}
# Names of these kinds are built in elsewhere (`renorm.study.parts`), and plugins add to them.
PARTS = {
    "optimizer": "register_optimizer",
    "schedule": "register_schedule",
    "augment": "register_augmentation",
    "loss": "register_loss",
    "metric": "register_metric",
}
DECORATORS = {kind: decorator for kind, (_, decorator) in PLUGIN_PACKAGES.items()} | PARTS
FOLDERS = tuple(package for package, _ in PLUGIN_PACKAGES.values())
SOURCE = Path(__file__).parents[1]
ENTRY_POINTS = "renorm.plugins"
FOLDER = "folder."

# The modules that are part of renorm; a test compares them with the repository. Every other one was dropped in, and is
# part of the identity of the cells that use it.
SHIPPED = {
    "models": "__init__ densenet dpn imagenet layers mobilenet pnasnet preact registry resnet resnext simple vgg",
    "norms": "__init__ basic deconv deconvolution decorrelated_bn few_samples fold freeze groups iterative_norm "
             "kernels newton_schulz patches products registry running spec spectral switchable_whitening "
             "triton_iteration variants whitening",
    "data": "__init__ batches digits image_files imagenet prepared registry streamed torchvision_sets",
}  # fmt: skip


@dataclass
class _Active:
    """The plugin files of the study that this process works on."""

    files: tuple[Path, ...] = ()


_ACTIVE = _Active()
_REGISTERED: dict[str, dict[str, tuple[Callable[..., Any], type | None]]] = {kind: {} for kind in DECORATORS}
_IMPORTED: set[Path] = set()


def use(files: Iterable[str | Path]) -> None:
    """Make `files` the plugins of this process, in place of those that were.

    Raises:
        RenormError: A file is missing or not Python, or a name is there twice.
    """
    found = tuple(dict.fromkeys(Path(file).absolute() for file in files))
    for file in found:
        if not file.is_file():
            raise RenormError(
                f"plugins: {file}: no such file: correct its path, which is relative to the configuration"
            )
    _ACTIVE.files = found
    for kind in DECORATORS:
        definitions(kind)


def active() -> tuple[Path, ...]:
    """The plugin files of the study and those of installed packages."""
    return tuple(dict.fromkeys([*_ACTIVE.files, *_installed()]))


@cache
def _installed() -> tuple[Path, ...]:
    """The files of the modules that installed packages name under `renorm.plugins`."""
    found = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            spec = importlib.util.find_spec(point.module)
        except Exception as error:  # a parent package that cannot be imported
            raise RenormError(
                f"plugins: entry point {point.name} = {point.value}: {error}: repair or uninstall it"
            ) from None
        if spec is None or not spec.origin:
            raise RenormError(f"plugins: entry point {point.name} = {point.value}: no such module: uninstall it")
        found.append(Path(spec.origin))
    return tuple(found)


def definitions(kind: str) -> dict[str, Definition]:
    """Every registered name of `kind` (a key of `DECORATORS`): renorm's own, and those of plugins."""
    found = dict(_shipped(kind))
    for file in active():
        for name, definition in _of_file(file, file.stat().st_mtime_ns, kind).items():
            if name in found:
                where = found[name].path if found[name].path != file else "this file"
                raise RenormError(
                    f"{file}:{definition.line}: {kind} '{name}' is in {where} already: choose another name"
                )
            found[name] = definition
    return found


@cache
def _shipped(kind: str) -> dict[str, Definition]:
    if kind not in PLUGIN_PACKAGES:
        return {}
    found: dict[str, Definition] = {}
    package, _ = PLUGIN_PACKAGES[kind]
    for file in sorted((SOURCE / package).glob("*.py")):
        found |= _of_file(file, 0, kind)
    return found


@lru_cache(maxsize=1024)
def _of_file(file: Path, _changed: int, kind: str) -> dict[str, Definition]:
    """The names of a kind that one file defines."""
    source, decorator = file.read_text(encoding="utf-8"), DECORATORS[kind]
    if decorator not in source:
        return {}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise RenormError(f"{file}:{line}: not readable as Python: {getattr(error, 'msg', error)}") from None
    found: dict[str, Definition] = {}
    for node, mark in _registered(tree, decorator):
        keywords = {word.arg for word in getattr(mark, "keywords", ())}
        found[node.name] = Definition(
            file, node.lineno, _declared(mark, file), _summary(node, mark), "settings" in keywords
        )
    return found


def find(kind: str, name: str) -> Definition | None:
    """Where a name is defined: here, for an architecture `torchvision.…` or `timm.…` in that package."""
    if kind == "dataset" and is_folder(name):
        return Definition(SOURCE / "data" / "image_files.py")
    return definitions(kind).get(name) or (zoo.definition(name) if kind == "arch" else None)


def is_folder(dataset: str) -> bool:
    """Whether a data set is a folder of images of the user's own, `folder/<name>` (in paths `folder.<name>`)."""
    return dataset.startswith((FOLDER, FOLDER.replace(".", "/"))) and len(dataset) > len(FOLDER)


def names(kind: str) -> tuple[str, ...]:
    """The registered names of `kind`, sorted."""
    return tuple(sorted(definitions(kind)))


@cache
def is_shipped(path: Path) -> bool:
    """Whether the module at `path` is part of renorm."""
    return path.stem in SHIPPED.get(path.parent.name, "").split() and path.parent.parent == SOURCE


def import_plugins(axis: str) -> None:
    """Import every file of the package of `axis`, so that all that is defined there registers itself."""
    package, _ = PLUGIN_PACKAGES[axis]
    for module in pkgutil.iter_modules([str(SOURCE / package)]):
        importlib.import_module(f"renorm.{package}.{module.name}")


def load() -> None:
    """Run the plugin files, so that all that they define registers itself; each once a process.

    Raises:
        RenormError: One of them raised an exception; the message has its file and line.
    """
    for file in active():
        if file not in _IMPORTED:
            _IMPORTED.add(file)
            _run(file)


def _run(file: Path) -> None:
    folder = str(file.parent)
    if folder not in sys.path:  # for the modules beside it
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(f"renorm_plugin_{file.stem}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except RenormError:
        raise
    except Exception as error:
        raise failure(file, error) from None


def failure(file: Path, error: BaseException) -> RenormError:
    """What a plugin raised, as one line with the place in its file."""
    places = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else places[-1] if places else 1
    return RenormError(f"{file}:{line}: {type(error).__name__}: {' '.join(str(error).split())}: correct the plugin")


def blamed(error: BaseException) -> RenormError | None:
    """What a plugin raised while it was used, as one line with its file and line; None where it was none of them."""
    places = {Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)}
    return next((failure(file, error) for file in active() if file in places), None)


def registrar(kind: str) -> Callable[..., Any]:
    """The decorator of a kind, for its registry to publish under its name."""

    def register(
        function: Callable[..., Any] | None = None, *, settings: type | None = None, files: Iterable[str] = ()
    ) -> Callable[..., Any]:
        def put(function: Callable[..., Any]) -> Callable[..., Any]:
            _REGISTERED[kind][function.__name__] = function, settings
            return function

        return put if function is None else put(function)

    register.__name__ = DECORATORS[kind]
    return register


def registered(kind: str, name: str) -> Callable[..., Any]:
    """The function behind a name that a plugin registered."""
    load()
    return _REGISTERED[kind][name][0]


def declare_settings(kind: str, name: str, function: Callable[..., Any], settings: type | None) -> None:
    """Note the settings of a name whose function another registry has."""
    _REGISTERED[kind][name] = function, settings


def settings(kind: str, name: str) -> Any:
    """The settings that a plugin's name declares (a pydantic model); None where it has none.

    Only then the plugin is run, with all that it imports.
    """
    definition = definitions(kind).get(name)
    if definition is None or not definition.has_settings:
        return None
    load()
    return _REGISTERED[kind][name][1]


def _registered(tree: ast.Module, decorator: str) -> Iterator[tuple[ast.FunctionDef | ast.ClassDef, ast.expr]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for mark in node.decorator_list:
            call = mark.func if isinstance(mark, ast.Call) else mark
            if getattr(call, "id", getattr(call, "attr", None)) == decorator:
                yield node, mark


def _summary(node: ast.FunctionDef | ast.ClassDef, mark: ast.expr) -> str:
    """The first line of the docstring; of an architecture its title and source, as the decorator has them."""
    title = [arg.value for arg in getattr(mark, "args", ()) if isinstance(arg, ast.Constant)]
    source = [
        word.value.value
        for word in getattr(mark, "keywords", ())
        if word.arg == "source" and isinstance(word.value, ast.Constant)
    ]
    text = "; ".join(str(part) for part in [*title, *source]) or (ast.get_docstring(node) or "")
    return text.strip().splitlines()[0] if text.strip() else ""


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
