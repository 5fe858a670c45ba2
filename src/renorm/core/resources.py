"""The files of the package that are not Python: templates, rules, profiles, schemas, pinned requirements.

They lie at the root of the repository, where users look for them. `src/renorm/bundled` links to them, so that a
checkout, an editable installation and a wheel all find them by the same path.
"""

from importlib.resources import files
from pathlib import Path

from renorm.core.errors import RenormError


def bundled(name: str) -> Path:
    """Path of a bundled file or folder.

    Args:
        name: Its path from the root of the repository, such as `report/page.html.j2`.

    Raises:
        RenormError: It is missing from this installation.
    """
    path = Path(str(files("renorm"))) / "bundled" / name
    if not path.exists():
        raise RenormError(f"{path}: is missing: restore it from the repository, or install renorm again")
    return path


def scaffold(name: str) -> Path:
    """Path of a file that `renorm new` writes a study from."""
    return Path(str(files("renorm"))) / "scaffold" / name
