import json
import os
import re
import shlex
import sys
from pathlib import Path

from renorm.core import table_specs
from renorm.core.errors import RenormError
from renorm.execution.slurm.preflight import prepare_executor
from renorm.execution import workload
from renorm.execution.cost_model import check_space
from renorm.execution.cost_model import estimate
from renorm.study import config as study_config
from renorm.study import grid


def or_end(function, *arguments):
    """What `function` returns; a mistake is reported in one line, and the process, which has no job yet, ends."""
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
    """The validated study."""
    return study_config.validate(dict(config))


STUDY = or_end(get_study)
RESULTS = STUDY.results_dir
RUNS = f"{RESULTS}/runs"
# A report of the study, and one of each of its experiments alone, whether `only` takes it or not.
REPORTS = {name: STUDY.alone(name) for name in STUDY.experiments} | {STUDY.study: STUDY}
REPORT_DIR = f"{RESULTS}/{{report}}"
# Cells that keep their weights for a layer view, as the beginning of a path below RUNS.
KEPT = "|".join(re.escape(cell.path) for cell in sorted(grid.inspected(STUDY)))

# The interpreter that runs Snakemake has renorm beside it; inside a conda or container environment that one's own
# counts. Not in params: another path to the same program does not train again.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


def share_overrides(settings):
    """`--set-resources train:…` and `--set-threads train=…` count for all cells: also for those of `train_keep`."""
    resources, threads = settings.overwrite_resources, settings.overwrite_threads
    if "train" in resources:
        both = resources["train"].copy()
        both.update(resources.get("train_keep", {}))
        settings.overwrite_resources = {**resources, "train_keep": both}
    if "train" in threads:
        settings.overwrite_threads = {"train_keep": threads["train"], **threads}


# Before the first rule, which takes them.
share_overrides(workflow.resource_settings)


# The image for `software-deployment-method: apptainer`; without that line in the profile it is not looked at.
container: "envs/renorm.sif"


def check_claims():
    """What was published, read as the judgement will read it after all the training."""
    # Not above: pandas and scipy come with it, and every job of a cluster reads this file.
    from renorm.execution.plan import published

    published(STUDY)


onstart:
    or_end(check_claims)
    or_end(check_space, STUDY, get_cells_to_train())
    # Before anything is submitted: would this cluster run what we ask for?
    if workflow.executor_plugin.name == "slurm":
        or_end(prepare_executor, workflow)


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


def get_mem_mb(wildcards, attempt):
    return estimate(STUDY, get_cell(wildcards), attempt).mem_mb


def get_runtime(wildcards, attempt):
    return estimate(STUDY, get_cell(wildcards), attempt).minutes


def get_wait(wildcards, attempt):
    """Seconds to wait for a concurrent job: it began earlier, so it ends before this one's time limit."""
    return 60 * get_runtime(wildcards, attempt)


def get_run_records(wildcards):
    """The records of all cells that a report is about."""
    return [
        f"{RUNS}/{cell.path}/run.json"
        for cell in sorted(grid.cells(REPORTS[wildcards.report]))
    ]


def get_report_layer_views(wildcards):
    """The layer views of a report."""
    names = grid.layer_views(REPORTS[wildcards.report])
    return [f"{RESULTS}/layer_views/{name}.json" for name in names]


def get_inspected(wildcards):
    """The prepared data, and record and weights of the training where the view is of a trained network."""
    view = STUDY.layer_views[wildcards.view]
    manifest = f"{RESULTS}/data/{view.of.dataset}/manifest.json"
    run = f"{RUNS}/{view.of.path}"
    trained = {"record": f"{run}/run.json", "weights": f"{run}/weights.pt"}
    return {"manifest": manifest} | (trained if view.trained else {})


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
    return json.dumps(REPORTS[wildcards.report].model_dump())


def get_jobs(*rules):
    """The jobs of some rules that lead to what was asked for."""
    jobs = workflow.dag.jobs if workflow.dag else ()
    return [job for job in jobs if job.rule.name in rules]


def get_cells_to_train():
    """The cells that are about to be trained."""
    wanted = set(workflow.dag.needrun_jobs())
    jobs = get_jobs("train", "train_keep")
    return [get_cell(job.wildcards) for job in jobs if job in wanted]


def get_reports():
    """The pages that were asked for."""
    return [job.output[0] for job in get_jobs("report")]


def get_claim_files():
    """The published tables that the study is compared with: a corrected claim is judged again."""
    if STUDY.claims is None:
        return []
    folders = [*STUDY.claims.original, *STUDY.claims.reproductions]
    return sorted(str(file) for folder in folders for file in Path(folder).glob("*.*"))
