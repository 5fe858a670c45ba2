"""`renorm new`: a study of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import EVERY_DAY, app


@app.command(rich_help_panel=EVERY_DAY)
def new(
    folder: Annotated[Path, typer.Argument(help="The folder to write; its name is that of the study.")],
    source: Annotated[Path | None, typer.Option("--from", help="A configuration to begin with.")] = None,
    program: Annotated[
        Path | None, typer.Option(help="A program that trains the cells; a new name: an example is written.")
    ] = None,
) -> None:
    """Write the folder of a study of your own, in which `snakemake --cores 2` works at once."""
    from renorm.study.scaffold import new as run

    for path in run(folder, source, program):
        print(path)
    print(f"Next: cd {folder} && snakemake --cores 2")
