"""MLflow's folder of runs (mlruns) → a grid with a row per run and step; no library is needed.

Layout: https://mlflow.org/docs/latest/tracking/backend-stores, file store: `<experiment>/<run>/params/<name>` holds the
value, `<experiment>/<run>/metrics/<name>` a line `time value step` per value.
"""

from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError
from renorm.study.importing.grid import Grid, from_records


def read_runs(path: Path) -> Grid:
    """All runs below `path`; the columns are `run_id`, `step`, `params.*`, `tags.*` and `metrics.*`."""
    folders = sorted(folder.parent for folder in path.glob("**/metrics") if folder.is_dir())
    if not folders:
        raise RenormError(f"{path}: no run with a folder 'metrics' below it: name MLflow's mlruns, or export a CSV")
    records = [record for folder in folders for record in _run(folder, folder.relative_to(path).as_posix())]
    if not records:
        raise RenormError(f"{path}: its runs have no metric")
    system = {key for _, record in records for key in record if key.startswith("tags.mlflow.")}
    return from_records(path.resolve().name, path.name, records, {"run_id", "step", *system})


def _run(folder: Path, inside: str) -> list[tuple[str, dict[str, Any]]]:
    known: dict[str, Any] = {"run_id": folder.name}
    for kind in ("params", "tags"):
        for file in _files(folder / kind):
            known[f"{kind}.{file.relative_to(folder / kind).as_posix()}"] = _read(file).strip()
    steps: dict[int, dict[str, Any]] = {}
    for file in _files(folder / "metrics"):
        name = file.relative_to(folder / "metrics").as_posix()
        for number, line in enumerate(_read(file).splitlines(), 1):
            if line.strip():
                step, value = _line(f"{file}:{number}", line)
                steps.setdefault(step, {})[f"metrics.{name}"] = value
    return [(f"{inside}: step {step}", known | {"step": step} | values) for step, values in sorted(steps.items())]


def _line(where: str, line: str) -> tuple[int, str]:
    try:
        _, value, *step = line.split()
        float(value)
        return int(step[0]) if step else 0, value
    except (ValueError, IndexError):
        raise RenormError(f"{where}: expected 'time value step', as MLflow writes it (found '{line[:60]}')") from None


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
