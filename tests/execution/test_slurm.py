"""Around the Slurm executor, without a cluster: limits, submission, what is learned of jobs, patches."""

import asyncio
import logging
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from renorm.core.errors import RenormError
from renorm.execution.cost_model import check_space
from renorm.execution.slurm import limits, plugin_patches, queue, submit, watch
from renorm.execution.slurm.commands import rows, words
from renorm.runs import job_log
from renorm.runs.job_log import JobEntry
from renorm.study import config

STUDY = {
    "study": "s",
    "recipes": {"base": {"optimizer": {"lr": 0.1}}},
    "experiments": {
        "one": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm"], "recipe": ["base"],
                "epochs": [1], "seeds": [1]},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [("infinite", None), ("UNLIMITED", None), ("30:00", 30), ("2:30:00", 150), ("2-00:00:00", 2880),
     ("1-02:03:04", 1563), ("n/a", None)],
)  # fmt: skip
def test_slurms_time_limits(text, expected):
    assert limits.minutes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("0:03", 3), ("27", 27), ("1:00:01", 3601), ("1-00:00:00", 86400), ("INVALID", 0)]
)
def test_slurms_elapsed_times(text, expected):
    assert watch.seconds(text) == expected


def test_a_ceiling_is_the_widest_of_several_partitions():
    one, two = limits.Partition("one", 20, 3000), limits.Partition("two", 60, None)
    assert limits.ceiling([one, two]) == limits.Ceiling(60, None)
    assert limits.ceiling([]) == limits.Ceiling(None, None)


def test_slurms_own_words_are_one_line():
    text = "Welcome!\nsbatch: error: QOSMaxWall\nallocation failure: Job violates policy\n"
    assert words(text) == "QOSMaxWall; Job violates policy"
    assert words("") == "no reason given"
    assert words("sbatch: unrecognized option '--x'\nTry 'sbatch --help'") == "unrecognized option '--x'"
    assert rows("=== maintenance ===\n1|RUNNING|a|b\n", 3) == [["1", "RUNNING", "a|b"]]


@pytest.mark.parametrize(
    ("reason", "never"),
    [("PartitionTimeLimit", True), ("MaxMemPerLimit", True), ("AssocGrpGRESMinutes", True), ("JobHeldAdmin", True),
     ("Job's account not permitted to use this partition (closed allows vip not proj)", True),
     ("launch failed requeued held", True), ("DependencyNeverSatisfied", True), ("QOSMaxWallDurationPerJobLimit", True),
     ("Resources", False), ("Priority", False), ("QOSMaxJobsPerUserLimit", False), ("AssocMaxJobsLimit", False),
     ("AssocGrpCpuLimit", False), ("Dependency", False), ("BeginTime", False), ("Reservation", True),
     ("ReqNodeNotAvail, May be reserved for other job", False), ("None", False)],
)  # fmt: skip
def test_reasons_with_which_a_job_never_starts(reason, never):
    found = queue.obstacle(reason)
    assert bool(found) == never and (not never or found.startswith(f"{reason}: "))


def program(folder: Path, text: str) -> Path:
    path = folder / "sbatch"
    path.write_text(f"#!/bin/sh\necho x >> {folder}/count\n{text}\n")
    path.chmod(0o755)
    return path


def submissions(folder: Path, text: str, give_up: float = 60.0):
    """What was said, the submissions, and the result of one through a program in the place of sbatch."""
    said: list[str] = []
    made = submit.Submissions(said.append, give_up)
    process = made.popen(f'{program(folder, text)} --mem 100 --wrap="run"', shell=True, text=True)
    out, err = process.communicate()
    return said, process.returncode, out, err, (folder / "count").read_text().count("x")


def test_what_sbatch_refuses_for_good_is_not_tried_again(tmp_path):
    policy = "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, ...)"
    for name in ("Invalid account", f"QOSMaxWallDurationPerJobLimit\nsbatch: error: {policy}"):
        (tmp_path / "count").unlink(missing_ok=True)
        said, code, _, err, count = submissions(tmp_path, f"printf 'sbatch: error: {name}' >&2; exit 1")
        assert (code, count, said) == (1, 1, []) and name[:15] in err


def test_a_full_queue_is_said_once_and_given_up_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(submit, "PAUSE", 0.05)
    said, code, _, err, count = submissions(tmp_path, "echo 'sbatch: error: AssocGrpSubmitJobsLimit' >&2; exit 1", 0.3)
    assert code == 1 and count > 2 and "AssocGrpSubmitJobsLimit" in err
    assert said == ["the queue takes no more jobs (AssocGrpSubmitJobsLimit): asking again every 0.05 s"]


def test_a_waiting_submission_ends_with_snakemake(tmp_path):
    made = submit.Submissions(lambda line: None, 60)
    refused = program(tmp_path, "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1")
    process = made.popen(f'{refused} --wrap="run"')
    thread = threading.Thread(target=process.communicate)
    thread.start()
    begun = time.monotonic()
    made.stopped.set()
    thread.join(5)
    assert not thread.is_alive() and time.monotonic() - begun < 5 and process.returncode == 1
    later = made.popen(f'{refused} --wrap="run"')
    later.communicate()
    assert later.returncode == 1 and (tmp_path / "count").read_text().count("x") <= 1


def test_only_the_number_of_the_job_is_passed_on(tmp_path):
    greeting = "echo 'Welcome! You used 120 of 500 GPU hours.'; echo '4711;c1'"
    assert submissions(tmp_path, greeting)[1:3] == (0, "4711;c1")
    assert submit.number("Submitted") == "Submitted"


def test_the_shell_of_a_job_outlives_a_signal(tmp_path):
    _, _, out, _, _ = submissions(tmp_path, 'printf "%s|" "$@"')
    assert out == "--mem|100|--wrap=trap '' TERM; run|"


def test_nodes_are_avoided_unless_there_are_no_others(tmp_path):
    assert (
        submit.without_nodes("sbatch --exclude=a -c 1 --wrap=x", {"c", "b"})
        == "sbatch --exclude=a -c 1 --exclude=a,b,c --wrap=x"
    )
    made = submit.Submissions(lambda line: None, 60)
    made.thread.avoid = {"node1"}
    refuse = 'case "$*" in *--exclude=node1*) echo "error: not available" >&2; exit 1;; esac; echo 5'
    process = made.popen(f'{program(tmp_path, refuse)} --wrap="run"')
    assert process.communicate()[0] == "5" and (tmp_path / "count").read_text().count("x") == 2


def jobs(cells: dict[str, str]) -> dict[str, JobEntry]:
    return {number: JobEntry(number, cell, 2, 4) for number, cell in cells.items()}


def a_watch(monkeypatch, places: dict[str, tuple[str, float]], reasons: str = ""):
    """A watch for which jobs ran on `places`, and what it said."""
    said: list[str] = []
    monkeypatch.setattr(watch, "places", lambda jobs, accounting: [(job, *places[job]) for job in sorted(jobs)])
    answer = SimpleNamespace(returncode=0, stdout=reasons, stderr="")
    monkeypatch.setattr(watch, "ask", lambda *command: answer)
    return watch.Watch(said.append, 3600, accounting=False), said


def test_three_cells_that_die_at_once_exclude_a_node(monkeypatch):
    one, said = a_watch(monkeypatch, {str(n): ("node1", 3.0) for n in range(1, 7)})
    cells = jobs({str(n): f"cell{n}" for n in range(1, 7)})
    one.after_poll(cells, {"1": "FAILED", "2": "FAILED"})
    assert one.avoid("cell1") == {"node1"} and one.avoid("cell5") == set()
    # One that ended well in between shows that the node is sound.
    one.after_poll(cells, {"3": "COMPLETED", "4": "FAILED"})
    assert one.sick == set()
    one.after_poll(cells, {"4": "FAILED", "5": "FAILED", "6": "FAILED"})
    assert one.avoid("other") == {"node1"}
    assert said[-1].startswith("node1: 3 cells died there within 60 s of their start")


def test_a_cell_that_dies_late_or_is_cancelled_excludes_no_node(monkeypatch):
    one, said = a_watch(monkeypatch, {str(n): ("node1", 900.0) for n in range(1, 5)})
    one.after_poll(jobs({str(n): f"cell{n}" for n in range(1, 5)}), dict.fromkeys("123", "FAILED") | {"4": "CANCELLED"})
    assert one.sick == set() and one.avoid("cell4") == set() and len(said) == 3


def test_a_job_that_cannot_start_is_said_once_and_given_up(monkeypatch):
    one, said = a_watch(monkeypatch, {}, "7|PartitionDown\n8|Priority\n")
    clock = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    states = {"7": "PENDING", "8": "PENDING"}
    for now in (0.0, 100.0, 3599.0):
        clock[0] = now
        one.after_poll(jobs({"7": "a", "8": "b"}), states)
    assert states == {"7": "PENDING", "8": "PENDING"} and len(said) == 1
    clock[0] = 3700.0
    one.after_poll(jobs({"7": "a", "8": "b"}), states)
    assert states == {"7": "CANCELLED", "8": "PENDING"} and list(one.gave_up) == ["a"]
    assert said[1] == "a: job 7 given up: PartitionDown: the partition takes no jobs at present"


def test_every_job_is_in_the_costs_with_its_hours(monkeypatch, tmp_path):
    one, _ = a_watch(monkeypatch, {"1": ("node1", 3600.0), "2": ("node2", 1800.0), "3": ("", 0.0)})
    one.note = lambda entries: job_log.append(tmp_path, entries)
    mine = jobs({"1": "a", "2": "b", "3": "c", "4": "d"})
    one.note(list(mine.values()))
    one.after_poll(mine, {"1": "COMPLETED", "2": "TIMEOUT", "3": "CANCELLED", "4": "RUNNING"})
    found = job_log.read(tmp_path)
    assert [(one.job, one.state, one.node) for one in found] == [
        ("1", "COMPLETED", "node1"), ("2", "TIMEOUT", "node2"), ("3", "CANCELLED", ""), ("4", "SUBMITTED", ""),
    ]  # fmt: skip
    assert job_log.spent(found) == job_log.Spent(4, 3.0, 6.0, 1.0, 2.0, 1)
    with open(tmp_path / job_log.FILE, "a") as file:
        file.write("5,e,x\n")
    with pytest.raises(RenormError, match=r"jobs.csv:9: expected"):
        job_log.read(tmp_path)
    assert job_log.read(tmp_path / "none") == []


def test_results_that_cannot_be_written_are_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    study = config.validate(STUDY | {"results_dir": str(tmp_path / "file/results")})
    with pytest.raises(RenormError, match=r"^results_dir: .*/file cannot be written by this user"):
        check_space(study, [])
    # Another user's folder in results_dir; root, as whom this may run, may write everywhere.
    (tmp_path / "results/runs").mkdir(parents=True)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "runs")
    with pytest.raises(RenormError, match=r"^results_dir: .*/results/runs cannot be written by this user"):
        check_space(config.validate(STUDY | {"results_dir": str(tmp_path / "results")}), [])


SNAKEMAKES = SimpleNamespace(resources={"gpu": 1}, threads=2)


def polls_of(answers: list) -> list[list[str]]:
    """What stays active of jobs 1 and 2, poll by poll, when Slurm answers with `answers` (None: not at all)."""
    queue = list(answers)

    async def query(command, logger):
        assert command == "squeue --name x,old"
        answer = queue.pop(0)
        return (None, None) if answer is None else (dict(answer), 0.1)

    state = plugin_patches.QueuePollState()
    patient = plugin_patches.mark_vanished_jobs(
        query, state, SimpleNamespace(names={"old"}, after_poll=lambda cells, states: None)
    )

    async def plugins(self, active_jobs):
        states, _ = await patient("squeue --name x", logging.getLogger())
        for job in active_jobs if states is not None else ():
            if states.get(job.external_jobid) not in ("COMPLETED", "UNKNOWN"):
                yield job

    check, out = plugin_patches.keep_jobs_when_unreachable(plugins, state), []
    executor = SimpleNamespace(next_seconds_between_status_checks=170)

    async def run():
        active = [SimpleNamespace(external_jobid=number, job=SNAKEMAKES) for number in ("1", "2")]
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
