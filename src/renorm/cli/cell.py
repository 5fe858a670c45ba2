"""One cell: prepare its data, train it, inspect its network."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import ONE_CELL, WORKFLOW, app, load_study
from renorm.core import plugins, validation
from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import TOP1
from renorm.core.validation import flatten
from renorm.runs import run_record
from renorm.study import config, data_manifest, grid, names
from renorm.study.cell import Cell
from renorm.study.programs import Identity, Program, Results

CELL, FILES, MACHINE = "The cell", "Files", "Machine"  # groups of options of `train`


Plugins = Annotated[list[Path] | None, typer.Option(help="A file that defines names; of --config, those of `plugins`.")]


class Device(StrEnum):
    auto, cpu, cuda = "auto", "cpu", "cuda"


@app.command(rich_help_panel=ONE_CELL)
def prepare(
    dataset: Annotated[str, typer.Argument(help="Data set, e.g. cifar10.")],
    folder: Annotated[str | None, typer.Argument(help="Where its files are; the same as --data-dir.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default results/data/<dataset>.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Raw data sets; default: RENORM_DATA, else data.")] = None,
    download: Annotated[bool, typer.Option(help="Download what is missing.")] = True,
    sample: Annotated[bool, typer.Option("--sample", help="Image files: accept that some are missing.")] = False,
    move: Annotated[bool, typer.Option("--move", help="Image files: move into class folders, not link.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Image files: decode all, to find damaged ones.")] = False,
    image_size: Annotated[int, typer.Option(help="Image files: pixels of the square that is trained on.")] = 224,
    classes: Annotated[str, typer.Option(help="Image files: class folders to use, separated by commas.")] = "",
    plugin: Plugins = None,
) -> None:
    """Read a data set, check its checksums, and write it as the trainer reads it."""
    plugins.use(plugin or [])
    from renorm import data

    if folder and data_dir:
        raise RenormError(f"prepare: the data are in '{folder}' or, by --data-dir, in '{data_dir}': give one")
    root = config.data_root(folder or data_dir)
    options = data.ImageFileOptions(sample, move, image_size, check, tuple(filter(None, classes.split(","))))
    dataset = config.without_slash(dataset)
    print(data.prepare(dataset, root, out or Path("results/data") / dataset, download, options))


@app.command(rich_help_panel=ONE_CELL)
def train(
    dataset: Annotated[str, typer.Option(help="Data set, e.g. cifar10.", rich_help_panel=CELL)],
    arch: Annotated[str, typer.Option(help="Architecture, e.g. vgg16.", rich_help_panel=CELL)],
    norm: Annotated[str, typer.Option(help="Normaliser: batch_norm, deconv, ...", rich_help_panel=CELL)],
    epochs: Annotated[int, typer.Option(help="Epochs to train.", rich_help_panel=CELL)],
    seed: Annotated[
        int, typer.Option(help="Determines initial weights, order and augmentation.", rich_help_panel=CELL)
    ] = 1,
    recipe: Annotated[
        str, typer.Option(help="A recipe of --config; without one, `paper` is the built-in.", rich_help_panel=CELL)
    ] = "paper",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A value of the recipe, as in optimizer.lr=0.05.", rich_help_panel=CELL),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="Study whose recipes are used (not its device, threads or results_dir).",
            rich_help_panel=CELL,
        ),
    ] = None,
    hyper: Annotated[
        str | None,
        typer.Option(help="All hyper-parameters as JSON (what the workflow passes).", rich_help_panel=WORKFLOW),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(help="The program that trains it, as JSON (what the workflow passes).", rich_help_panel=WORKFLOW),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default results/runs/<cell>.", rich_help_panel=FILES)
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(help="Raw data sets; default: RENORM_DATA, else data.", rich_help_panel=FILES)
    ] = None,
    prepared: Annotated[Path, typer.Option(help="Prepared data sets.", rich_help_panel=FILES)] = Path("results/data"),
    device: Annotated[Device, typer.Option(help="Where to train.", rich_help_panel=MACHINE)] = Device.auto,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads.", rich_help_panel=MACHINE)] = 1,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0.001, help="Longest time between checkpoints.", rich_help_panel=MACHINE)
    ] = 10.0,
    download: Annotated[bool, typer.Option(help="Download a missing data set.", rich_help_panel=FILES)] = True,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for another job that trains this cell.", rich_help_panel=MACHINE)
    ] = 0.0,
    gpu_slots: Annotated[
        int, typer.Option(min=0, max=64, help="Cells that share a GPU; 0: do not choose one.", rich_help_panel=MACHINE)
    ] = 0,
    gpus: Annotated[
        int, typer.Option(min=0, max=64, help="GPUs that share every batch, one process each.", rich_help_panel=MACHINE)
    ] = 1,
    workers: Annotated[
        int | None,
        typer.Option(min=0, max=1024, help="Processes that decode images, per GPU.", rich_help_panel=MACHINE),
    ] = None,
    keep_weights: Annotated[
        bool, typer.Option(help="Keep the final weights in weights.pt.", rich_help_panel=FILES)
    ] = False,
    plugin: Plugins = None,
    quiet: Annotated[bool, typer.Option(help="Print nothing; log.txt has everything.", rich_help_panel=FILES)] = False,
) -> None:
    """Train one cell: writes run.json, history.csv and log.txt; resumes a run that was stopped."""
    plugins.use(plugin or [])
    cell = Cell(config.without_slash(dataset), config.without_slash(arch), norm, recipe, epochs, seed)
    if hyper and (study or settings):
        raise RenormError("train: --hyper holds all hyper-parameters: leave --set and --config out, or --hyper")
    if program and not hyper:
        raise RenormError("train: --program comes with --hyper: by hand, name a recipe with a program by --config")
    own = _program(program) if program else None
    values = _from_json(hyper, cell, own) if hyper else {}
    if not hyper:
        values, own = _hyperparameters(cell, study, settings or [])
    if study and own is None:
        _prepare_images(config.load(study), cell.dataset, prepared / cell.dataset, config.data_root(data_dir))
    from renorm.execution import runners
    from renorm.execution.gpu_slots import held

    request = runners.Request(
        cell, values, own, out or Path("results/runs") / cell.path, config.data_root(data_dir), prepared, device.value,
        threads, checkpoint_minutes, download, quiet, wait, gpus, workers, keep_weights, plugins.active(),
    )  # fmt: skip
    with held(0 if device == Device.cpu else gpu_slots):
        record = runners.train(request)
    if not quiet:
        print(_sentence(record, request.out))


def _prepare_images(study: config.Study, name: str, folder: Path, root: Path) -> None:
    """Prepare a data set of image files with the size and classes that the study says, unless that was done."""
    wanted = study.datasets.get(name)
    if wanted is None or data_manifest.is_prepared(folder, name, wanted):
        return
    from renorm import data

    options = data.ImageFileOptions(image_size=wanted.image_size, classes=tuple(wanted.classes))
    data.prepare(name, wanted.folder or root, folder, False, options)


def _program(text: str) -> Program:
    return validation.validate_model(Program, validation.parse_yaml(text, "--program"), "--program")


def _from_json(text: str, cell: Cell, program: Program | None = None) -> dict:
    """What the workflow passes: a resolved recipe and its protocol number, validated once more."""
    try:
        values = json.loads(text)
        recipe = {key: value for key, value in values.items() if key != "protocol"}
    except (ValueError, AttributeError, RecursionError):
        raise RenormError("--hyper: not a JSON object of hyper-parameters: by hand, use --set key=value") from None
    if program:
        return _of_program(values, program)
    whole = validation.validate_model(config.Recipe, recipe, "--hyper").resolved(cell.norm, cell.arch)
    # A default is good enough for a recipe, and not for a record, which names everything its numbers depend on.
    given = flatten(values)
    missing = [key for key in flatten(whole) if key not in given]
    if missing:
        raise RenormError(f"--hyper: {missing[0]}: is missing: by hand, use --set key=value")
    _check_protocol(values)
    return values


def _check_protocol(values: dict) -> None:
    if values.get("protocol") != config.PROTOCOL:
        found = values.get("protocol")
        raise RenormError(f"--hyper: protocol: {found!r} is not {config.PROTOCOL}, that of this version")


def _of_program(values: dict, program: Program) -> dict:
    """The hyper-parameters of a program's cell, if they are of `program`."""
    _check_protocol(values)
    identity = validation.validate_model(Identity, values.get("program"), "--hyper: program")
    results = validation.validate_model(Results, identity.results, "--hyper: program.results")
    if set(values) != {"protocol", "program"} or (identity.command, results) != (program.command, program.results):
        raise RenormError("--hyper: is not of the program in --program: leave both to the workflow")
    return values


def _hyperparameters(cell: Cell, study: Path | None, settings: list[str]) -> tuple[dict, Program | None]:
    """The hyper-parameters of a cell that somebody names by hand, and the program that trains it, if one does."""
    given = config.load(study) if study else None
    recipes = given.recipes if given else {"paper": config.Recipe()}
    recipe = recipes.get(cell.recipe)
    for axis in ("dataset", "arch", "norm") if recipe is None or recipe.program is None else ():
        if problem := names.unknown(axis, getattr(cell, axis)):
            raise RenormError(f"--{axis}: {problem}")
    if recipe is None:
        raise RenormError(f"--recipe: unknown recipe '{cell.recipe}': {suggest(cell.recipe, recipes)}")
    values = recipe.model_dump()
    for setting in settings:
        values = config.deep_merge(values, _setting(setting))
    recipe = validation.validate_model(config.Recipe, values, "--set")
    program = given.programs.get(recipe.program or "") if given else None
    return grid.resolved(recipe, program, cell), program


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
    final = record.metrics.final
    if final is None:
        where = f" in epoch {record.diverged.epoch}" if record.diverged else ""
        return f"diverged{where}: {out / 'run.json'}"
    if record.runner.kind == "program":
        numbers = [f"{split} {name} {value:.6g}" for split, part in final.splits.items()
                   for name, value in part.values.items()]  # fmt: skip
        return f"{', '.join(numbers)}, {record.seconds.total:.1f} s: {out / 'run.json'}"
    return (
        f"test top-1 {final.value('test', TOP1):.2%} (train {final.value('train', TOP1):.2%}), "
        f"{record.seconds.train:.1f} s training, {record.seconds.test:.1f} s testing: {out / 'run.json'}"
    )


@app.command(rich_help_panel=ONE_CELL)
def inspect(
    view: Annotated[str, typer.Argument(help="A layer view of --config by name, or as JSON (the workflow).")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    study: Annotated[
        Path | None, typer.Option("--config", help="The study that has the layer view; default config.yaml.")
    ] = None,
    hyper: Annotated[str | None, typer.Option(help="All hyper-parameters as JSON (what the workflow passes).")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results/runs"),
    prepared: Annotated[Path, typer.Option(help="Prepared data sets.")] = Path("results/data"),
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads.")] = 1,
    plugin: Plugins = None,
) -> None:
    """Inspect a layer of a cell's network: the numbers behind a layer view of the report."""
    plugins.use(plugin or [])
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
    study = load_study(path or Path("config.yaml"))
    if text not in study.layer_views:
        raise RenormError(f"inspect: no layer view '{text}' in the configuration: {suggest(text, study.layer_views)}")
    wanted = study.layer_views[text]
    return wanted, grid.hyperparameters(study, wanted.of)
