"""The steps behind the training, as the workflow calls them."""

from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import WORKFLOW, ConfigFile, Only, app, load_study


@app.command(rich_help_panel=WORKFLOW)
def collect(study: ConfigFile = Path("config.yaml"), only: Only = None) -> None:
    """Write the tables of all runs of the study (cells, runs, histories, ...) and study.json."""
    from renorm.runs.collect import collect as run

    for path in run(load_study(study, only)):
        print(path)


@app.command(rich_help_panel=WORKFLOW)
def judge(folder: Annotated[Path, typer.Argument(help="The study's folder, e.g. results/demo.")]) -> None:
    """Compare the collected runs with the claims: threshold_rule.csv, equivalence.csv, runtime.csv, ..."""
    from renorm.judging import judge as run

    for path in run(folder):
        print(path)


@app.command(rich_help_panel=WORKFLOW)
def figures(folder: Annotated[Path, typer.Argument(help="The study's folder.")]) -> None:
    """Draw the figures (SVG) from the tables."""
    from renorm.report.figures import draw

    for path in draw(folder):
        print(path)
