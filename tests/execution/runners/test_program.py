"""Programs run as cells: results, identity, and every way in which a program can fail, in one line and without loss."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from renorm.core.errors import RenormError
from renorm.execution import runners
from renorm.runs import run_record
from renorm.runs.run_log import last_error
from renorm.study import config, grid
from renorm.study.cell import Cell

STAND_IN = Path(__file__).parents[2] / "programs"
CELL = Cell("cifar10", "vgg11", "deconv", "theirs", 3, 1)
LOG = {
    "file": "checkpoints/**/test.log", "format": "tsv", "unit": "percent",
    "columns": {"epoch": "epoch", "test.loss": "loss", "test.top1": "top1", "test.seconds": "time"},
}  # fmt: skip
COMMAND = (
    f"{sys.executable} train.py --arch {{arch}} --dataset {{dataset}} {{norm}} --epochs {{epochs}} --seed {{seed}} "
    "--lr {optimizer.lr}"
)


@pytest.fixture
def make(tmp_path):
    """A request for CELL with the stand-in; keywords change its program, `flags` are added to its command."""
    folder = shutil.copytree(STAND_IN, tmp_path / "theirs", ignore=shutil.ignore_patterns("__pycache__"))

    def request(flags: str = "", cell: Cell = CELL, **changes) -> runners.Request:
        program = {
            "directory": str(folder), "command": f"{COMMAND} {flags}", "code": ["train.py"],
            "words": {"norm": {"batch_norm": "--deconv False", "deconv": "--deconv True --block-fc {norm.block_fc}"}},
            "results": {"history": LOG}, "grace_seconds": 0.5,
        } | changes  # fmt: skip
        study = config.validate({
            "study": "programs", "programs": {"theirs": program}, "recipes": {"theirs": {"program": "theirs"}},
            "experiments": {"one": {"dataset": [cell.dataset], "arch": [cell.arch], "norm": [cell.norm],
                                    "recipe": ["theirs"], "epochs": [cell.epochs], "seeds": [cell.seed]}},
        }, folder=tmp_path)  # fmt: skip
        return runners.Request(
            cell, grid.hyperparameters(study, cell), study.programs["theirs"], tmp_path / "run", tmp_path / "data",
            tmp_path, "cpu", 1, 10.0, False, True, 0.0, 1, None, False,
        )  # fmt: skip

    return request


def failure(request) -> str:
    """The one line with which training fails; no record is written."""
    with pytest.raises(RenormError) as error:
        runners.train(request)
    assert not (request.out / "run.json").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def test_a_record_holds_what_the_program_reported_and_nothing_else(make):
    request = make()
    record = runners.train(request)
    assert record == run_record.read(request.out / "run.json")
    rows = run_record.read_history(request.out, record)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    final = record.metrics.final
    assert final.epoch == 3 and final.value("test", "top1") == float(rows[-1]["test_top1"]) > 0.7
    assert final.value("test", "loss") == pytest.approx(2 / 3)
    assert record.metrics.best == final
    assert final.value("test", "top5") is None and final.splits.keys() == {"test"}
    assert final.splits["test"].n is None and record.parameters is None and record.data_sha256 is None
    assert record.seconds.test == 0.75 and record.seconds.train is None
    assert "--deconv True --block-fc 512 --epochs 3 --seed 1" in record.runner.command


def test_the_log_is_the_output_with_a_line_of_progress_and_the_read_files_are_kept(make):
    request = make()
    runners.train(request)
    log = (request.out / "log.txt").read_text()
    assert "| Preparing the data ..." in log and "epoch 3 of 3: test top-1" in log
    assert len(list((request.out / "program").glob("checkpoints/*/*/test.log"))) == 1
    assert not (request.out / "work").exists() and not (request.out / "attempt.json").exists()
    assert sorted(path.name for path in Path(request.program.directory).iterdir()) == ["train.py"]


def test_a_finished_cell_is_not_run_again_and_one_of_other_code_is_set_aside(make):
    request = make()
    first = runners.train(request)
    assert runners.train(request).finished == first.finished
    code = Path(request.program.directory, "train.py")
    code.write_text(code.read_text() + "\n# a comment\n")
    assert make().hyper == request.hyper
    code.write_text(code.read_text().replace("50 + 5", "40 + 5"))
    changed = make()
    assert changed.hyper != request.hyper
    assert runners.train(changed).metrics != first.metrics
    assert list(request.out.glob("run.superseded-*.json"))


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ("--misbehave no_file", "test.log: is missing: the program did not write it"),
        ("--misbehave column", "test.log:1: top1: no such column (found: epoch, loss, accuracy, top5, time)"),
        ("--misbehave nan", "test.log:2: top1: expected a finite number (found 'nan')"),
        ("--misbehave short", "test.log: epoch: 2 of 3 epochs: the program stopped early"),
        ("--misbehave half", "test.log:5: row: 2 values for 5 columns: the file is not complete"),
        ("--misbehave crash", "program exited with code 1: RuntimeError: CUDA error"),
        ("--nonsense 1", "program exited with code 2: train.py: error: unrecognized arguments: --nonsense 1"),
        ("; exit 3", "program exited with code 3: epoch 3 of 3"),
        ("; kill -9 $$", "program was ended by signal 9"),
    ],
)
def test_a_failure_is_one_line_that_names_file_and_column(make, flags, line):
    request = make(flags)
    assert line in failure(request)
    # Everything is left for whoever looks into it.
    assert (request.out / "work").is_dir() and (request.out / "output.txt").read_text()


def test_a_program_that_is_not_there(make):
    assert "program exited with code 127" in failure(make(command="no_such_program {epochs}", words={}))


def test_numbers_with_a_non_zero_exit_count_only_if_the_configuration_says_so_and_are_not_made_twice(make):
    request = make("--tensorboard False")
    line = failure(request)
    assert "code 1: AttributeError" in line and "`exit_codes: [0, 1]` accepts them" in line
    allowed = make("--tensorboard False", exit_codes=[0, 1])
    record = runners.train(allowed)
    assert record.status == "completed"
    assert (request.out / "log.txt").read_text().count("epoch 1 of 3: top1") == 1
    assert last_error(request.out / "log.txt") == ""


def test_results_that_could_not_be_read_are_read_as_the_corrected_configuration_says(make):
    wrong = LOG | {"columns": {"epoch": "epoch", "test.top1": "acc"}}
    request = make(results={"history": wrong})
    assert "acc: no such column" in failure(request)
    before = (request.out / "log.txt").read_text()
    assert runners.train(make()).metrics.final.value("test", "top1") > 0.7
    assert (request.out / "log.txt").read_text().removeprefix(before).count("epoch 1 of 3: top1") == 0


def test_a_program_that_hangs_is_ended_after_its_time(make):
    begun = time.monotonic()
    line = failure(make("--misbehave hang", timeout_minutes=0.02))
    assert "timeout_minutes: the program ran longer than 0.02" in line
    assert time.monotonic() - begun < 30


def test_a_child_that_outlives_the_program_is_ended(make):
    request = make("--misbehave child")
    runners.train(request)
    log = (request.out / "log.txt").read_text()
    child = int(log.partition("\nchild ")[2].split()[0])
    assert not alive(child)
    assert "ended 1 processes that the program had left running" in log


def test_a_child_that_left_the_process_group_is_ended_too(make):
    request = make("--misbehave daemon")
    runners.train(request)
    log = (request.out / "log.txt").read_text()
    assert not alive(int(log.partition("\nchild ")[2].split()[0]))
    assert "ended 1 processes that the program had left running" in log


STARTER = """
import pickle, sys
from renorm.execution import runners
runners.train(pickle.load(open(sys.argv[1], "rb")))
"""


def start(request, tmp_path) -> subprocess.Popen:
    """Training in a process of its own, which signals can be sent to."""
    import pickle

    (tmp_path / "request").write_bytes(pickle.dumps(request))
    return subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path / "request")], env=os.environ)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def first_epoch_is_written(request) -> bool:
    log = request.out / "log.txt"
    return log.exists() and "\nepoch 1 of 3" in log.read_text()


RESUME = {"argument": "--resume {checkpoint}", "checkpoint": "checkpoints/**/checkpoint.pth.tar"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_whole_group_and_a_program_with_checkpoints_resumes(make, tmp_path, number):
    request = make("--misbehave hang", resume=RESUME)
    process = start(request, tmp_path)
    wait_for(lambda: first_epoch_is_written(request))
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    assert last_error(request.out / "log.txt") == ""
    record = runners.train(request)
    assert record.resumes == 1
    assert [row["epoch"] for row in run_record.read_history(request.out, record)] == ["1", "2", "3"]
    log = (request.out / "log.txt").read_text()
    assert log.count("epoch 1 of 3: top1") == 1 and "resumed from checkpoints/" in log


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace_time(make, tmp_path):
    request = make(command="trap '' TERM; echo epoch 1 of 3; while true; do sleep 0.2; done # {epochs}", words={})
    process = start(request, tmp_path)
    wait_for(lambda: first_epoch_is_written(request))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM


def test_a_killed_runner_takes_its_program_along(make, tmp_path):
    request = make(command="echo epoch 1 of 3 $$; exec sleep 600 # {epochs}", words={})
    process = start(request, tmp_path)
    wait_for(lambda: first_epoch_is_written(request))
    program = int((request.out / "log.txt").read_text().rpartition("\nepoch 1 of 3 ")[2].split()[0])
    assert alive(program)
    process.kill()
    process.wait()
    wait_for(lambda: not alive(program))


def test_a_shell_program_and_a_pattern_over_its_output(make):
    loop = 'echo Welcome; for e in 1 2 3; do echo "step $e: accuracy=0.$e loss=1.$e"; done; echo bye {seed} {out}'
    results = {"history": {"pattern": r"step (?P<e>\d+): accuracy=(?P<acc>\S+) loss=(?P<loss>\S+)",
                           "columns": {"epoch": "e", "test.accuracy": "acc", "validation.loss": "loss"}}}  # fmt: skip
    request = make(command=loop, words={}, results=results)
    record = runners.train(request)
    assert record.metrics.final.value("test", "top1") == 0.3
    assert record.metrics.final.value("validation", "loss") == 1.3
    assert str(request.out.absolute()) not in record.runner.command  # where it ran is not part of the cell


def test_the_environment_and_links_of_a_program(make, tmp_path):
    fake = tmp_path / "venv" / "bin"
    fake.mkdir(parents=True)
    script = "#!/bin/sh\necho '{\"acc\": 81.5}' > metrics.json; cat data/name; echo $OMP_NUM_THREADS\n"
    (fake / "trainer").write_text(script)
    (fake / "trainer").chmod(0o755)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "name").write_text("the data set\n")
    request = make(
        command="trainer {epochs}", words={}, links={"data": "{data_dir}"}, environment={"python": "./venv"},
        results={"final": {"file": "metrics.json", "columns": {"test.top1": "acc"}, "unit": "percent"}},
    )  # fmt: skip
    record = runners.train(replace(request, threads=2))
    assert record.metrics.final.value("test", "top1") == 0.815 and record.metrics.best is None
    assert "the data set\n2\n" in (request.out / "log.txt").read_text()


def test_conda_and_containers_are_called_with_the_command(make, tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("conda", "apptainer"):
        (programs / name).write_text('#!/bin/sh\necho "called $0 $*"\n')
        (programs / name).chmod(0o755)
    (tmp_path / "image.sif").write_text("")
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    for environment, call in (({"conda": "theirs"}, "conda run --no-capture-output -n theirs /bin/sh -c"),
                              ({"container": "image.sif"}, "apptainer exec --nv --bind=")):  # fmt: skip
        request = make(environment=environment)
        failure(request)
        assert call in (request.out / "log.txt").read_text()
        shutil.rmtree(request.out)


def test_what_lies_behind_a_link_is_not_a_result(make):
    request = make(results={"history": LOG | {"file": "**/test.log"}}, command="true {epochs}", words={})
    stale = Path(request.program.directory, "old")
    stale.mkdir()
    (stale / "test.log").write_text("epoch\tloss\ttop1\ttime\n3\t1\t99\t1\n")
    assert "**/test.log: is missing" in failure(request)


def test_another_version_than_the_pinned_one_is_not_run(make):
    line = failure(make(code={"train.py": "0123456789abcdef"}))
    assert "code.train.py: is " in line and "and 0123456789abcdef here: check the same" in line


def test_a_device_that_is_not_there(make, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "device: cuda: this machine has no GPU" in failure(replace(make(), device="cuda"))


def test_code_that_changes_while_it_runs_gives_no_record(make):
    assert "its code was changed while it ran" in failure(make("; echo 'x = 1' >> $(readlink train.py)"))
