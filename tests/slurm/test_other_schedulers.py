"""The profiles for PBS and Grid Engine, with programs that queue jobs as qsub, qstat and qdel do."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest

from renorm.execution import job_queue

from .conftest import SlurmCheckout, study
from .test_survival import LONG, finish

pytestmark = pytest.mark.pipeline
pytest.importorskip("snakemake_executor_plugin_cluster_generic")

# One job at a time runs; the others wait. A job is a folder: its script, later its process.
QSUB = """\
#!/bin/sh
echo "$@" >> {folder}/asked
for script; do :; done
number=$(ls {folder}/jobs | wc -l)
number=$((number + 4711))
mkdir {folder}/jobs/$number
echo "Welcome to cluster HAL 2026!"
echo $number{server}
(
    exec > /dev/null 2>&1
    flock 9
    [ -e {folder}/jobs/$number/deleted ] && exit
    touch {folder}/jobs/$number/running
    {variable}=$number{server} setsid sh "$script" 9>&- &
    echo $! > {folder}/jobs/$number/pid
    wait
    touch {folder}/jobs/$number/deleted
) 9>> {folder}/lock &
"""
QSTAT = """\
#!/bin/sh
[ ! -e {folder}/silent ] || {{ echo "qstat: cannot connect to server" >&2; exit 1; }}
[ "$1" != -j ] || shift
found=1
echo "Job id    Name    User    Time Use S Queue"
for job in {folder}/jobs/*; do
    [ -d "$job" ] && [ ! -e "$job/deleted" ] || continue
    number=${{job##*/}}
    [ -z "$1" ] || [ "$1" = "$number{server}" ] || continue
    found=0
    if [ -e "$job/running" ]; then state={running}; else state={waiting}; fi
    echo "$number{server}  {columns}"
done
[ -z "$1" ] || exit $found
"""
QDEL = """\
#!/bin/sh
for number; do
    job={folder}/jobs/${{number%%.*}}
    touch $job/deleted
    [ ! -e $job/pid ] || kill -TERM -$(cat $job/pid)
done
"""
DIALECTS = {
    "pbs": {"server": ".hal", "variable": "PBS_JOBID", "running": "R", "waiting": "Q",
            "columns": "renorm  me  00:00:01 $state gpu"},
    "sge": {"server": "", "variable": "JOB_ID", "running": "r", "waiting": "qw",
            "columns": "0.55500 renorm me $state 11/25/2026 10:00:00 gpu@node1 1"},
}  # fmt: skip


@pytest.fixture
def checkout(request, make_checkout, tmp_path):
    made: SlurmCheckout = make_checkout(tmp_path / "checkout", SimpleNamespace(env=dict(os.environ)), data=True)
    programs = tmp_path / "programs"
    (programs / "jobs").mkdir(parents=True)
    for name, text in (("qsub", QSUB), ("qstat", QSTAT), ("qdel", QDEL)):
        (programs / name).write_text(text.format(folder=programs, **DIALECTS[request.param]))
        (programs / name).chmod(0o755)
    made.extra["PATH"] = f"{programs}:{os.environ['PATH']}"
    profile = f"workflow/profiles/{request.param}"
    made.command = lambda *more, config="study.yaml": [  # type: ignore[method-assign]
        sys.executable, "-m", "snakemake", "--profile", profile, "--configfile", config, "--latency-wait", "5", *more,
    ]  # fmt: skip
    yield made, programs
    for pid in programs.glob("jobs/*/pid"):
        with suppress(ProcessLookupError, ValueError):
            os.killpg(int(pid.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("checkout", DIALECTS, indirect=True)
def test_a_study_runs_is_listed_and_is_recovered(checkout, monkeypatch):
    checkout, programs = checkout
    checkout.write(study(seeds=[1, 2], epochs=[12], recipe=LONG))
    first = checkout.start("--until", "train")
    checkout.wait(lambda: len(list(programs.glob("jobs/*"))) == 2)
    checkout.wait(lambda: any(programs.glob("jobs/*/running")))
    counts = json.loads(checkout.renorm("status", "--config", "study.yaml", "--json").stdout)["all"]
    assert counts.get("queued", 0) >= 1 and counts.get("missing", 0) == 0
    first.kill()
    first.wait()
    (programs / "silent").touch()
    assert "the scheduler does not answer" in checkout.renorm("status", "--config", "study.yaml").stdout
    (programs / "silent").unlink()
    assert "jobs of a previous run are in the queue" in checkout.snakemake("--until", "train", expect=2)
    back = checkout.renorm("resume-study", "--", *checkout.command("--until", "train")[3:])
    assert back.returncode == 0, back.stdout + back.stderr
    assert [checkout.record(seed, 12)["resumes"] for seed in (1, 2)] == [0, 0]
    asked = (programs / "asked").read_text()
    assert "2000" in asked or "mem" in asked
    assert f"{checkout.record(1, 12)['usage']['job']}".startswith("47")
    queue = job_queue.of(checkout.folder / "results")
    monkeypatch.setenv("PATH", checkout.extra["PATH"])
    assert isinstance(queue, job_queue.ScriptQueue) and queue.jobs() == []


@pytest.mark.parametrize("checkout", ["pbs"], indirect=True)
def test_a_cell_that_fails_and_ctrl_c(checkout):
    checkout, _ = checkout
    checkout.write(study(seeds=[1, 2], epochs=[60], recipe=LONG))
    cell = checkout.cell(1, 60)
    cell.mkdir(parents=True)
    (cell / "checkpoint.pt").mkdir()  # cannot be written
    (cell / ".history.csv").touch()
    process = checkout.start("--until", "train", "--retries", "0")
    checkout.wait(lambda: (checkout.cell(2, 60) / "checkpoint.pt").exists(), every=0.05)
    os.killpg(process.pid, signal.SIGINT)
    finish(checkout, process, expect=1)
    checkout.wait(lambda: "stopped by signal 15" in (checkout.cell(2, 60) / "log.txt").read_text(), seconds=60)
    assert (checkout.cell(2, 60) / "checkpoint.pt").exists()
    assert subprocess.run(["qstat"], env=checkout.environment(), capture_output=True).returncode == 0
