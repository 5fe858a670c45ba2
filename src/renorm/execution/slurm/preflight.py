"""What is asked of the cluster before the first job is submitted: does it accept every kind of job of the study?

Slurm is asked with the command that the executor's plugin will submit with, and `--test-only`.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from renorm.core.errors import RenormError, suggest
from renorm.execution import job_queue
from renorm.execution.slurm import limits, queue
from renorm.execution.slurm.commands import ask, rows, words
from renorm.execution.slurm.plugin_patches import check_plugin, inputs_of, patch_slurm_plugin
from renorm.execution.slurm.submit import LATER
from renorm.execution.slurm.watch import Watch
from renorm.runs import job_log

PROFILE = "slurm/config.yaml"
GIVE_UP_HOURS = 24
# What to do about some of sbatch's refusals, beside its own words.
HINTS = {
    "Invalid account": "`sacctmgr show associations user=$USER` lists yours",
    "Invalid qos": "`sacctmgr show associations user=$USER format=qos` lists yours",
    "Invalid feature": "`sinfo -o '%P %f'` lists what `constraint` can name",
    "Invalid generic resource": "`sinfo -o '%P %G'` lists the GPUs",
    "Requested node configuration is not available": "`sinfo -o '%P %G %c %m'` lists GPUs, cores and memory",
    "Requested time limit is invalid": "`sinfo -o '%P %l'` lists the time limits",
    "Requested partition configuration not available": "`sinfo -o '%P %l'` lists the limits",
}
# Resources by which two jobs of one kind may differ; of each kind the largest are tried.
AMOUNTS = {"mem_mb", "mem_mib", "disk_mb", "disk_mib", "runtime", "wait", "keep", "tmpdir"}
SHOWN = ("slurm_account", "constraint", "qos", "gpu_model", "gres", "nodes", "slurm_extra")


def check(workflow, executor, jobs: Iterable) -> None:
    """Raise `RenormError` when the cluster would refuse one of the jobs at any try; nothing is submitted.

    Sets the ceiling of what later tries ask for.
    """
    known = limits.partitions()
    tries = 1 + max(workflow.remote_execution_settings.preemptible_retries or 0, workflow.execution_settings.retries)
    for job in _largest(jobs):
        chosen = _partitions(job, known)
        bound = limits.ceiling(chosen)
        limits.CEILING.minutes, limits.CEILING.mem_mb = bound.minutes, bound.mem_mb
        for attempt in sorted({1, tries}):
            job.attempt = attempt
            try:
                _check_bounds(job, chosen, bound)
                _check_accepted(workflow, executor, job)
            finally:
                job.attempt = 1


def _largest(jobs: Iterable) -> Iterator:
    """Of every kind of job that with the longest run time and that with the most memory."""
    most: dict[tuple, dict[str, object]] = {}
    for job in jobs:
        kind = tuple(sorted((key, str(value)) for key, value in job.resources.items() if key not in AMOUNTS))
        best = most.setdefault((job.threads, *kind), {})
        for key in ("runtime", "mem_mb"):
            if key not in best or _amount(job, key) > _amount(best[key], key):
                best[key] = job
    for best in most.values():
        yield from {id(job): job for job in best.values()}.values()


def _amount(job, key: str) -> int:
    value = job.resources.get(key)
    return value if isinstance(value, int) else 0


def _partitions(job, known: dict[str, limits.Partition]) -> list[limits.Partition]:
    """Those that the job names, if all of them are known; Slurm takes several, separated by commas."""
    names = [name for name in str(job.resources.get("slurm_partition") or "").split(",") if name]
    return [known[name] for name in names] if all(name in known for name in names) else []


def _check_bounds(job, chosen: list[limits.Partition], bound: limits.Ceiling) -> None:
    # Slurm would accept the job and never start it (PartitionTimeLimit, MaxMemPerLimit).
    where = " and ".join(f"'{one.name}'" for one in chosen)
    minutes, mem_mb = _amount(job, "runtime"), _amount(job, "mem_mb")
    if bound.minutes is not None and minutes > bound.minutes:
        raise RenormError(
            f"{PROFILE}: partition {where} allows {bound.minutes} minutes and the longest job asks for {minutes}: take "
            f"another partition, or let jobs be stopped and resumed: --set-resources train:runtime={bound.minutes}"
        )
    if bound.mem_mb is not None and mem_mb > bound.mem_mb:
        raise RenormError(
            f"{PROFILE}: partition {where} allows {bound.mem_mb} MB of memory a node and the largest job asks for "
            f"{mem_mb}: take another partition, or try --set-resources train:mem_mb={bound.mem_mb}"
        )


def _check_accepted(workflow, executor, job) -> None:
    try:
        command = submission(workflow, executor, job)
    except Exception as error:  # the plugin's own checks raise several kinds
        raise RenormError(f"{PROFILE}: {' '.join(str(error).split())}") from None
    answer = subprocess.run(command, shell=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    if not answer.returncode:
        return
    reason = words(answer.stderr)
    if LATER.search(answer.stderr):
        print(f"renorm: the queue takes no more jobs at present ({reason})", file=sys.stderr)
        return
    if "invalid partition" in reason.lower():
        known = limits.partitions()
        name = next((n for n in str(job.resources.get("slurm_partition")).split(",") if n not in known), None)
        if name:
            hint = suggest(name, known) if len(known) > 8 else ""
            raise RenormError(f"{PROFILE}: partition '{name}' does not exist; this cluster has: "
                              f"{', '.join(sorted(known))}{hint and '; '}{hint}")  # fmt: skip
    hint = next((f"; {hint}" for said, hint in HINTS.items() if said.lower() in reason.lower()), "")
    raise RenormError(f"{PROFILE}: the cluster would never run {describe(job)}: {reason}{hint}")


def submission(workflow, executor, job) -> str:
    """The plugin's own command for the job, with `--test-only` and without the job's script."""
    import snakemake_executor_plugin_slurm as plugin

    plugin.validate_slurm_extra(job)
    talkative, executor.logger = executor.logger, _silent()
    try:
        parameters = {
            "run_uuid": "renorm", "slurm_logfile": "/dev/null", "comment_str": "renorm",
            "account": next(executor.get_account_arg(job)), "partition": executor.get_partition_arg(job),
            "workdir": workflow.workdir_init,
        }  # fmt: skip
    finally:
        executor.logger = talkative
    command = plugin.get_submit_command(job, parameters, settings=workflow.executor_settings)
    return f"{command}{plugin.set_gres_string(job)} --test-only --wrap=true"


def _silent() -> logging.Logger:
    logger = logging.getLogger("renorm.preflight")
    logger.disabled = True
    return logger


def describe(job) -> str:
    """The job's request in words."""
    get = job.resources.get
    where = f"partition '{get('slurm_partition')}'" if get("slurm_partition") else "the default partition"
    more = "".join(f", {key} {get(key)}" for key in SHOWN if get(key) not in (None, "", 1))
    return (f"{where}{more}: {get('gpu') or 0} GPU, {job.threads} CPU, {_amount(job, 'mem_mb')} MB, "
            f"{_amount(job, 'runtime')} minutes")  # fmt: skip


def has_accounting() -> bool:
    """Whether sacct has a database to ask."""
    found = re.search(r"^AccountingStorageType\s*=\s*(\S+)", ask("scontrol", "show", "config").stdout, re.M)
    return found is not None and found[1].endswith("slurmdbd") and shutil.which("sacct") is not None


def check_surroundings() -> None:
    """Raise `RenormError` without Slurm's commands, and where the executor's unquoted commands would fail."""
    for program in ("sbatch", "squeue", "sinfo", "scontrol", "scancel"):
        if not shutil.which(program):
            raise RenormError(
                f"executor slurm: there is no '{program}' on the PATH: start where Slurm's commands are (a login node, "
                "perhaps after `module load slurm`), or use --profile workflow/profiles/gpu"
            )
    for what, path in (("the working directory", os.getcwd()), ("Python", sys.executable)):
        if re.search(r"[^\w@%+=:,./~-]", path):
            raise RenormError(
                f"executor slurm: {path}: {what} has a character in its path that Snakemake does not quote in jobs "
                "(a blank, a parenthesis): move it, or start in a path without"
            )


def _note(results: Path, entries: list[job_log.JobEntry]) -> None:
    """A full disk must not end the watch over the jobs."""
    try:
        job_log.append(results, entries)
    except RenormError as error:
        print(f"renorm: {error}", file=sys.stderr)


def complete_job_log(results: Path, queued: Iterable[str]) -> None:
    """Ask the accounting how jobs ended for which no Snakemake was there any more."""
    unknown = {one.job: one for one in job_log.read(results) if one.state == job_log.SUBMITTED}
    for number in queued:
        unknown.pop(number, None)
    if unknown:
        answer = ask("sacct", "-X", "--noheader", "--parsable2", f"--jobs={','.join(unknown)}",
                     "--format=JobIDRaw,State,NodeList,ElapsedRaw")  # fmt: skip
        found = [row for row in rows(answer.stdout, 4) if row[0] in unknown and row[3].isdigit()]
        _note(results, [replace(unknown[number], state=state.split()[0], node=node, seconds=float(seconds))
                        for number, state, node, seconds in found])  # fmt: skip


def prepare_executor(workflow, results_dir: str) -> None:
    """For Snakemake's `onstart` under the Slurm executor: refuse what cannot work, take over what is in the queue.

    Raises `RenormError` when another Snakemake submits jobs of the same results, the cluster would never run one of the
    jobs, Slurm does not answer, or the plugin is not what the patches expect.
    """
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    if not jobs:
        return
    import snakemake_executor_plugin_slurm as plugin

    check_surroundings()
    check_plugin(plugin)
    executor = workflow.scheduler._executor
    check(workflow, executor, jobs)
    results = Path(results_dir)
    job_queue.hold(results)
    orphans = {job.cell: job for job in queue.jobs(results)}
    accounting = has_accounting()
    if accounting:
        complete_job_log(results, [job.id for job in orphans.values()])
    hours = max((float(job.resources.get("give_up_hours") or 0) for job in jobs), default=0) or GIVE_UP_HOURS
    watch = Watch(
        say=lambda line: print(f"renorm: {line}", file=sys.stderr, flush=True), give_up_seconds=3600 * hours,
        accounting=accounting, note=lambda entries: _note(results, entries),
    )  # fmt: skip
    patch_slurm_plugin(workflow.executor_settings, results, watch, orphans)
    executor.slurm_logdir = results.absolute() / "slurm_logs"
    wanted = {
        "_".join(map(str, job.wildcards)): queue.digest(inputs_of(job)) for job in jobs if job.rule.name == "train"
    }
    taken = [job for name, job in orphans.items() if wanted.get(name) == job.inputs]
    if taken:
        print(f"renorm: {len(taken)} jobs of a previous run are in the queue: they are taken over, not submitted again",
              file=sys.stderr)  # fmt: skip
