"""Results that exist already → a claims folder."""

from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import EVERY_DAY, app, load_study
from renorm.core import files
from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS, Metrics


@app.command("import", rich_help_panel=EVERY_DAY)
def import_(
    results: Annotated[
        list[Path], typer.Argument(help="Tables (CSV, TSV, xlsx, JSON), or folders: logs, TensorBoard, MLflow.")
    ],
    folder: Annotated[Path, typer.Option("--as", help="The claims folder to write, e.g. claims/my_runs.")],
    map_file: Annotated[Path, typer.Option("--map", help="What the columns are (docs/import.md).")] = Path("map.yaml"),
    from_header: Annotated[
        bool, typer.Option("--map-from-header", help="Write a first --map from the file's header, and stop.")
    ] = False,
    study: Annotated[Path | None, typer.Option("--config", help="A study whose own metrics the values are of.")] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Import what the map explains, and list the rest.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace tables of the same name.")] = False,
) -> None:
    """Results that exist (tables, exports, logs) → a claims folder, which any study compares or judges."""
    from renorm.study import importing

    metrics = load_study(study).registry if study else METRICS
    if from_header:
        _first_map(results, folder, map_file, metrics)
        asked = [*map(str, results), "--as", str(folder), "--map", str(map_file)]
        asked += ["--config", str(study)] if study else []
        print(f"{map_file}: complete it, then: renorm import {' '.join(asked)}")
        return
    chosen = importing.load_map(map_file)
    grids = [grid for path in results for grid in importing.read_grids(path, chosen.read)]
    history = any(importing.is_history(path, chosen.read) for path in results)
    found = importing.convert(grids, chosen, history, metrics)
    if found.left and not partial:
        raise RenormError(*found.left, f"{map_file}: {_count(len(found.left), 'line')} above to be explained: complete "
                          "the map, or import the rest with --partial")  # fmt: skip
    tables = importing.write(found, chosen.source, folder, replace, metrics)
    for line in found.left:
        print(f"not imported: {line}")
    if found.ignored:
        print(f"ignored, as the map says: {', '.join(dict.fromkeys(found.ignored))}")
    count = sum(map(len, found.tables.values()))
    print(f"{_count(count, 'value')}: {', '.join(map(str, tables))}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _first_map(results: list[Path], folder: Path, path: Path, metrics: Metrics) -> None:
    """Write the first map."""
    from renorm.study import importing

    if path.exists():
        raise RenormError(f"{path}: is there: name another file with --map, or remove it")
    read = importing.Read()
    grids = [grid for file in results for grid in importing.read_grids(file, importing.guessed(file, read))]
    files.write_atomic(path, importing.first_map(grids, importing.guessed(results[0], read), folder.name, metrics))
