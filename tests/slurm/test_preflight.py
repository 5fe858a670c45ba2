"""What is asked of a real cluster before the first job is submitted, with the plugin's own command."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin

from renorm.core.errors import RenormError
from renorm.execution import job_queue
from renorm.execution.slurm import limits, preflight, queue

from .survival import survives

pytestmark = pytest.mark.slurm
REQUEST = {"slurm_partition": "gpu", "nodes": 1, "gpu": 1, "mem_mb": 2000, "runtime": 30}


class Resources(dict):
    """As Snakemake gives them to a plugin."""

    __getattr__ = dict.get


class Job:
    """A job as far as the plugin looks at it, whose requests grow with its tries."""

    threads, is_local, wildcards = 1, False, ()

    def __init__(self, **resources):
        self.wanted, self.attempt = REQUEST | resources, 1

    @property
    def resources(self) -> Resources:
        values = {key: value for key, value in self.wanted.items() if value is not None}
        if self.wanted.get("grow"):
            first = values["runtime"]
            values["runtime"] = limits.capped(first * self.attempt, first, limits.CEILING.minutes)
        return Resources(values)


@pytest.fixture
def check(running_cluster, monkeypatch):
    """Ask the running cluster about one job."""
    for key, value in running_cluster.env.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(limits, "CEILING", limits.Ceiling())
    monkeypatch.setattr(preflight.limits, "CEILING", limits.CEILING)
    settings = SimpleNamespace(requeue=True, no_requeue=False, qos=None, reservation=None)
    executor = object.__new__(plugin.Executor)
    executor.logger, executor._fallback_account_arg, executor._partitions = None, None, None
    executor._fallback_partition = None
    workflow = SimpleNamespace(
        executor_settings=settings, workdir_init=os.getcwd(), execution_settings=SimpleNamespace(retries=2),
        remote_execution_settings=SimpleNamespace(preemptible_retries=None),
    )  # fmt: skip
    return lambda **resources: preflight.check(workflow, executor, [Job(**resources)])


@pytest.mark.parametrize(
    "resources",
    [
        {}, {"slurm_partition": "gpu,short"},
        {"slurm_partition": "kinds", "constraint": "a100&amd"}, {"slurm_partition": "kinds", "gpu_model": "a100"},
        {"slurm_partition": "kinds", "gpu_model": "1g.10gb"}, {"slurm_extra": "--exclusive --exclude=node1"},
        {"gpu": 0, "gres": "gpu:1"}, {"nodes": 2, "gpu": 4}, {"slurm_partition": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_documentation_offers_is_accepted(check, resources):
    """Types, features, MIG slices, partition lists, hidden partitions, several nodes, sites that take --gres only."""
    check(**resources)


@survives(
    "wrong partition, GPU type, constraint, reservation or option, typed `gres`, more GPUs, memory or time",
    "one line in Slurm's words, nothing submitted",
    "12 of 12",
)
@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"slurm_extra": "--constraint=a100"}, "constraint.* not allowed in the 'slurm_extra'"),
        ({"gpu_model": "v100"}, "gpu_model v100.*(Invalid generic resource|not available)"),
        ({"gres": "gpu:a100:1"}, "Invalid GRES specification"),
        ({"slurm_extra": "--reservation=nope"}, "reservation"),
        ({"constraint": "h200"}, "Invalid feature specification; .sinfo"),
        ({"slurm_partition": "gpus"}, "partition 'gpus' does not exist; this cluster has: closed, cpu"),
        ({"slurm_partition": "cpu"}, "partition 'cpu': 1 GPU.*Requested node configuration is not available"),
        ({"gpu": 3}, "3 GPU.*not available"),
        ({"runtime": 4000}, "allows 2880 minutes and the longest job asks for 4000"),
        ({"slurm_partition": "short", "mem_mb": 3500, "runtime": 9}, "allows 3000 MB .* asks for 3500"),
        ({"slurm_partition": "short,gpu", "runtime": 4000}, "'short' and 'gpu' allows 2880 minutes"),
        ({"slurm_extra": "--no-such-option"}, "unrecognized option"),
    ],
    ids=str,
)  # fmt: skip
def test_every_refusal_is_one_line_in_slurms_words(check, resources, said):
    with pytest.raises(RenormError, match=said) as caught:
        check(**resources)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("slurm/config.yaml: ")


@survives("a third try that would exceed the partition's limit", "asks for the limit", "15, 20, 20 of 20 minutes")
def test_later_tries_stop_growing_at_the_partitions_limit(check):
    """The first try asks for 15 of 20 minutes; the third would ask for 45, which `short` accepts and never starts."""
    check(slurm_partition="short", runtime=15, grow=True)
    assert (limits.CEILING.minutes, limits.CEILING.mem_mb) == (20, 3000)
    assert [limits.capped(15 * tries, 15, 20) for tries in (1, 2, 3)] == [15, 20, 20]
    # What the first try asks for, on the command line say, is never lowered.
    assert limits.capped(60, 30, 20) == 30


def put_before(monkeypatch, folder, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    if not os.environ["PATH"].startswith(f"{folder}:"):
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@survives("sbatch, squeue, sinfo and scontrol that print banners", "only their answers are read", "4 programs")
def test_banners_and_account_lists_are_read(check, running_cluster, monkeypatch, tmp_path):
    for program in ("sbatch", "squeue", "sinfo", "scontrol"):
        real = running_cluster.run("which", program).strip()
        put_before(
            monkeypatch, tmp_path / "bin", program, f'echo "Maintenance on Monday: 120 of 500 hours"\nexec {real} "$@"'
        )
    put_before(monkeypatch, tmp_path / "bin", "sacctmgr", "echo mine; echo ours")
    check(slurm_partition="short", runtime=9, slurm_account="mine,ours")
    assert limits.CEILING.minutes == 20
    with pytest.raises(RenormError, match=r"account theirs appears to be invalid. Available accounts: (mine|ours), "):
        check(slurm_account="theirs")
    with pytest.raises(RenormError, match="Invalid feature"):
        check(constraint="h200")
    assert queue.jobs(tmp_path) == []


POLICY = """\
echo "sbatch: error: {code}" >&2
echo "allocation failure: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)" >&2
exit 1"""


@survives(
    "a policy's limit, and a full queue, at the start",
    "the first is final, the second is said",
    "1 refused, 1 accepted",
)
def test_a_policy_limit_is_final_and_a_full_queue_is_not(check, monkeypatch, tmp_path, capsys):
    put_before(monkeypatch, tmp_path / "bin", "sbatch", POLICY.format(code="QOSMaxWallDurationPerJobLimit"))
    with pytest.raises(RenormError, match="QOSMaxWallDurationPerJobLimit; Job violates accounting/QOS policy"):
        check()
    put_before(monkeypatch, tmp_path / "bin", "sbatch", POLICY.format(code="QOSMaxSubmitJobPerUserLimit"))
    check()
    assert "the queue takes no more jobs at present (QOSMaxSubmitJobPerUserLimit" in capsys.readouterr().err


@survives("a path with a blank or a parenthesis", "refused in one line", "2 of 2; `prôject` is accepted")
def test_a_path_that_snakemake_does_not_quote_is_refused(check, monkeypatch, tmp_path):
    preflight.check_surroundings()
    for name in ("my project", "x (1)"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with pytest.raises(RenormError, match="has a character in its path that Snakemake does not quote"):
            preflight.check_surroundings()
    (tmp_path / "prôject").mkdir()
    monkeypatch.chdir(tmp_path / "prôject")
    preflight.check_surroundings()


@survives("squeue does not answer", "`renorm resume-study` says so and does not start Snakemake", "exit code 2")
def test_a_slurm_that_does_not_answer_is_not_an_empty_queue(check, monkeypatch, tmp_path):
    put_before(
        monkeypatch,
        tmp_path / "bin",
        "squeue",
        "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
    )
    with pytest.raises(RenormError, match="Slurm does not answer .*Unable to contact"):
        queue.jobs(tmp_path)
    # Slurm is asked about a study that was ever submitted.
    (tmp_path / "results" / job_queue.LOCK).parent.mkdir(parents=True)
    (tmp_path / "results" / job_queue.LOCK).touch()
    done = subprocess.run([sys.executable, "-m", "renorm", "resume-study", "--", "--version"], cwd=tmp_path,
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("renorm: squeue: Slurm does not answer")
