import json
import os
import re
import shlex
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from snakemake.logging import logger
from snakemake.settings.types import RerunTrigger

from renorm.core import table_specs
from renorm.core.errors import RenormError
from renorm.core.validation import read_yaml
from renorm.execution.slurm.limits import CEILING, capped
from renorm.execution import announce
from renorm.execution import workload
from renorm.execution.cost_model import check_space
from renorm.execution.cost_model import estimate
from renorm.execution.pending import Pending
from renorm.runs import finished
from renorm.study import config as study_config
from renorm.study import data_manifest
from renorm.study import grid
from renorm.study.names import check_programs


def or_end(function, *arguments):
    """What `function` returns; a mistake is reported in one line, and the process, which has no job yet, just ends."""
    try:
        return function(*arguments)
    except RenormError as error:
        sys.stderr.write(
            "".join(f"renorm: {line}\n" for line in str(error).splitlines())
        )
        # Snakemake would turn an exception into a traceback of the Snakefile.
        sys.stderr.flush()
        os._exit(2)


def get_study():
    """The validated study; the folders that its file names are relative to that file."""
    # Snakemake's reader takes 020 for 16, and yes for 1.
    for file in workflow.configfiles:
        read_yaml(file)
    folder = Path(workflow.configfiles[-1]).parent if workflow.configfiles else Path()
    return study_config.validate(dict(config), folder=folder)


STUDY = or_end(get_study)
RESULTS = STUDY.results_dir
RUNS = f"{RESULTS}/runs"
# Not in params: the content of the files is part of a cell's identity, their place is not.
PLUGINS = " ".join(f"--plugin {shlex.quote(file)}" for file in STUDY.plugins)
PENDING = Pending(STUDY)
REPORTS = PENDING.reports
REPORT_DIR = f"{RESULTS}/{{report}}"
# A job of a cluster reads this file too: it has its target and does not ask whether that is needed.
IS_START = workflow.is_main_process

# The interpreter that runs Snakemake has renorm beside it; inside a conda or container environment that one's own
# counts. Not in params: another path to the same program does not train again.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


# The image for `software-deployment-method: apptainer`; without that line in the profile it is not looked at.
container: "envs/renorm.sif"


def check_claims():
    """What was published, read as the judgement will read it after all the training."""
    # Not above: pandas and scipy come with it, and every job of a cluster reads this file.
    from snakemake.logging import logger

    from renorm.execution.plan import claims_without_cell, published

    everything = STUDY.model_copy(update={"only": None})
    for line in claims_without_cell(everything, published(STUDY)):
        logger.warning(line)


def check_start():
    """What would end the study later; here Snakemake has not locked or written anything yet, also with --dry-run."""
    if PENDING.claims_unread:
        check_claims()


if IS_START:
    or_end(check_start)


@cache
def decide_by_content():
    """Settings on which the promises of README.md rest, whatever the command line and the profile say.

    What has to run is asked of the files themselves (renorm.runs.finished and made_from). Snakemake's own memory of
    parameters and code in .snakemake is left aside: it is lost with a copy, and it compares text. Records, tables and
    pages appear whole or not at all, so that nothing of a failed job is to be removed, least of all a record that
    another job of the same cell has finished meanwhile. Snakemake sets these attributes after it has read this file,
    and reads them after it has asked the first input function.
    """
    workflow.dag_settings.rerun_triggers = frozenset({RerunTrigger.MTIME})
    workflow.dag_settings.force_incomplete = True
    # There are none where nothing is executed, as with --summary.
    if workflow.execution_settings:
        workflow.execution_settings.keep_incomplete = True
        workflow.execution_settings.keep_going = True
    # Cells lock themselves, and the kernel frees their locks however a process ends.
    workflow.persistence.lock = workflow.persistence.noop


def has_to_run(needed, output):
    """`needed`; Snakemake then runs the job also when its output is there, made from other inputs."""
    decide_by_content()
    if needed:
        workflow.dag.forcefiles.add(output)
    return needed


def when(step, output, *inputs):
    """An input function: the files that a step of a report reads, if it has to run; Snakemake sees no others."""

    def get_inputs(wildcards):
        needed = IS_START and step in or_end(PENDING.steps, wildcards.report)
        if not IS_START or has_to_run(needed, output.format(report=wildcards.report)):
            found = [i(wildcards) if callable(i) else i for i in inputs]
            return [
                file.format(report=wildcards.report)
                for files in found
                for file in ([files] if isinstance(files, str) else files)
            ]
        return []

    return get_inputs


def set_aside():
    """Records of cells that are trained again, before Snakemake takes them for output of the job."""
    for cell in get_cells_to_train():
        if PENDING.look(cell).problem:
            or_end(finished.set_aside_unlocked, STUDY, cell)


onstart:
    or_end(check_space, STUDY, get_cells_to_train())
    or_end(check_programs, STUDY, get_cells_to_train())
    # Before anything is submitted: would this cluster run what we ask for?
    if workflow.executor_plugin.name == "slurm":
        from renorm.execution.slurm.preflight import prepare_executor

        or_end(prepare_executor, workflow, RESULTS)
    elif workflow.executor_plugin.name == "cluster-generic":
        from renorm.execution.job_queue import prepare_scripts

        or_end(prepare_scripts, RESULTS)
    set_aside()
    announce_cells()


wildcard_constraints:
    report="|".join(map(re.escape, REPORTS)),
    view="|".join(map(re.escape, STUDY.layer_views)) or "-",
    dataset="[a-z0-9_.-]+",
    arch="[a-z0-9_.-]+",
    norm="[a-z0-9_.-]+",
    recipe="[a-z0-9_.-]+",
    epochs="[0-9]+",
    seed="[0-9]+",


def get_cell(wildcards):
    return grid.Cell(
        wildcards.dataset,
        wildcards.arch,
        wildcards.norm,
        wildcards.recipe,
        int(wildcards.epochs),
        int(wildcards.seed),
    )


def get_hyperparameters(wildcards):
    """What the cell's numbers depend on, as JSON: when this changes, the cell is trained again, and only then."""
    return json.dumps(grid.hyperparameters(STUDY, get_cell(wildcards)), sort_keys=True)


def get_keep(wildcards):
    """Whether the cell's weights are kept."""
    kept = get_cell(wildcards) in grid.inspected(STUDY)
    return "--keep-weights" if kept else "--no-keep-weights"


def get_runner(wildcards):
    """The program that trains the cell; nothing for the built-in trainer. What it is does not change the cell."""
    program = grid.program(STUDY, get_cell(wildcards))
    return f"--program {shlex.quote(program.model_dump_json())}" if program else ""


@cache
def estimate_alike(cell, attempt):
    """Of one cell for all its seeds."""
    return estimate(STUDY, cell, attempt)


def get_estimate(wildcards, attempt):
    """What a cell needs; of a program's cell it may change whenever another one has finished."""
    cell = get_cell(wildcards)
    if grid.program(STUDY, cell):
        return estimate(STUDY, cell, attempt)
    return estimate_alike(replace(cell, seed=0), attempt)


def get_mem_mb(wildcards, attempt):
    first, now = (get_estimate(wildcards, tries).mem_mb for tries in (1, attempt))
    return capped(now, first, CEILING.mem_mb)


def get_runtime(wildcards, attempt):
    first, now = (get_estimate(wildcards, tries).minutes for tries in (1, attempt))
    return capped(now, first, CEILING.minutes)


def get_wait(wildcards, attempt):
    """Seconds to wait for a concurrent job: it began earlier, so it ends before this one's time limit."""
    return 60 * get_runtime(wildcards, attempt)


def get_records_to_come(wildcards):
    """The records that a report waits for: those of its cells that are not finished, as far as a budget allows."""
    # A job has what it waited for; what was spent meanwhile changes nothing.
    if not IS_START:
        return []
    cells = or_end(PENDING.to_train, wildcards.report)
    say_budget()
    return [f"{RUNS}/{cell.path}/run.json" for cell in cells]


@cache
def say_budget():
    """Once, and with a dry run, too: how many cells a budget leaves out."""
    if STUDY.budget and PENDING.allowance.left_out:
        logger.warning(f"budget: {PENDING.allowance.line()}: renorm plan")


def get_priority(wildcards):
    """The cells that a budget allows are submitted in its order."""
    return or_end(PENDING.place, get_cell(wildcards)) if IS_START else 0


def prepared_files(dataset):
    """A prepared data set; a manifest alone comes with an archive, and does not do."""
    return [
        f"{RESULTS}/data/{dataset}/{name}"
        for name in ("manifest.json", "train.npz", "test.npz")
    ]


def get_prepared(wildcards):
    """The data set of a cell that has to be trained; a finished cell needs nothing."""
    cell = get_cell(wildcards)
    record = f"{RUNS}/{cell.path}/run.json"
    if IS_START and not has_to_run(not or_end(PENDING.look, cell).record, record):
        return []
    # A program reads its data itself.
    return [] if grid.program(STUDY, cell) else prepared_files(cell.dataset)


def get_image_options(wildcards):
    """Where the images of a data set are, their size and classes, as options of `renorm prepare`."""
    one = STUDY.datasets.get(wildcards.dataset)
    if one is None:
        return f"--data-dir {shlex.quote(str(STUDY.data_root()))}"
    root = one.folder or str(STUDY.data_root())
    classes = f" --classes {shlex.quote(','.join(one.classes))}" if one.classes else ""
    return f"--data-dir {shlex.quote(root)} --image-size {one.image_size}{classes}"


def when_data_are_of_other_code(wildcards):
    """No files: a data set that was prepared by other code is prepared again."""
    folder = Path(RESULTS, "data", wildcards.dataset)
    if IS_START and (folder / "manifest.json").is_file():
        stale = not or_end(
            data_manifest.is_prepared,
            folder,
            wildcards.dataset,
            STUDY.datasets.get(wildcards.dataset),
        )
        has_to_run(stale, str(folder / "manifest.json"))
    return []


def get_layer_views_to_come(wildcards):
    """The layer views of a report that are to be made."""
    names = or_end(PENDING.to_inspect, wildcards.report)
    return [f"{RESULTS}/layer_views/{name}.json" for name in names]


def get_inspected(wildcards):
    """The prepared data, and the record of the training where the view is of a trained network."""
    name = wildcards.view
    view = STUDY.layer_views[name]
    if IS_START and not has_to_run(
        not or_end(PENDING.is_inspected, name), f"{RESULTS}/layer_views/{name}.json"
    ):
        return []
    record = [f"{RUNS}/{view.of.path}/run.json"] if view.trained else []
    return [*prepared_files(view.of.dataset), *record]


def get_layer_view_json(wildcards):
    """What the view's numbers depend on; its title is not part of it."""
    return STUDY.layer_views[wildcards.view].model_dump_json(exclude={"title"})


def get_inspected_hyperparameters(wildcards):
    """The hyper-parameters of the view's cell, as JSON."""
    cell = STUDY.layer_views[wildcards.view].of
    return json.dumps(grid.hyperparameters(STUDY, cell), sort_keys=True)


def get_study_json(wildcards):
    """The configuration that a report is made from, as the steps after the training read it."""
    # In the order of the configuration: tables and figures keep it.
    folder = Path(RESULTS, wildcards.report)
    return json.dumps(REPORTS[wildcards.report].written_for(folder))


def get_jobs(*rules):
    """The jobs of some rules that lead to what was asked for."""
    jobs = workflow.dag.jobs if workflow.dag else ()
    return [job for job in jobs if job.rule.name in rules]


def get_cells_to_train():
    """The cells that are about to be trained."""
    wanted = set(workflow.dag.needrun_jobs())
    jobs = get_jobs("train")
    return [get_cell(job.wildcards) for job in jobs if job in wanted]


def announce_cells():
    """Each cell that is trained ends with a line of its own: what it found, and how many are to go."""
    wanted = set(workflow.dag.needrun_jobs())
    cells = {
        job.jobid: get_cell(job.wildcards) for job in get_jobs("train") if job in wanted
    }
    if cells:
        logger.addHandler(announce.Announcer(STUDY, cells))


def get_reports():
    """The pages that were asked for."""
    return [job.output[0] for job in get_jobs("report")]


def call_handlers_of_a_module():
    """Snakemake calls the handlers of the main file alone; as a module these are the study's, too."""
    for handler in ("onstart", "onsuccess", "onerror"):
        setattr(workflow, f"_{handler}", globals()[handler].func)
