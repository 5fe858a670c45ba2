"""`renorm claims check` and `renorm claims show`."""

from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import EVERY_DAY, app
from renorm.core.errors import RenormError
from renorm.study import config

claims_app = typer.Typer(help="Check and show what a study claims.", no_args_is_help=True)
app.add_typer(claims_app, name="claims", rich_help_panel=EVERY_DAY)

Where = Annotated[Path, typer.Argument(help="A study's configuration, or a claims folder.")]


def _folders(where: Path) -> tuple[list[Path], config.Study | None]:
    if where.is_dir():
        return [where], None
    study = config.load(where)
    if not study.claims_folders:
        raise RenormError(f"{where}: claims: is missing: add `claims: {{original: claims/paper}}`")
    return [Path(folder) for folder in study.claims_folders], study


@claims_app.command()
def check(where: Where = Path("config.yaml")) -> None:
    """Look for mistakes in names, units, numbers, duplicates, decimals, statements, and for rows without a cell.

    Exit codes: 0 nothing found, 1 mistakes, 2 the study cannot be read.
    """
    from renorm.judging.statement_checks import validate
    from renorm.study.claims_check import check as run

    folders, study = _folders(where)
    found = [finding for folder in folders for finding in run(folder, study, validate)]
    for finding in found:
        print(finding.line if finding.mistake else f"note: {finding.line}")
    mistakes = sum(finding.mistake for finding in found)
    print(f"{len(folders)} claims folder{'s' * (len(folders) != 1)}: {mistakes or 'no'} mistake{'s' * (mistakes != 1)}")
    raise typer.Exit(1 if mistakes else 0)


@claims_app.command()
def template(
    study: Annotated[Path, typer.Argument(help="A study's configuration.")] = Path("config.yaml"),
    source: Annotated[str, typer.Option(help="Name of the claims folder.")] = "paper",
) -> None:
    """Print a table of claims with a row per cell of the study's grid; its values are to be filled in."""
    from renorm.study.scaffold import template as run

    print(run(config.load(study), source), end="")


@claims_app.command()
def show(where: Where = Path("config.yaml")) -> None:
    """Print every published value and sentence of a study, and whether a cell of its grid answers it."""
    from rich.table import Table

    from renorm.core.console import screen
    from renorm.core.metrics import METRICS
    from renorm.core.table_specs import GROUP
    from renorm.study.claims import load_claims
    from renorm.study.claims_check import planned

    folders, study = _folders(where)
    cells = planned(study) if study else set()
    metrics = study.registry if study else METRICS
    console = screen()
    for folder in folders:
        loaded = load_claims(folder, metrics)
        console.print(f"{loaded.source.label}: {loaded.source.title} ({folder})", style="bold", soft_wrap=True)
        table = Table(*GROUP, "metric", "split", "value", "table", *(["cell"] if study else []))
        for row in loaded.frame.to_dict("records"):
            answered = tuple(row[axis] for axis in GROUP) in cells
            metric = metrics[row["metric"]]
            value = "diverged" if row["status"] == "diverged" else metric.with_unit(row["value"])
            table.add_row(*(str(row[axis]) for axis in GROUP), metric.label, row["split"], value,
                          row["table"], *(["yes" if answered else "no"] if study else []))  # fmt: skip
        console.print(table)
        for statement in loaded.statements:
            console.print(f"{statement.id}: {statement.text} [{statement.place}] → {statement.check}", soft_wrap=True,
                          markup=False)  # fmt: skip
