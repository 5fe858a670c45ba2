"""Around the Slurm executor, without a cluster: limits, submission, patches."""

import asyncio
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from renorm.core.errors import RenormError
from renorm.execution.slurm import plugin_patches, preflight


@pytest.mark.parametrize(
    ("text", "expected"),
    [("infinite", None), ("30:00", 30), ("2:30:00", 150), ("2-00:00:00", 2880), ("1-02:03:04", 1563), ("n/a", None)],
)
def test_slurms_time_limits(text, expected):
    assert preflight.minutes(text) == expected


def test_what_sbatch_refuses_for_good_is_not_tried_again(tmp_path):
    refuse = tmp_path / "sbatch"
    refuse.write_text("#!/bin/sh\necho x >> count\necho 'sbatch: error: Invalid account' >&2\nexit 1\n")
    refuse.chmod(0o755)
    command = [sys.executable, "-m", "renorm.execution.slurm.submit", str(os.getpid()), str(refuse), "-p", "gpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (done.returncode, "Invalid account" in done.stderr) == (1, True)
    assert (tmp_path / "count").read_text() == "x\n"


def test_submission_is_given_up_when_snakemake_is_gone(tmp_path):
    refuse = tmp_path / "sbatch"
    refuse.write_text("#!/bin/sh\necho 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2\nexit 1\n")
    refuse.chmod(0o755)
    gone = subprocess.Popen(["true"])
    gone.wait()
    command = [sys.executable, "-m", "renorm.execution.slurm.submit", str(gone.pid), str(refuse)]
    assert subprocess.run(command, capture_output=True, timeout=30).returncode == 1


def polls_of(answers: list) -> list[list[str]]:
    """What stays active of jobs 1 and 2, poll by poll, when Slurm answers with `answers` (None: not at all)."""
    queue = list(answers)

    async def query(command, logger):
        answer = queue.pop(0)
        return (None, None) if answer is None else (dict(answer), 0.1)

    state = plugin_patches.QueuePollState()
    patient = plugin_patches.mark_vanished_jobs(query, state)

    async def plugins(self, active_jobs):
        states, _ = await patient("squeue --name x", logging.getLogger())
        for job in active_jobs if states is not None else ():
            if states.get(job.external_jobid) not in ("COMPLETED", "UNKNOWN"):
                yield job

    check, out = plugin_patches.keep_jobs_when_unreachable(plugins, state), []
    executor = SimpleNamespace(next_seconds_between_status_checks=170)

    async def run():
        active = [SimpleNamespace(external_jobid=number) for number in ("1", "2")]
        for _ in answers:
            active = [job async for job in check(executor, active)]
            out.append([job.external_jobid for job in active])

    asyncio.run(run())
    assert executor.next_seconds_between_status_checks == plugin_patches.POLL_SECONDS
    return out


def test_jobs_are_kept_while_slurm_does_not_answer():
    running = {"1": "RUNNING", "2": "RUNNING"}
    assert polls_of([running, None, None, {"1": "COMPLETED", "2": "RUNNING"}]) == [["1", "2"]] * 3 + [["2"]]


def test_a_job_that_slurm_forgot_has_ended_after_two_polls():
    assert polls_of([{"2": "RUNNING"}, {"2": "RUNNING"}]) == [["1", "2"], ["2"]]
    # Once is not enough, and silence is no poll.
    both = {"1": "RUNNING", "2": "RUNNING"}
    assert polls_of([{"2": "RUNNING"}, both, {"2": "RUNNING"}]) == [["1", "2"]] * 3
    assert polls_of([{"2": "RUNNING"}, None, {"2": "RUNNING"}]) == [["1", "2"], ["1", "2"], ["2"]]


def test_the_installed_plugin_is_the_one_that_is_patched(capsys):
    import snakemake_executor_plugin_slurm as plugin

    plugin_patches.check_plugin(plugin)
    assert capsys.readouterr().err == ""
    assert callable(plugin.Executor.get_status_command)


def test_another_plugin_is_one_line(monkeypatch, capsys):
    import snakemake_executor_plugin_slurm as plugin

    monkeypatch.setattr(plugin_patches, "package_version", lambda name: "2.9.1")
    plugin_patches.check_plugin(plugin)
    (line,) = capsys.readouterr().err.splitlines()
    assert "version 2.9.1 is installed and the patches are for 2.8" in line
    monkeypatch.setattr(plugin, "get_submit_command", lambda job, options: "")
    with pytest.raises(RenormError, match="version 2.9.1: get_submit_command is not that of 2.8"):
        plugin_patches.check_plugin(plugin)
    monkeypatch.delattr(plugin, "get_submit_command")
    with pytest.raises(RenormError, match=r"get_submit_command .* pip install '.*~=2.8.0'"):
        plugin_patches.check_plugin(plugin)
