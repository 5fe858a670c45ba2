"""The command line in the environment that the configuration gives a program."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from renorm.core.errors import RenormError
from renorm.study.programs import Environment


def shell_command(command: str, environment: Environment | str, binds: Sequence[str]) -> list[str]:
    """The arguments that run the shell command `command`; `binds`: folders that a container must see.

    Raises `RenormError` when what runs the environment is not installed.
    """
    if not isinstance(environment, Environment) or environment.python is not None:
        return ["/bin/sh", "-c", command]
    if environment.conda is not None:
        which = "-p" if "/" in environment.conda else "-n"
        conda = _installed("conda", "mamba", "micromamba")
        capture = [] if conda.endswith("micromamba") else ["--no-capture-output"]
        return [conda, "run", *capture, which, environment.conda, "/bin/sh", "-c", command]
    apptainer, mounted = _installed("apptainer", "singularity"), [f"--bind={path}" for path in dict.fromkeys(binds)]
    return [apptainer, "exec", "--nv", *mounted, str(environment.container), "/bin/sh", "-c", command]


def search_path(environment: Environment | str, path: str) -> str:
    """PATH for the command: with the programs of `environment.python` first."""
    if isinstance(environment, Environment) and environment.python is not None:
        return os.pathsep.join([_folder_of(environment.python), path])
    return path


def _folder_of(python: str) -> str:
    """The folder with the programs of a virtual environment, or of an interpreter."""
    found = python if "/" in python else shutil.which(python)
    if not found:
        raise RenormError(f"environment.python: '{python}' is not on PATH: give its path")
    path = Path(os.path.abspath(found))
    return str(path / "bin" if path.is_dir() else path.parent)


def _installed(*names: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise RenormError(f"environment: {names[0]} is not installed on this machine: install it, or use environment: none")
