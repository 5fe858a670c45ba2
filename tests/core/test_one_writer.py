"""Only renorm.core.files opens a file for writing: no other module can leave half of one behind."""

import ast
from pathlib import Path

import pytest

import renorm

SOURCE = Path(renorm.__file__).parent
WRITER = SOURCE / "core/files.py"
EXAMPLE = SOURCE / "scaffold/train.py"  # of somebody else's program, which `renorm new` copies into a study
# Methods and functions that write wherever they are called: the position of the argument that says where, if it may
# also be a buffer in memory.
WRITERS = {
    "write_text": None, "write_bytes": None, "fdopen": None, "NamedTemporaryFile": None, "copy": None, "copy2": None,
    "copyfile": None, "copytree": None, "save": 1, "savez": 0, "savefig": 0, "ZipFile": 0, "to_csv": 0, "to_json": 0,
}  # fmt: skip
FROM_MODULES = {"copy": {"shutil"}, "save": {"torch"}}  # names that other objects have too


def writes(tree: ast.AST) -> list[int]:
    """The lines of a module that open a file for writing."""
    found = []
    for function in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        buffers = {
            target.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and ast.unparse(node.value) in ("io.BytesIO()", "io.StringIO()")
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if function is not tree:
            found += [n.lineno for n in ast.walk(function) if isinstance(n, ast.Call) and is_write(n, buffers)]
    inside = {n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    found += [n.lineno for n in ast.walk(tree) if n not in inside and isinstance(n, ast.Call) and is_write(n, set())]
    return sorted(set(found))


def is_write(call: ast.Call, buffers: set[str]) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name == "open":
        position = 1 if owner in ("", "io", "os") else 0
        modes = [k.value for k in call.keywords if k.arg in ("mode", "flags")] + call.args[position : position + 1]
        if owner == "os":
            return any(flag in ast.unparse(m) for m in modes for flag in ("WRONLY", "RDWR", "CREAT", "APPEND"))
        words = (mode.value for mode in modes if isinstance(mode, ast.Constant))
        return any(isinstance(word, str) and bool(set("wax+") & set(word)) for word in words)
    if name not in WRITERS or (name in FROM_MODULES and owner not in FROM_MODULES[name]):
        return False
    if name == "ZipFile" and [ast.unparse(mode) for mode in call.args[1:2]] == ["'r'"]:
        return False
    place = WRITERS[name]
    if place is None or not owner:
        return place is None or name == "ZipFile"
    return len(call.args) > place and not (isinstance(call.args[place], ast.Name) and call.args[place].id in buffers)


def test_no_other_module_opens_a_file_for_writing():
    found = {
        f"{path.relative_to(SOURCE)}:{line}"
        for path in SOURCE.rglob("*.py")
        if path not in (WRITER, EXAMPLE)
        for line in writes(ast.parse(path.read_text()))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')", "open(path, mode='ab')", "path.open('x')", "os.open(path, os.O_WRONLY)",
        "path.write_text(text)", "path.write_bytes(body)", "frame.to_csv(path)", "canvas.savefig(path, format='svg')",
        "shutil.copy(a, b)", "torch.save(state, path)", "np.savez(path, a=a)", "zipfile.ZipFile(path, 'w')",
    ],
)  # fmt: skip
def test_the_check_sees_a_write(line):
    assert writes(ast.parse(f"def save(path):\n    {line}\n")) == [2]
    assert writes(ast.parse(line)) == [1]


@pytest.mark.parametrize(
    "line",
    ["open(path)", "open(path, 'rb')", "Image.open(path)", "frame.to_csv()", "os.open(path, os.O_RDONLY)",
     "values.copy()", "body = io.BytesIO(); torch.save(state, body)"],
)  # fmt: skip
def test_the_check_passes_a_read(line):
    assert writes(ast.parse(f"def load(path):\n    {line}\n")) == []


def test_only_the_locks_module_takes_file_locks():
    users = [path for path in SOURCE.rglob("*.py") if "flock" in path.read_text().replace("mounted with flock", "")]
    assert {str(path.relative_to(SOURCE)) for path in users} <= {"core/locks.py"}
