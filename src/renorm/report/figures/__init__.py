"""Figures as SVG files with a manifest. What cannot be drawn from the files that exist is simply not written."""

import json
import pkgutil
from importlib import import_module
from pathlib import Path

from renorm.core import files
from renorm.report.figures.style import look
from renorm.report.inputs import load
from renorm.runs import made_from

# Every module of this package that draws something: it has a function `figures(inputs)`.
MODULES = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
SUBJECTS = [module for module in MODULES if hasattr(module, "figures")]


def draw(study_dir: Path) -> list[Path]:
    """Draw everything under `study_dir`/figures and list it in figures.json; older figures are removed."""
    inputs = load(Path(study_dir))
    folder = Path(study_dir) / "figures"
    paths, entries = [], []
    with look():
        for figure in (figure for subject in SUBJECTS for figure in subject.figures(inputs)):
            paths.append(figure.save(folder))
            entries.append(figure.entry())
    files.remove(*set(folder.glob("*.svg")) - set(paths))
    manifest = folder / "figures.json"
    files.write_atomic(manifest, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    made_from.note_after(Path(study_dir), made_from.FIGURES)
    return [*paths, manifest]
