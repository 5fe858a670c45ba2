"""What a cluster does to a study that runs for days, done to one that runs for a minute."""

import os
import signal
import subprocess
import sys
import time

import pytest

from renorm.core.locks import locked

from .cluster import kill, trainers
from .conftest import EPOCHS, LONG, one_writer, study
from .survival import survives

pytestmark = pytest.mark.slurm
slow = pytest.mark.skipif(
    not os.environ.get("RENORM_SLURM_ALL"), reason="minutes long: make test-slurm-all (RENORM_SLURM_ALL=1)"
)


# The tables and the report stand in test_grid.py.
TRAINING = ("--until", "train")


@pytest.fixture
def checkout(make_checkout, cluster, tmp_path):
    """A checkout whose data set is there already."""
    return make_checkout(tmp_path / "checkout", cluster, data=True)


def long_study(seeds: list[int], epochs: int = EPOCHS, **changes) -> dict:
    return study(seeds=seeds, epochs=[epochs], recipe=LONG, **changes)


def wait_for_checkpoint(checkout, seed: int, epochs: int = EPOCHS) -> None:
    cell = checkout.cell(seed, epochs)
    checkout.wait(lambda: (cell / "checkpoint.pt").exists() or (cell / "run.json").exists(), every=0.05)
    assert not (cell / "run.json").exists(), "the cell was over before anything could happen to it"


def finish(checkout, process, expect: int = 0) -> str:
    try:
        output, _ = process.communicate(timeout=250)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        pytest.fail(f"Snakemake hangs: {checkout.cluster.run('squeue', '--states=all', check=False)}")
    assert process.returncode == expect, output
    return output


def check_numbers(checkout, undisturbed, seed: int, epochs: int = EPOCHS) -> dict:
    """The record of the cell, found equal to an undisturbed one, and written by one trainer at a time."""
    record, reference = checkout.record(seed, epochs), undisturbed(seed, epochs)
    for key in ("status", "metrics", "weights_sha256", "hyperparameters", "epochs_completed"):
        assert record[key] == reference[key], key
    assert one_writer((checkout.cell(seed, epochs) / "log.txt").read_text())
    assert not list(checkout.cell(seed, epochs).glob("checkpoint*"))
    return record


@survives("`scancel` of a job", "submitted again, continues from its checkpoint", "1 resume, equal")
@survives(
    "`kill -9` of the trainer, as when memory runs out",
    "submitted again with 1.5 times the memory and time, continues",
    "1 resume, equal; memory × 1.5",
)
@survives(
    "requeue (preemption)",
    "SIGTERM: it saves and ends; the same job starts again and continues",
    "1 resume, equal, one job",
)
def test_cancelled_killed_and_requeued_jobs_continue_from_their_checkpoints(checkout, undisturbed):
    checkout.write(long_study([1, 2, 3]))
    process = checkout.start(*TRAINING)
    wait_for_checkpoint(checkout, 1)
    checkout.cluster.run("scancel", checkout.job_of(1)["id"])
    wait_for_checkpoint(checkout, 2)
    for pid, seed in trainers(checkout.folder).items():
        if seed == "2":
            kill(pid, signal.SIGKILL)
    wait_for_checkpoint(checkout, 3)
    requeued = checkout.job_of(3)["id"]
    checkout.cluster.run("scontrol", "requeue", requeued)
    # Seen at once: Snakemake removes a cell's log when it starts it anew.
    log = checkout.cell(3, EPOCHS) / "log.txt"
    checkout.wait(lambda: "stopped by signal 15" in log.read_text(), seconds=60)
    finish(checkout, process)
    resumes = {seed: check_numbers(checkout, undisturbed, seed)["resumes"] for seed in (1, 2, 3)}
    assert resumes == {1: 1, 2: 1, 3: 1}
    by_cell = {seed: [job for job in checkout.jobs() if job["comment"].endswith(f"_{seed}")] for seed in resumes}
    assert {seed: [job["state"] for job in jobs] for seed, jobs in by_cell.items()} == {
        1: ["CANCELLED", "COMPLETED"], 2: ["FAILED", "COMPLETED"], 3: ["COMPLETED"],
    }  # fmt: skip
    # The next try asks for half as much again.
    first, second = (int(job["memory"].removesuffix("M")) for job in by_cell[2])
    assert second == pytest.approx(1.5 * first, abs=1)


@survives(
    "a node dies",
    "its job continues on the other node, under the same job number",
    "1 resume, equal",
)
def test_the_job_of_a_dead_node_ends_up_on_the_other(checkout, undisturbed):
    checkout.write(long_study([1]))
    process = checkout.start(*TRAINING)
    wait_for_checkpoint(checkout, 1)
    assert [job["node"] for job in checkout.jobs()] == ["node1"]
    checkout.cluster.kill_node("node1")
    finish(checkout, process)
    assert check_numbers(checkout, undisturbed, 1)["resumes"] == 1
    assert [(job["state"], job["node"]) for job in checkout.jobs()] == [("COMPLETED", "node2")]


@survives(
    "Snakemake killed (SIGKILL), jobs running and queued, started again from another clone, same `results_dir`",
    "the new Snakemake takes the jobs over: nothing is submitted twice",
    "2 cells, one GPU: 2 jobs, 0 resumes, equal",
)
@survives(
    "a second Snakemake on one `results_dir`",
    "refused with one line that names the first, nothing submitted",
    "exit code 2, 0 jobs",
)
def test_a_killed_snakemakes_jobs_are_taken_over_also_by_a_clone(make_checkout, cluster, tmp_path, undisturbed):
    """Only one cell fits at a time, so that jobs queue. Nothing is submitted twice, and no cell is trained twice."""
    mine, clone = (make_checkout(tmp_path / name, cluster, data=name == "mine") for name in ("mine", "clone"))
    values = long_study([1, 2], results_dir=str(mine.folder / "results"))
    for checkout in (mine, clone):
        checkout.write(values)
        one_at_a_time(checkout)
    first = mine.start(*TRAINING)
    mine.wait(lambda: len(mine.jobs()) == 2, every=0.05)
    # The cells are short: nothing in the queue starts before the clone has it.
    held = [job["id"] for job in mine.jobs() if job["state"] == "PENDING"]
    mine.cluster.run("scontrol", "hold", ",".join(held))
    refused = clone.snakemake(*TRAINING, expect=2)
    assert f"is being written by process {first.pid} on " in refused and ".driver.lock" in refused
    first.kill()
    first.wait()
    output = ""
    with clone.start(*TRAINING) as second:
        for line in second.stdout:
            output += line
            if f"job {held[-1]} of a previous run is in the queue: taken over" in line:
                mine.cluster.run("scontrol", "release", ",".join(held))
    assert second.returncode == 0, output
    taken = output.count("of a previous run is in the queue: taken over")
    assert taken >= len(held) >= 1 and f"{taken} jobs of a previous run are in the queue" in output
    assert [job["state"] for job in mine.jobs()] == ["COMPLETED"] * 2 and clone.jobs() == []
    assert [check_numbers(mine, undisturbed, seed)["resumes"] for seed in (1, 2)] == [0, 0]
    logs = [(mine.cell(seed, EPOCHS) / "log.txt").read_text() for seed in (1, 2)]
    assert [log.count(" images on ") for log in logs] == [1, 1]


def one_at_a_time(checkout) -> None:
    """The profile asks for a GPU of which the cluster has one."""
    profile = checkout.folder / "slurm/config.yaml"
    text = profile.read_text().replace("slurm_partition: gpu ", "slurm_partition: kinds ")
    profile.write_text(text.replace("# gpu_model: a100 ", "gpu_model: a100 "))


@survives(
    "Snakemake killed, then `renorm resume-study`",
    "the pending job is cancelled, running ones are waited for, the rest is submitted",
    "2 cells, one GPU: 3 jobs, 1 of them cancelled; equal",
)
def test_resume_study_drains_the_queue_first(checkout, undisturbed):
    """resume-study: the waiting job is cancelled, the running one is waited for, then only what is missing is run."""
    one_at_a_time(checkout)
    checkout.write(long_study([1, 2]))
    first = checkout.start(*TRAINING)
    checkout.wait(lambda: sorted(job["state"] for job in checkout.jobs()) == ["PENDING", "RUNNING"], every=0.1)
    first.kill()
    first.wait()
    (waiting,) = (job for job in checkout.jobs() if job["state"] == "PENDING")
    # The running cell may be over before anybody looks: what waits stays in the queue until it is cancelled.
    checkout.cluster.run("scontrol", "hold", waiting["id"])
    arguments = checkout.command(*TRAINING)[3:]
    back = checkout.renorm("resume-study", "--", *arguments)
    assert back.returncode == 0, back.stdout + back.stderr
    assert "1 jobs cancelled, 1 running" in back.stderr
    again = [job for job in checkout.jobs() if job["comment"] == waiting["comment"]]
    assert [job["state"] for job in again] == ["CANCELLED", "COMPLETED"] and len(checkout.jobs()) == 3
    assert [check_numbers(checkout, undisturbed, seed)["resumes"] for seed in (1, 2)] == [0, 0]


REFUSE_TWICE = """\
echo "Welcome to cluster HAL 2026! You used 120 of 500 GPU hours."
case "$*" in *--test-only*) ;; *)
    echo x >> {counter}
    if [ "$(wc -l < {counter})" -le 2 ]; then
        echo "sbatch: error: AssocMaxSubmitJobLimit" >&2
        echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit)" >&2
        exit 1
    fi
esac
exec {sbatch} "$@"
"""


@survives(
    "the queue is full, sbatch prints a banner",
    "said once; submission is tried again; only the job's number is read",
    "2 refusals, 2 cells, 4 calls of sbatch",
)
@survives(
    "the controller is away",
    "jobs continue and are polled again; none is submitted twice",
    "12 s: 2 cells, 2 jobs, 0 resumes, equal",
)
def test_a_full_queue_and_an_absent_controller_are_waited_for(checkout, undisturbed):
    from .test_grid import stub

    counter, real = checkout.folder / "refused", checkout.cluster.run("which", "sbatch").strip()
    stub(checkout, "sbatch", REFUSE_TWICE.format(counter=counter, sbatch=real))
    # One look without an answer, and the plugin by itself would have forgotten its jobs.
    output = outage(checkout, undisturbed, 12, EPOCHS, "--slurm-status-attempts", "1")
    assert len(counter.read_text().splitlines()) == 4
    assert output.count("the queue takes no more jobs (AssocMaxSubmitJobLimit)") == 1
    assert output.count("the queue takes jobs again") == 1


def outage(checkout, undisturbed, seconds: float, epochs: int = EPOCHS, *arguments: str) -> str:
    """The controller is away for `seconds` while two cells train; they are not submitted again, nothing hangs."""
    checkout.write(long_study([1, 2], epochs=epochs))
    process = checkout.start(*TRAINING, *arguments)
    for seed in (1, 2):
        wait_for_checkpoint(checkout, seed, epochs)
    checkout.cluster.stop_controller()
    time.sleep(seconds)
    checkout.cluster.start_controller()
    output = finish(checkout, process)
    assert [check_numbers(checkout, undisturbed, seed, epochs)["resumes"] for seed in (1, 2)] == [0, 0]
    assert len(checkout.jobs()) == 2
    return output


REFUSE_SECOND = """\
case "$*" in *--test-only*) exec {sbatch} "$@" ;; esac
# Whoever makes the folder is the first, also of two that ask at the same moment.
mkdir {counter} 2>/dev/null && exec {sbatch} "$@"
echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2
exit 1
"""


@survives(
    "Ctrl-C while the queue is full",
    "running jobs are cancelled and save; Snakemake ends",
    "exit code 1 within 60 s, checkpoint kept",
)
def test_ctrl_c_cancels_jobs_which_save_and_does_not_wait_for_a_full_queue(checkout):
    from .test_grid import stub

    counter, real = checkout.folder / "refused", checkout.cluster.run("which", "sbatch").strip()
    stub(checkout, "sbatch", REFUSE_SECOND.format(counter=counter, sbatch=real))
    checkout.write(long_study([1, 2], epochs=100))
    process = checkout.start(*TRAINING)
    checkout.wait(lambda: any((checkout.cell(seed, 100) / "checkpoint.pt").exists() for seed in (1, 2)), every=0.05)
    begun = time.monotonic()
    # To Snakemake alone, as from a supervisor: a submission that waits gets no signal.
    process.send_signal(signal.SIGINT)
    output = finish(checkout, process, expect=1)
    assert time.monotonic() - begun < 60 and "Traceback" not in output
    # The job saves first: until it has, Slurm calls it COMPLETING.
    checkout.wait(lambda: [job["state"] for job in checkout.jobs()] == ["CANCELLED"], seconds=30)
    (log,) = checkout.folder.glob("results/runs/digits/tiny_vgg/batch_norm/base/e100/s*/log.txt")
    assert "stopped by signal 15" in log.read_text() and (log.parent / "checkpoint.pt").exists()


@survives("SIGHUP to Snakemake, as of a closed terminal", "its jobs continue; the next start takes them over", "1 job")
@survives(
    "SIGTERM to Snakemake",
    "nothing more is submitted, its jobs are waited for",
    "1 cell, 1 job, 0 resumes; exit code 1",
)
def test_a_closed_terminal_and_sigterm_leave_the_jobs_alone(checkout):
    checkout.write(long_study([1], epochs=160))
    first = checkout.start(*TRAINING)
    wait_for_checkpoint(checkout, 1, 160)
    first.send_signal(signal.SIGHUP)
    first.communicate(timeout=60)
    assert first.returncode == -signal.SIGHUP
    second = checkout.start(*TRAINING)
    for line in second.stdout:
        if "of a previous run is in the queue: taken over" in line:
            break
    second.send_signal(signal.SIGTERM)
    finish(checkout, second, expect=1)
    assert [job["state"] for job in checkout.jobs()] == ["COMPLETED"]
    assert checkout.record(1, 160)["resumes"] == 0


@survives(
    "`renorm train` of a cell that another process trains",
    "refused with one line that names the other; nothing is written",
    "exit code 2",
)
def test_two_running_snakemakes_keep_apart(checkout):
    """The cell's lock knows its holder; who finds it held says so and touches nothing."""
    checkout.write(study())
    cell = checkout.cell(1)
    with locked(cell / ".lock", "test"):
        found = checkout.renorm("status", "--config", "study.yaml", "--json")
        assert '"running": 1' in found.stdout
        done = subprocess.run(
            [sys.executable, "-m", "renorm", "train", "--dataset", "digits", "--arch", "tiny_vgg", "--norm",
             "batch_norm", "--epochs", "1", "--out", str(cell)],
            cwd=checkout.folder, env=checkout.environment(), capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 2 and "is being written by" in done.stderr
    assert [path.name for path in cell.iterdir()] == [".lock"]


@survives(
    "a job's time limit",
    "it saves and ends (TIMEOUT); the next attempt continues",
    "as many resumes as time-outs, equal",
)
@slow
@pytest.mark.timeout(1200)
def test_a_job_that_runs_out_of_time_is_continued(checkout, undisturbed):
    epochs = 330
    checkout.write(long_study([1], epochs=epochs))
    process = checkout.start(*TRAINING, "--set-resources", "train:runtime=1", "--retries", "5")
    finish(checkout, process)
    states = [job["state"] for job in checkout.jobs()]
    assert states[0] == "TIMEOUT" and states[-1] == "COMPLETED"
    assert check_numbers(checkout, undisturbed, 1, epochs)["resumes"] == states.count("TIMEOUT")


@survives(
    "the controller is away while jobs end",
    "their end is found afterwards",
    "125 s: 2 cells, 2 jobs, 0 resumes, equal",
)
@slow
@pytest.mark.timeout(1200)
def test_the_controller_is_away_for_two_minutes(checkout, undisturbed):
    outage(checkout, undisturbed, seconds=125)


@survives(
    "the controller is away while jobs go on",
    "they are polled again; none is submitted twice",
    "125 s: 2 cells, 2 jobs, 0 resumes, equal",
)
@slow
@pytest.mark.timeout(1200)
def test_the_controller_is_away_for_two_minutes_while_cells_go_on(checkout, undisturbed):
    outage(checkout, undisturbed, seconds=125, epochs=300)
