"""What every file of commands shares: the application, its groups of commands, and common options."""

from pathlib import Path
from typing import Annotated

import typer

from renorm.study import config

app = typer.Typer(
    help="Re-run a published deep-learning study and say, claim by claim, what holds.",
    no_args_is_help=True, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

EVERY_DAY, ONE_CELL, HAND_ON = "Every day", "One cell", "Hand on"
CLUSTER, WORKFLOW = "Cluster", "Used by the workflow"

ConfigFile = Annotated[Path, typer.Option("--config", help="The study's configuration (YAML or JSON).")]
Only = Annotated[str | None, typer.Option(
    help="Experiments to take, separated by commas (`all`: every one); "
         "default: those that `only` of the configuration takes.",
)]  # fmt: skip


def load_study(path: Path, only: str | None = None) -> config.Study:
    """The configuration at `path`, with the experiments that `--only` names, if any."""
    return config.load(path, {"only": only} if only else None)
