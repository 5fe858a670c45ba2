"""Patches of snakemake-executor-plugin-slurm, pinned to the version that they were written for."""

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from renorm.core.errors import RenormError
from renorm.core.machine import package_version

PLUGIN = "snakemake-executor-plugin-slurm"
VERSION = "2.8"
# What is patched, with the parameters that the patches pass on.
PATCHED = {
    "get_min_job_age": [], "is_query_tool_available": ["tool_name"], "query_job_status": ["command", "logger"],
    "get_submit_command": ["job", "params", "settings", "failed_nodes", "array_job"],
    "Executor.check_active_jobs": ["self", "active_jobs"],
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
    """The last poll: whether Slurm answered, which jobs were asked for, and which of them it did not list."""

    answered: bool = True
    expected: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()


def patch_slurm_plugin(settings, accounting: bool) -> None:
    """Repair three faults of snakemake-executor-plugin-slurm 2.8.

    It forgets its jobs when Slurm does not answer; it waits for ever for a job that Slurm has forgotten; and it fails a
    job when the queue is full.

    Args:
        settings: Snakemake's settings of the executor.
        accounting: Whether `sacct` can be asked for job states; else `squeue` is.

    Raises:
        RenormError: The plugin's functions are not those that the patches were written for.
    """
    import snakemake_executor_plugin_slurm as plugin

    check_plugin(plugin)
    settings.status_command = "sacct" if accounting else "squeue"
    if not accounting:
        # The plugin would change to sacct by itself, which has nothing to ask.
        plugin.is_query_tool_available = lambda tool: tool == "squeue"
    age = plugin.get_min_job_age()
    # Asked before each poll, and then, too, there may be no answer.
    plugin.get_min_job_age = lambda: age
    state = QueuePollState()
    plugin.query_job_status = mark_vanished_jobs(plugin.query_job_status, state)
    plugin.Executor.check_active_jobs = keep_jobs_when_unreachable(plugin.Executor.check_active_jobs, state)
    command = plugin.get_submit_command
    submit = f"{sys.executable} -m renorm.execution.slurm.submit {os.getpid()}"
    plugin.get_submit_command = lambda *a, **k: f"{submit} {command(*a, **k)}"


def mark_vanished_jobs(query: Callable, state: QueuePollState) -> Callable:
    """`query_job_status` that ends a job (UNKNOWN) when squeue did not list it twice.

    Snakemake then looks for its output.
    """

    async def poll(command, logger):
        states, duration = await query(command, logger)
        state.answered = states is not None
        if states is None:
            logger.warning("Slurm does not answer; jobs go on, asking again.")
            return None, None
        if command.startswith("squeue"):
            absent = state.expected - states.keys()
            states |= dict.fromkeys(absent & state.absent, "UNKNOWN")
            state.absent = absent
        return states, duration

    return poll


def keep_jobs_when_unreachable(check_active_jobs: Callable, state: QueuePollState) -> Callable:
    """`check_active_jobs` that keeps every job active while Slurm does not answer, and polls at least once a minute."""

    async def poll(self, active_jobs):
        state.expected = frozenset(job.external_jobid for job in active_jobs)
        still = [job async for job in check_active_jobs(self, active_jobs)]
        for job in still if state.answered else active_jobs:
            yield job
        self.next_seconds_between_status_checks = min(self.next_seconds_between_status_checks, POLL_SECONDS)

    return poll
