"""Digests of code by meaning: comments, docstrings and formatting aside, and the same on Python 3.11 to 3.13.

A cell's numbers depend on the code of its architecture, normaliser and data set. What this package ships of that is
covered by the protocol number, and its digest is recorded, so that a refactoring does not train a study again. A file
that somebody dropped in has no protocol number: another digest makes its cells other cells. Nothing here imports
torch, and every file is read once while its time stamp and size stay.
"""

import ast
import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from renorm.core import plugins
from renorm.core.errors import RenormError, suggest

SOURCE = Path(__file__).parents[1]
LENGTH = 16
# The axis of a file of weights, whose name is its path.
PRETRAINED = "pretrained"
# Of a syntax tree, what says nothing of the program's meaning, or differs between versions of Python.
IGNORED = {"type_comment", "kind", "ctx", "type_ignores", "lineno", "col_offset", "end_lineno", "end_col_offset"}


def dropped_in(**names: str | Sequence[str]) -> dict[str, str]:
    """Axis → digest of the files of that name that are not part of renorm; an axis whose code is renorm's is absent.

    Args:
        names: axis (`dataset`, `arch`, `norm`, or a kind of a recipe's parts) → registered name, or several.

    Raises:
        RenormError: a declared file is missing, or a source file cannot be parsed.
    """
    found = {
        axis: [file for name in ([given] if isinstance(given, str) else given) for file in dropped_in_files(axis, name)]
        for axis, given in names.items()
    }
    return {axis: _joined(map(of_path, files)) for axis, files in found.items() if files}


def dropped_in_files(axis: str, name: str) -> list[Path]:
    """The files and folders of a name that are not part of renorm: its modules, and what they declare."""
    if axis == PRETRAINED:
        return [Path(name)]
    definition = _definition(axis, name)
    if plugins.is_shipped(definition.path):
        return [definition.path.parent / file for file in definition.files]
    own = own_modules(definition.path)
    return own + [definition.path.parent / file for file in definition.files]


def own_modules(path: Path) -> list[Path]:
    """The file at `path` and the modules that it imports, as far as they are not part of renorm."""
    return [file for file in _with_imports(path) if not plugins.is_shipped(file)]


def built_in(**names: str) -> str:
    """The digest of renorm's own code that makes the numbers of a cell: of its names, and of the trainer."""
    found = {path for axis, name in names.items() for path in _with_imports(_definition(axis, name).path)}
    return _joined([*(of_file(path) for path in sorted(found) if plugins.is_shipped(path)), of_training()])


def of_training() -> str:
    """The digest of the package `renorm.training`."""
    return _joined(of_file(path) for path in sorted((SOURCE / "training").glob("*.py")))


def of_files(paths: Iterable[str | Path], folder: str | Path = ".") -> dict[str, str]:
    """Declared path → digest; `folder` is where relative paths begin. Python by meaning, all else by its bytes.

    A program may be of another version of Python: a file that this one cannot parse counts by its bytes, too.

    Raises:
        RenormError: A path is not there.
    """
    return {str(path): of_path(Path(folder, path), any_python=True) for path in paths}


def of_path(path: Path, any_python: bool = False) -> str:
    """The digest of a file, or of all files of a folder with their names; `any_python` as in `of_file`."""
    if not path.is_dir():
        return of_file(path, any_python)
    found = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return _joined(part for file in found for part in (file.relative_to(path).as_posix(), of_file(file, any_python)))


def of_file(path: Path, any_python: bool = False) -> str:
    """The digest of one file; of a Python file that of its meaning, or with `any_python` of its bytes if need be."""
    try:
        facts = path.stat()
        return _of_file(path, facts.st_mtime_ns, facts.st_size, any_python)
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}: restore the file or correct its path") from None


@lru_cache(maxsize=4096)
def _of_file(path: Path, _changed: int, _size: int, any_python: bool) -> str:
    if path.suffix == ".py":
        try:
            return of_source(path.read_text(encoding="utf-8"), str(path))
        except (RenormError, UnicodeDecodeError, RecursionError):
            if not any_python:
                raise
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:LENGTH]


def of_source(text: str, where: str = "source") -> str:
    """The digest of what the Python source `text` means."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of escape sequences in code that is not ours
            tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise RenormError(f"{where}:{line}: not readable as Python: {getattr(error, 'msg', error)}") from None
    return hashlib.sha256("\n".join(_canonical(tree)).encode()).hexdigest()[:LENGTH]


def _canonical(node: object) -> Iterator[str]:
    """The syntax tree as lines: kinds of nodes, names of fields that are not empty, and values."""
    if isinstance(node, ast.JoinedStr):
        yield from _joined_str(node)
    elif isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            # A field that another version added is empty in a program that both can read.
            if name not in IGNORED and value is not None and value != []:
                yield name
                yield from _body(value) if name in ("body", "orelse", "finalbody") else _canonical(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _canonical(item)
        yield "]"
    else:
        yield f"{type(node).__name__} {node!r}"


def _body(statements: object) -> Iterator[str]:
    """Statements without those that do nothing, docstrings among them; neighbouring imports in alphabetical order."""
    if not isinstance(statements, list):  # of a lambda or a conditional expression
        yield from _canonical(statements)
        return
    imports: list[str] = []
    yield "["
    for statement in statements:
        if isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and _is_constant(statement.value)):
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports += _imports(statement)
            continue
        yield from sorted(imports)
        imports = []
        yield from _canonical(statement)
    yield from sorted(imports)
    yield "]"


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _imports(statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    origin = f"{'.' * statement.level}{statement.module or ''} " if isinstance(statement, ast.ImportFrom) else ""
    for alias in statement.names:
        yield f"import {origin}{alias.name} {alias.asname or ''}"


def _joined_str(node: ast.JoinedStr) -> Iterator[str]:
    """An f-string; how its constant parts are cut differs between versions of Python."""
    yield "(JoinedStr"
    text = ""
    for value in node.values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
            continue
        yield f"str {text!r}"
        text = ""
        yield from _canonical(value)
    yield f"str {text!r}"
    yield ")"


def _definition(axis: str, name: str) -> plugins.Definition:
    found = plugins.find(axis, name)
    if found is None:
        raise RenormError(f"{axis}: unknown {axis} '{name}': {suggest(name, plugins.names(axis))}")
    return found


def _with_imports(path: Path) -> list[Path]:
    """`path` and all modules beside it and of models, norms and data that it imports, also through others, sorted."""
    found, left = set(), [path]
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += _imported(file, file.stat().st_mtime_ns)
    return sorted(found)


@lru_cache(maxsize=1024)
def _imported(path: Path, _changed: int) -> tuple[Path, ...]:
    """The modules of models, norms and data, and those beside a plugin, that the file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    found = [file for name in sorted(names) if (file := _module_file(name))]
    return tuple(found if path.is_relative_to(SOURCE) else [*found, *_beside(path)])


def _beside(path: Path) -> list[Path]:
    """The modules in the folder of a plugin that it imports by their names, plainly or with a dot."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level <= 1:
            names.update([node.module] if node.module else [alias.name for alias in node.names])
    files = [path.parent.joinpath(*name.split(".")) for name in sorted(names)]
    return [file for stem in files for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()]


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.parents[node.level - 1]
    if not package.is_relative_to(SOURCE):
        return ""
    return ".".join(["renorm", *package.relative_to(SOURCE).parts, *([node.module] if node.module else [])])


def _module_file(name: str) -> Path | None:
    parts = name.split(".")
    if len(parts) < 3 or parts[0] != "renorm" or parts[1] not in plugins.FOLDERS:
        return None
    path = SOURCE.joinpath(*parts[1:]).with_suffix(".py")
    return path if path.is_file() else None


def _joined(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:LENGTH]
