"""Studies on a cluster, beyond `snakemake --profile slurm`."""

from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import CLUSTER, ConfigFile, Only, app, load_study


@app.command(rich_help_panel=CLUSTER)
def resume_study(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments of Snakemake; default: --profile slurm.")
    ] = None,
    cancel: Annotated[
        bool, typer.Option(help="Cancel running jobs too: they save a checkpoint and are resumed.")
    ] = False,
    results: Annotated[Path, typer.Option(help="results_dir of the study.")] = Path("results"),
) -> None:
    """After Snakemake itself was killed: cancel its pending jobs, wait for its running ones, and start Snakemake again
    with ARGUMENTS (write `--` before them)."""
    from renorm.execution.recovery import resume

    raise typer.Exit(resume(Path.cwd(), results, cancel, arguments or ["--profile", "slurm"]))


@app.command(rich_help_panel=CLUSTER)
def targets(
    study: ConfigFile = Path("config.yaml"), only: Only = None,
    minutes: Annotated[float, typer.Option(help="Longest expected time of a short cell.")] = 10.0,
    budget: Annotated[float | None, typer.Option(
        min=0, help="GPU-hours (CPU-hours with gpu: 0), spent ones included: list the cells that they allow, long ones "
                    "too.")] = None,
    order: Annotated[str | None, typer.Option(
        help="With --budget: coverage (the first seed of everything first), cheapest, or undecided (`renorm next`)."
    )] = None,
) -> None:  # fmt: skip
    """List the run records of missing short cells, as targets for a Snakemake that runs many of them in one job; with
    --budget, of the cells that the budget allows."""
    from renorm.execution.budget import allowance, records_of
    from renorm.execution.plan import short
    from renorm.runs.finished import run_folder

    chosen = load_study(study, only)
    if budget is None:
        paths = short(chosen, minutes)
    else:
        taken = allowance(chosen, records_of(chosen), budget, order).taken
        paths = [run_folder(chosen, cell) / "run.json" for cell in taken]
    for path in paths:
        print(path)
