"""The walls between the packages, which pyproject.toml declares and import-linter checks."""

import subprocess
import sys


def test_packages_import_in_one_direction(root):
    checked = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0 and "2 kept, 0 broken" in checked.stdout, checked.stdout + checked.stderr


def test_every_module_is_in_a_package(root):
    loose = {path.name for path in (root / "src" / "renorm").glob("*.py")}
    assert loose == {"__init__.py", "__main__.py"}


def test_normalisers_need_only_the_core():
    program = "import sys, renorm.norms; print(*{name.split('.')[1] for name in sys.modules if name[:7] == 'renorm.'})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(loaded.stdout.split()) == {"core", "norms"}
