"""The command line: `renorm train | prepare | collect | judge | figures | report | plan | status | why | …`.

Heavy imports stand inside the commands, so that `--help` and the light commands start at once.
"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from renorm.core import files, plugins, validation
from renorm.core.errors import RenormError, suggest
from renorm.runs import run_record
from renorm.study import config, grid
from renorm.study.cell import Cell

app = typer.Typer(
    help="Re-run a published deep-learning study and say, claim by claim, what holds.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

ConfigFile = Annotated[Path, typer.Option("--config", help="The study's configuration (YAML or JSON).")]
Only = Annotated[str | None, typer.Option(
    help="Experiments to take, separated by commas (`all`: every one); "
         "default: those that `only` of the configuration takes.",
)]  # fmt: skip


class Device(StrEnum):
    auto, cpu, cuda = "auto", "cpu", "cuda"


def main() -> None:
    """Entry point: a `RenormError` is one line on standard error and exit code 2."""
    try:
        app()
    except RenormError as error:
        sys.exit(_complain(error))


def _complain(error: RenormError) -> int:
    for line in str(error).splitlines():
        print(f"renorm: {line}", file=sys.stderr)
    return 2


def _study(path: Path, only: str | None = None) -> config.Study:
    return config.load(path, {"only": only} if only else None)


def _print_version(wanted: bool) -> None:
    if wanted:
        from renorm.core.machine import code_version

        code = code_version()
        commit = f"commit {code['commit']}" if code["commit"] else "commit unknown"
        print(f"renorm {code['renorm']}, {commit}{', modified' if code['dirty'] else ''}")
        raise typer.Exit()


@app.callback()
def _options_of_all_commands(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version and commit.")
    ] = False,
) -> None: ...


@app.command()
def train(
    dataset: Annotated[str, typer.Option(help="Data set, e.g. cifar10.")],
    arch: Annotated[str, typer.Option(help="Architecture, e.g. vgg16.")],
    norm: Annotated[str, typer.Option(help="What stands in batch norm's place: batch_norm, deconv, …")],
    epochs: Annotated[int, typer.Option(help="Epochs to train.")],
    seed: Annotated[int, typer.Option(help="Fixes initial weights, order and augmentation.")] = 1,
    recipe: Annotated[str, typer.Option(help="A recipe of --config; without one, `paper` is the built-in.")] = "paper",
    settings: Annotated[list[str] | None, typer.Option("--set", help="Of the recipe: optimizer.lr=0.05")] = None,
    study: Annotated[
        Path | None,
        typer.Option("--config", help="A study whose recipes are used (not its device, threads, results_dir)."),
    ] = None,
    hyper: Annotated[str | None, typer.Option(help="All hyper-parameters as JSON (what the workflow passes).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default results/runs/<cell>.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Raw data sets; default: RENORM_DATA, else data.")] = None,
    prepared: Annotated[Path, typer.Option(help="Prepared data sets.")] = Path("results/data"),
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads.")] = 1,
    checkpoint_minutes: Annotated[float, typer.Option(min=0.001, help="Longest time between checkpoints.")] = 10.0,
    download: Annotated[bool, typer.Option(help="Download a missing data set.")] = True,
    wait: Annotated[float, typer.Option(help="Seconds to wait for a twin that trains the same cell.")] = 0.0,
    gpu_slots: Annotated[int, typer.Option(min=0, max=64, help="Cells that share a GPU; 0: bind to none.")] = 0,
    gpus: Annotated[int, typer.Option(min=0, max=64, help="GPUs that share every batch, a process each.")] = 1,
    workers: Annotated[
        int | None, typer.Option(min=0, max=1024, help="Processes that decode pictures, per GPU.")
    ] = None,
    keep_weights: Annotated[bool, typer.Option(help="Leave the final weights in weights.pt.")] = False,
    quiet: Annotated[bool, typer.Option(help="Say nothing on the terminal; log.txt has it all.")] = False,
) -> None:
    """Train one cell: writes run.json, history.csv and log.txt; continues where a stopped run left off."""
    cell = Cell(dataset, arch, norm, recipe, epochs, seed)
    if hyper and (study or settings):
        raise RenormError("train: --hyper holds all hyper-parameters: leave --set and --config out, or --hyper")
    values = _from_json(hyper, cell) if hyper else _hyperparameters(cell, study, settings or [])
    from renorm.execution.gpu_slots import held
    from renorm.training.job import Job
    from renorm.training.job import train as run

    job = Job(
        cell, values, out or Path("results/runs") / cell.path, config.data_root(data_dir), prepared, device.value,
        threads, checkpoint_minutes, download, quiet, wait, gpus, workers, keep_weights,
    )  # fmt: skip
    with held(0 if device == Device.cpu else gpu_slots):
        record = run(job)
    if not quiet:
        print(_sentence(record, job.out))


def _from_json(text: str, cell: Cell) -> dict:
    """What the workflow passes: a resolved recipe and its protocol number, held against the types once more."""
    try:
        values = json.loads(text)
        recipe = {key: value for key, value in values.items() if key != "protocol"}
    except (ValueError, AttributeError, RecursionError):
        raise RenormError("--hyper: is no JSON object of hyper-parameters: by hand, use --set key=value") from None
    whole = validation.validate_model(config.Recipe, recipe, "--hyper").resolved(cell.norm, cell.arch)
    # A default is good enough for a recipe, and not for a record, which names everything its numbers depend on.
    given = config.flatten(values)
    missing = [key for key in config.flatten(whole) if key not in given]
    if missing:
        raise RenormError(f"--hyper: {missing[0]}: is missing: by hand, use --set key=value")
    if values["protocol"] != config.PROTOCOL:
        raise RenormError(f"--hyper: protocol: {values['protocol']!r} is not {config.PROTOCOL}, that of this version")
    return values


def _hyperparameters(cell: Cell, study: Path | None, settings: list[str]) -> dict:
    for axis in ("dataset", "arch", "norm"):
        name, known = getattr(cell, axis), plugins.names(axis)
        if name not in known:
            raise RenormError(f"--{axis}: unknown {axis} '{name}': {suggest(name, known)}")
    recipes = config.load(study).recipes if study else {"paper": config.Recipe()}
    if cell.recipe not in recipes:
        raise RenormError(f"--recipe: unknown recipe '{cell.recipe}': {suggest(cell.recipe, recipes)}")
    values = recipes[cell.recipe].model_dump()
    for setting in settings:
        values = config.deep_merge(values, _setting(setting))
    return validation.validate_model(config.Recipe, values, "--set").resolved(cell.norm, cell.arch)


def _setting(text: str) -> dict:
    """`a.b=1` → {"a": {"b": 1}}, the value read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RenormError(f"--set: '{text}' is not key=value, as in optimizer.lr=0.05")
    nested = validation.parse_yaml(value, f"--set {key}")
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    return nested


def _sentence(record: run_record.Record, out: Path) -> str:
    if record.diverged:
        return f"diverged in epoch {record.diverged.epoch}: {out / 'run.json'}"
    final = record.metrics.final
    return (
        f"test top-1 {final.value('test', 'top1'):.2%} (train {final.value('train', 'top1'):.2%}), "
        f"{record.seconds.train:.1f} s training, {record.seconds.test:.1f} s testing: {out / 'run.json'}"
    )


@app.command()
def prepare(
    dataset: Annotated[str, typer.Argument(help="Data set, e.g. cifar10.")],
    folder: Annotated[str | None, typer.Argument(help="Where its files lie; the same as --data-dir.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default results/data/<dataset>.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Raw data sets; default: RENORM_DATA, else data.")] = None,
    download: Annotated[bool, typer.Option(help="Download what is missing.")] = True,
    sample: Annotated[bool, typer.Option("--sample", help="Picture files: go on although some are missing.")] = False,
    move: Annotated[bool, typer.Option("--move", help="Picture files: move into class folders, not link.")] = False,
    image_size: Annotated[int, typer.Option(help="Picture files: pixels of the square that is trained on.")] = 224,
) -> None:
    """Read a data set, check its checksums, and write it as the trainer reads it."""
    from renorm import data

    if folder and data_dir:
        raise RenormError(f"prepare: the data lie in '{folder}' or, by --data-dir, in '{data_dir}': give one")
    root = config.data_root(folder or data_dir)
    options = data.PictureOptions(sample, move, image_size)
    print(data.prepare(dataset, root, out or Path("results/data") / dataset, download, options))


@app.command()
def inspect(
    view: Annotated[str, typer.Argument(help="A layer view of --config by name, or as JSON (the workflow).")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    study: Annotated[
        Path | None, typer.Option("--config", help="The study that has the layer view; default config.yaml.")
    ] = None,
    hyper: Annotated[str | None, typer.Option(help="All hyper-parameters as JSON (what the workflow passes).")] = None,
    runs: Annotated[Path, typer.Option(help="Where the runs stand.")] = Path("results/runs"),
    prepared: Annotated[Path, typer.Option(help="Prepared data sets.")] = Path("results/data"),
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads.")] = 1,
) -> None:
    """Inspect a layer of a cell's network: the numbers behind a layer view of the report."""
    wanted, values = _layer_view(view, study, hyper)
    import torch

    from renorm import data
    from renorm.training.layer_views import inspect as run

    torch.set_num_threads(threads)
    dataset = data.open_prepared(prepared / wanted.of.dataset, wanted.of.dataset)
    print(run(wanted, values, dataset, runs / wanted.of.path, out))


def _layer_view(text: str, path: Path | None, hyper: str | None) -> tuple[config.LayerView, dict]:
    """A layer view with its cell's hyper-parameters."""
    if hyper and path:
        raise RenormError("inspect: --hyper comes with a layer view as JSON: leave --config out, or --hyper")
    if hyper:
        wanted = validation.validate_model(config.LayerView, validation.parse_yaml(text, "view"), "view")
        return wanted, _from_json(hyper, wanted.of)
    study = _study(path or Path("config.yaml"))
    if text not in study.layer_views:
        raise RenormError(f"inspect: no layer view '{text}' in the configuration: {suggest(text, study.layer_views)}")
    wanted = study.layer_views[text]
    return wanted, grid.hyperparameters(study, wanted.of)


@app.command()
def collect(study: ConfigFile = Path("config.yaml"), only: Only = None) -> None:
    """All runs of the study → its tidy tables (cells, runs, histories, ..., layer views) and study.json."""
    from renorm.runs.collect import collect as run

    for path in run(_study(study, only)):
        print(path)


@app.command()
def judge(folder: Annotated[Path, typer.Argument(help="The study's folder, e.g. results/demo.")]) -> None:
    """Collected runs + claims → threshold_rule.csv, repeat_consistency.csv, runtime.csv and the rest."""
    from renorm.judging import judge as run

    for path in run(folder):
        print(path)


@app.command()
def figures(folder: Annotated[Path, typer.Argument(help="The study's folder.")]) -> None:
    """The tables → SVG figures."""
    from renorm.report.figures import draw

    for path in draw(folder):
        print(path)


@app.command()
def report(
    folder: Annotated[Path | None, typer.Argument(help="The study's folder; it must have been judged.")] = None,
    partial: Annotated[Path | None, typer.Option(help="Configuration: collect, judge and render what exists.")] = None,
    only: Only = None,
    compare: Annotated[tuple[Path, Path] | None, typer.Option(help="Two judged folders, side by side.")] = None,
    out: Annotated[Path | None, typer.Option(help="The page of --compare; default beside the first folder.")] = None,
) -> None:
    """The tables and figures → report.html, and the tables as CSV, LaTeX and Markdown."""
    _refuse_idle(folder, partial, only, compare, out)
    if compare:
        from renorm.report.compare import compare as side_by_side

        print(side_by_side(*compare, out))
        return
    from renorm.report.export import write_tables
    from renorm.report.page import render

    if partial:
        folder = _everything_but_training(_study(partial, only))
    if folder is None:
        raise RenormError("report: name the study's folder (results/<study>), or --partial CONFIG")
    write_tables(folder)
    print(render(folder))


def _refuse_idle(
    folder: Path | None, partial: Path | None, only: str | None, compare: tuple[Path, Path] | None, out: Path | None
) -> None:
    """Raise `RenormError` for what `report` was given and would not look at."""
    given = [name for name, value in {"a folder": folder, "--partial": partial, "--compare": compare}.items() if value]
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


@app.command()
def plan(study: ConfigFile = Path("config.yaml"), only: Only = None) -> None:
    """Every experiment with its cells and claims, what is done, and what the rest will cost; with --only, a part."""
    from renorm.execution.plan import plan as run

    run(_study(study, only), part=bool(only))


@app.command()
def status(
    study: ConfigFile = Path("config.yaml"), only: Only = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines; with --watch one line each time.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until nothing is left to do.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks of --watch.")] = 10.0,
) -> None:  # fmt: skip
    """How far the study is: completed, diverged, running, queued, failed, missing, per experiment."""
    from renorm.execution.status import status as run

    try:
        run(_study(study, only), as_json, every if watch else None)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command()
def why(
    cell: Annotated[str, typer.Argument(help="dataset/arch/norm/recipe/e<epochs>/s<seed>, or the path of its run.")],
    study: ConfigFile = Path("config.yaml"),
) -> None:
    """Whether the next start would train a cell, and for which reason."""
    from renorm.execution.status import why as run

    print(run(_study(study), cell))


@app.command()
def calibrate(
    study: ConfigFile = Path("config.yaml"), only: Only = None,
    minutes: Annotated[float, typer.Option(min=0.001, max=1440, help="Time to take; small studies take less.")] = 1.0,
) -> None:  # fmt: skip
    """Measure this device for the study's missing cells: `plan` and the jobs' run times come from it."""
    from renorm.execution.calibrate import calibrate as run

    print(run(_study(study, only), minutes, print))


@app.command()
def targets(
    study: ConfigFile = Path("config.yaml"), only: Only = None,
    minutes: Annotated[float, typer.Option(help="Cells that are expected to take no longer.")] = 10.0,
) -> None:  # fmt: skip
    """The run records of short cells that are missing, as targets for a Snakemake that packs them into one job."""
    from renorm.execution.plan import short

    for path in short(_study(study, only), minutes):
        print(path)


@app.command()
def resume_study(
    arguments: Annotated[list[str] | None, typer.Argument(help="Of Snakemake; default: --profile slurm.")] = None,
    cancel: Annotated[bool, typer.Option(help="Cancel running jobs too: they save and are continued.")] = False,
    prefix: Annotated[str, typer.Option(help="slurm-jobname-prefix of the profile.")] = "renorm",
) -> None:
    """After Snakemake itself was killed: its jobs that wait are cancelled, those that run are waited for, then
    Snakemake is started with ARGUMENTS (write `--` before them)."""
    from renorm.execution.slurm.queue import resume

    raise typer.Exit(resume(Path.cwd(), prefix, cancel, arguments or ["--profile", "slurm"]))


@app.command()
def audit(
    runs: Annotated[Path, typer.Argument(help="A tidy CSV of runs; docs/judging.md lists its columns.")],
    claims: Annotated[list[Path] | None, typer.Option(help="Claims folder(s) to hold blocks of it against.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Its name in the column `norm`; default batch_norm.")] = None,
    method: Annotated[str | None, typer.Option(help="Its name in the column `norm`; default deconv.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Anybody's table of runs: what cannot be, what was copied, what was mixed up. Exit code 1 when something is."""
    from renorm.judging.audit import audit as run
    from renorm.judging.audit import load_runs_csv, rows
    from renorm.study.claims import load_claims

    frame = load_runs_csv(runs)
    for option, norm in (("--baseline", baseline), ("--method", method)):
        if norm is not None and norm not in set(frame["norm"]):
            raise RenormError(f"audit: {option}: '{norm}' is in no row of {runs}: {suggest(norm, set(frame['norm']))}")
    held = config.Compare()
    found = rows(run(frame, [load_claims(folder) for folder in claims or ()], baseline or held.baseline,
                     method or held.method))  # fmt: skip
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for row in found:
            print(f"{row['kind']}: {row['sentence']} (rows {row['rows']})")
        if not found:
            print(f"nothing found in {len(frame):,} rows")
    raise typer.Exit(1 if found else 0)


@app.command()
def archive(
    folder: Annotated[Path, typer.Argument(help="The study's folder; it must have been judged.")],
    out: Annotated[Path | None, typer.Option(help="A .zip or a new folder; default <folder>.crate.zip.")] = None,
    licence: Annotated[str, typer.Option("--license", help="The results' licence, as a URL.")] = "",
) -> None:
    """The study as an RO-Crate: tables, report, run records, claims, configuration, environment, checksums."""
    from renorm.runs.ro_crate import archive as run

    print(run(folder, out, licence))


@app.command()
def snakefile() -> None:
    """The path of the installed Snakefile: `snakemake --snakefile $(renorm snakefile) --configfile STUDY.yaml`."""
    from renorm.core.resources import bundled

    print(bundled("Snakefile"))


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="config, run, source, claims (a row), or statements.")] = "config",
    write: Annotated[Path | None, typer.Option(help="A folder that all of them are written to.")] = None,
) -> None:
    """The JSON schema of a study's configuration, or of a file of a claims folder."""
    from renorm.cli.json_schemas import schemas

    known = {file.split(".")[0]: (file, document) for file, document in schemas().items()}
    if name not in known:
        raise RenormError(f"schema: unknown '{name}': {suggest(name, known)}")
    for file, document in known.values() if write else ():
        files.write_json(write / file, document)
    if not write:
        print(json.dumps(known[name][1], indent=1))
