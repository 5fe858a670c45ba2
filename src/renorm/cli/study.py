"""A study as a whole: what it costs, how far it is, what it found."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import EVERY_DAY, ConfigFile, Only, app, load_study
from renorm.core.errors import RenormError
from renorm.study import config


@app.command(rich_help_panel=EVERY_DAY)
def plan(
    study: ConfigFile = Path("config.yaml"), only: Only = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    budget: Annotated[float | None, typer.Option(
        min=0, help="GPU-hours (CPU-hours with gpu: 0): how much of the study they allow; default: its `budget`."
    )] = None,
    order: Annotated[str | None, typer.Option(help="Of a budget: coverage, cheapest or undecided.")] = None,
) -> None:  # fmt: skip
    """Every experiment with its cells and claims, what is done, and what the rest will cost."""
    from renorm.execution.plan import plan as run

    run(load_study(study, only), part=bool(only), as_json=as_json, hours=budget, order=order)


@app.command("next", rich_help_panel=EVERY_DAY)
def next_(study: ConfigFile = Path("config.yaml"), only: Only = None) -> None:
    """Which further seeds would settle inconclusive claims, the most claims per GPU-hour first."""
    from renorm.execution.budget import describe_next, next_seeds

    found = next_seeds(load_study(study, only))
    for one in found:
        print(describe_next(one))
    if not found:
        print("no number of further seeds would settle a claim")


@app.command(rich_help_panel=EVERY_DAY)
def status(
    study: ConfigFile = Path("config.yaml"), only: Only = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; with --watch one line each time.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until nothing is left to do.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two updates of --watch.")] = 10.0,
) -> None:  # fmt: skip
    """How far the study is: completed, diverged, running, queued, failed, missing, per experiment."""
    from renorm.execution.status import status as run

    try:
        run(load_study(study, only), as_json, every if watch else None)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command(rich_help_panel=EVERY_DAY)
def why(
    cell: Annotated[str, typer.Argument(help="dataset/arch/norm/recipe/e<epochs>/s<seed>, or the path of its run.")],
    study: ConfigFile = Path("config.yaml"),
) -> None:
    """Whether the next Snakemake run would train a cell, and why."""
    from renorm.execution.status import why as run

    print(run(load_study(study), cell))


@app.command(rich_help_panel=EVERY_DAY)
def calibrate(
    study: ConfigFile = Path("config.yaml"), only: Only = None,
    minutes: Annotated[float, typer.Option(min=0.001, max=1440, help="Time limit; small studies need less.")] = 1.0,
) -> None:  # fmt: skip
    """Measure this device for the study's missing cells: `plan` and the jobs' run times come from it."""
    from renorm.execution.calibrate import calibrate as run

    print(run(load_study(study, only), minutes, print))


@app.command(rich_help_panel=EVERY_DAY)
def report(
    folder: Annotated[Path | None, typer.Argument(help="The study's folder; it must have been judged.")] = None,
    recorded: Annotated[Path | None, typer.Option(help="A recording (resources/recorded/…): its own study.")] = None,
    partial: Annotated[Path | None, typer.Option(help="Configuration: collect, judge and render what exists.")] = None,
    only: Only = None,
    compare: Annotated[tuple[Path, Path] | None, typer.Option(help="Two judged folders, side by side.")] = None,
    out: Annotated[Path | None, typer.Option(help="The page of --compare; default beside the first folder.")] = None,
) -> None:
    """Write report.html, and the tables as CSV, LaTeX and Markdown."""
    _refuse_idle(folder, partial, only, compare, out, recorded)
    if compare:
        from renorm.report.compare import compare as side_by_side

        written = side_by_side(*compare, out)
        print(*written.lines, written.page, sep="\n")
        return
    from renorm.judging.verdict import lines
    from renorm.judging.verdict import verdict as found
    from renorm.report.export import write_tables
    from renorm.report.page import render

    if recorded:
        from renorm.runs.recordings import study_of

        folder = _everything_but_training(study_of(recorded))
    if partial:
        folder = _everything_but_training(load_study(partial, only))
    if folder is None:
        raise RenormError("report: name the study's folder (results/<study>), or --partial CONFIG")
    write_tables(folder)
    page = render(folder)
    print(*lines(found(folder)), page, sep="\n")


@app.command(rich_help_panel=EVERY_DAY)
def verdict(
    folder: Annotated[Path, typer.Argument(help="The study's folder; it must have been judged.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every statement and claim.")] = False,
    fail_if: Annotated[
        list[str] | None, typer.Option(help="'question: verdict', e.g. 'headline: fails': exit code 1 if it is so.")
    ] = None,
) -> None:
    """The four answers of a judged study: does the claim hold, how sure, how complete, at what cost."""
    import json

    from renorm.judging import verdict as made

    found = made.verdict(folder)
    met = made.fails(found, fail_if or [])
    print(json.dumps(found, indent=1, ensure_ascii=False) if as_json else "\n".join(made.lines(found)))
    for condition in met:
        print(f"verdict: {condition}", file=sys.stderr)
    raise typer.Exit(1 if met else 0)


def _refuse_idle(
    folder: Path | None,
    partial: Path | None,
    only: str | None,
    compare: tuple[Path, Path] | None,
    out: Path | None,
    recorded: Path | None,
) -> None:
    """Raise `RenormError` for arguments of `report` that would have no effect."""
    choices = {"a folder": folder, "--partial": partial, "--compare": compare, "--recorded": recorded}
    given = [name for name, value in choices.items() if value]
    if len(given) > 1:
        raise RenormError(f"report: {' and '.join(given)} make pages of their own: give one of them")
    if only and not partial:
        raise RenormError(f"report: --only {only} is for --partial: leave it out")
    if out and not compare:
        raise RenormError(f"report: --out {out} is for --compare: leave it out")


def _everything_but_training(study: config.Study) -> Path:
    """Tables and figures of whatever runs exist, beside the study's own, so that Snakemake's files stay untouched."""
    from renorm.judging import judge as run_judge
    from renorm.report.figures import draw
    from renorm.runs.collect import collect as run_collect

    folder = study.folder.with_name(f"{study.study}.partial")
    run_collect(study, folder)
    run_judge(folder)
    draw(folder)
    return folder
