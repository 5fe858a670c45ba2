"""Patches of snakemake-executor-plugin-slurm, pinned to the version that they were written for."""

import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from renorm.core.errors import RenormError
from renorm.core.machine import package_version
from renorm.execution.slurm import queue
from renorm.execution.slurm.submit import Submissions
from renorm.execution.slurm.watch import Watch
from renorm.runs.job_log import JobEntry
from renorm.study.cell import Cell

PLUGIN = "snakemake-executor-plugin-slurm"
VERSION = "2.8"
# What is patched, with the parameters that the patches pass on.
PATCHED = {
    "get_min_job_age": [], "is_query_tool_available": ["tool_name"], "query_job_status": ["command", "logger"],
    "get_submit_command": ["job", "params", "settings", "failed_nodes", "array_job"], "set_gres_string": ["job"],
    "validate_slurm_extra": ["job"], "Executor.check_active_jobs": ["self", "active_jobs"],
    "Executor.run_job": ["self", "job"], "Executor._report_job_submission_threadsafe": ["self", "job_info"],
    "Executor.cancel_jobs": ["self", "active_jobs"],
    "Executor.additional_general_args": ["self"],
}  # fmt: skip
POLL_SECONDS = 60  # between two polls of the jobs, at most; the plugin would go up to 180


def check_plugin(plugin: ModuleType) -> None:
    """Raise `RenormError` when the plugin's functions differ from those of version 2.8; warn of another version."""
    installed = package_version(PLUGIN) or "unknown"
    for name, parameters in PATCHED.items():
        function: object = plugin
        for part in name.split("."):
            function = getattr(function, part, None)
        found = list(inspect.signature(function).parameters) if callable(function) else None
        if found != parameters:
            raise RenormError(
                f"{PLUGIN}: version {installed}: {name} is not that of {VERSION}, for which the patches were written: "
                f"pip install '{PLUGIN}~={VERSION}.0'"
            )
    if not installed.startswith(f"{VERSION}."):
        print(f"renorm: {PLUGIN}: version {installed} is installed and the patches are for {VERSION}: "
              f"pip install '{PLUGIN}~={VERSION}.0'", file=sys.stderr)  # fmt: skip


@dataclass
class QueuePollState:
    """The last poll: whether Slurm answered, the jobs asked for, and which of them it did not list."""

    answered: bool = True
    expected: Mapping[str, JobEntry] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


def cell_of(job) -> str:
    """The cell that a job of rule `train` trains, as in the names of files."""
    try:
        values = dict(job.wildcards.items())
        return Cell(**values | {"epochs": int(values["epochs"]), "seed": int(values["seed"])}).path
    except (AttributeError, KeyError, TypeError, RenormError):
        return str(job)


def entry_of(number: str, job) -> JobEntry:
    """What is known of a job when it is submitted."""
    return JobEntry(number, cell_of(job), int(job.resources.get("gpu") or 0), int(job.threads))


def patch_slurm_plugin(settings, results_dir: Path, watch: Watch, orphans: Mapping[str, queue.QueueJob]) -> None:
    """Repair faults of snakemake-executor-plugin-slurm 2.8.

    It forgets its jobs when Slurm does not answer; it waits for ever for a job that Slurm has forgotten or that can
    never start; it fails a job when the queue is full; it submits jobs again that a killed Snakemake left in the queue;
    and it sends a retry to the node on which the job died. One Snakemake instead of two runs in a job: the second one
    started by `srun` costs seconds of CPU, and `srun` finds no cluster where SLURM_CONF comes from a module.

    Args:
        settings: Snakemake's settings of the executor.
        results_dir: Of the study.
        watch: Learns what happens to the jobs.
        orphans: Values of the wildcards, joined by `_` → job in the queue that trains this cell.

    Raises:
        RenormError: The plugin's functions are not those that the patches were written for.
    """
    import snakemake_executor_plugin_slurm as plugin

    check_plugin(plugin)
    settings.status_command = "sacct" if watch.accounting else "squeue"
    if not watch.accounting:
        # The plugin would change to sacct by itself, which has nothing to ask.
        plugin.is_query_tool_available = lambda tool: tool == "squeue"
    age = plugin.get_min_job_age()
    # Asked before each poll, and then, too, there may be no answer.
    plugin.get_min_job_age = lambda: age
    # On exit it removes empty folders, in which jobs of others that wait would write their logs.
    settings.delete_logfiles_older_than = 0
    state, executor = QueuePollState(), plugin.Executor
    plugin.query_job_status = mark_vanished_jobs(plugin.query_job_status, state, watch)
    executor.check_active_jobs = keep_jobs_when_unreachable(executor.check_active_jobs, state)
    submissions = Submissions(watch.say, watch.give_up_seconds)
    plugin.subprocess = _Subprocess(submissions)
    plugin.get_submit_command = submit_command(plugin.get_submit_command, results_dir, watch, submissions)
    executor.run_job = take_over_or_submit(executor.run_job, watch, dict(orphans))
    executor._report_job_submission_threadsafe = note_submission(executor._report_job_submission_threadsafe, watch)
    executor.cancel_jobs = stop_submissions(executor.cancel_jobs, submissions)
    executor.additional_general_args = lambda self: "--executor local --jobs 1"


class _Subprocess:
    """`subprocess` with another Popen."""

    def __init__(self, submissions: Submissions):
        self.Popen = submissions.popen

    def __getattr__(self, name: str):
        return getattr(subprocess, name)


def submit_command(compose: Callable, results_dir: Path, watch: Watch, submissions: Submissions) -> Callable:
    """`get_submit_command` whose jobs say in their comments whose they are, and avoid the nodes where they died."""

    def command(job, params, settings=None, failed_nodes=None, array_job=False):
        submissions.thread.avoid = watch.avoid(cell_of(job))
        comment = f"{params['comment_str']} {queue.marker(results_dir, inputs_of(job))}"
        return compose(job, params | {"comment_str": comment}, settings, failed_nodes, array_job)

    return command


def inputs_of(job) -> str:
    """What the numbers of a job of rule `train` depend on."""
    return str(getattr(job.params, "hyper", ""))


def take_over_or_submit(run_job: Callable, watch: Watch, orphans: dict[str, queue.QueueJob]) -> Callable:
    """`run_job` that polls the job of a cell that a killed Snakemake left in the queue instead of submitting another.

    Only one whose training depends on the same inputs; another is left alone, and the cell's new job waits for it.
    """
    from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

    lock = threading.Lock()

    def run(self, job):
        cell, values = cell_of(job), "_".join(map(str, getattr(job, "wildcards", ())))
        if cell in watch.gave_up:
            message = f"{cell}: not submitted again: {watch.gave_up[cell]}"
            return self._report_job_error_threadsafe(SubmittedJobInfo(job), message)
        with lock:
            found = orphans.pop(values, None)
        if not found or found.inputs != queue.digest(inputs_of(job)):
            return run_job(self, job)
        watch.names.add(found.name)
        watch.say(f"{cell}: job {found.id} of a previous run is in the queue: taken over")
        log = self.slurm_logdir / f"rule_{job.name}" / values / f"{found.id}.log"
        info = SubmittedJobInfo(job, external_jobid=found.id, aux={"slurm_logfile": log})
        return self._report_job_submission_threadsafe(info)

    return run


def note_submission(report: Callable, watch: Watch) -> Callable:
    """`_report_job_submission_threadsafe` that keeps the number of the job."""

    def note(self, job_info):
        watch.note([entry_of(job_info.external_jobid, job_info.job)])
        return report(self, job_info)

    return note


def stop_submissions(cancel_jobs: Callable, submissions: Submissions) -> Callable:
    """`cancel_jobs` after which no submission waits for a full queue."""

    def cancel(self, active_jobs):
        submissions.stopped.set()
        return cancel_jobs(self, active_jobs)

    return cancel


def mark_vanished_jobs(query: Callable, state: QueuePollState, watch: Watch) -> Callable:
    """`query_job_status` that ends a job (UNKNOWN) when squeue did not list it twice.

    Snakemake then looks for its output.
    """

    async def poll(command, logger):
        for name in sorted(watch.names):
            command += f",{name}"  # the command ends with --name and that of this run
        states, duration = await query(command, logger)
        state.answered = states is not None
        if states is None:
            logger.warning("Slurm does not answer; jobs go on, asking again.")
            return None, None
        if command.startswith("squeue"):
            absent = state.expected.keys() - states.keys()
            states |= dict.fromkeys(absent & state.absent, "UNKNOWN")
            state.absent = frozenset(absent)
        watch.after_poll(state.expected, states)
        return states, duration

    return poll


def keep_jobs_when_unreachable(check_active_jobs: Callable, state: QueuePollState) -> Callable:
    """`check_active_jobs` that keeps every job active while Slurm does not answer, and polls at least once a minute."""

    async def poll(self, active_jobs):
        state.expected = {job.external_jobid: entry_of(job.external_jobid, job.job) for job in active_jobs}
        still = [job async for job in check_active_jobs(self, active_jobs)]
        for job in still if state.answered else active_jobs:
            yield job
        self.next_seconds_between_status_checks = min(self.next_seconds_between_status_checks, POLL_SECONDS)

    return poll
