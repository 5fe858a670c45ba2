"""`renorm adopt` and `renorm pack`: records that come from elsewhere, and records that are kept as evidence."""

from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import HAND_ON, ConfigFile, app, load_study


@app.command(rich_help_panel=HAND_ON)
def adopt(
    paths: Annotated[list[Path], typer.Argument(help="Recordings, crates (.zip or folder) or folders of results.")],
    study: ConfigFile = Path("config.yaml"),
) -> None:
    """Take records from elsewhere into the study, if cell, hyper-parameters, protocol, code and data are its own."""
    from renorm.runs.adopt import adopt as run

    for line in run(load_study(study), [str(path) for path in paths]).lines():
        print(line)


@app.command(rich_help_panel=HAND_ON)
def pack(
    folder: Annotated[Path, typer.Argument(help="Results with runs below, or tables of `renorm collect` alone.")],
    out: Annotated[Path, typer.Option(help="The recording's folder, e.g. resources/recorded/<device>-<date>.")],
    study: ConfigFile = Path("config.yaml"),
    note: Annotated[str, typer.Option(help="How it was made, in a sentence.")] = "",
) -> None:
    """Finished runs → a recording: one file of sealed records with their histories, and the study they are of."""
    from renorm.runs import recordings

    loaded = load_study(study)
    print(recordings.pack(loaded, recordings.finished_in(folder, loaded), out, note))
