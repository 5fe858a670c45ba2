"""Two writers of one cell at once, and a disk that does not take what is written."""

import multiprocessing
import os
import random
import resource
import signal
import time

import pytest

from renorm.core.errors import RenormError
from renorm.runs import run_record
from renorm.training.job import train

from ..training.cells import history_without_times, small_job, without_times
from .conftest import cases

REFUSED = 2


def child(job, delay: float, largest: int | None, told=None) -> None:
    """Train in a process of its own; `largest`: bytes that the system lets a file have; `told` gets the refusal."""
    if largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    time.sleep(delay)
    try:
        train(job)
    except RenormError as error:
        if told:
            told.send(str(error))
        os._exit(REFUSED)


@pytest.fixture(scope="module")
def context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["renorm.training.job"])
    return context


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, prepared_digits):
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(small_job(folder, prepared_digits))


def assert_whole(out, undisturbed) -> None:
    folder, record = undisturbed
    assert without_times(run_record.read(out / "run.json")) == without_times(record)
    assert history_without_times(out) == history_without_times(folder)
    assert sorted(path.name for path in out.iterdir()) == [".lock", "history.csv", "log.txt", "run.json"]


def test_a_cell_started_twice_at_once(tmp_path, prepared_digits, context, undisturbed, tally):
    """The second is refused, or comes late and finds the record; half of the pairs lose one to SIGKILL on the way."""
    count, rng, refused, killed = cases(6, 100), random.Random(3), 0, 0
    for number in range(count):
        job = small_job(tmp_path / str(number), prepared_digits, checkpoint_minutes=1e-9)
        pair = [context.Process(target=child, args=(job, rng.uniform(0, 0.3), None)) for _ in range(2)]
        for process in pair:
            process.start()
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0.1, 0.8))
            rng.choice(pair).kill()
        for process in pair:
            process.join()
        codes = [process.exitcode for process in pair]
        assert set(codes) <= {0, REFUSED, -signal.SIGKILL}, codes
        refused, killed = refused + codes.count(REFUSED), killed + codes.count(-signal.SIGKILL)
        assert -signal.SIGKILL in codes or 0 in codes
        # The winner may be the one that was killed: whoever starts next goes on.
        train(job)
        assert_whole(job.out, undisturbed)
    assert refused
    tally("pairs of processes that train one cell at once", count, count, f"{refused} refused, {killed} killed")


def test_a_disk_that_does_not_take_it(tmp_path, prepared_digits, context, undisturbed, tally):
    """No file may grow beyond a random size: one line, no part of a file, and with room again the same numbers."""
    count, rng, refused = cases(8, 100), random.Random(4), 0
    for number in range(count):
        job = small_job(tmp_path / str(number), prepared_digits, checkpoint_minutes=1e-9)
        # Bytes: a line of the log has some 100, the record 4,000, a checkpoint of this network 100,000.
        largest = int(10 ** rng.uniform(0, 5.2))
        heard, told = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(job, 0.0, largest, told))
        process.start()
        process.join()
        assert process.exitcode in (0, REFUSED), (number, largest)
        if process.exitcode == REFUSED:
            (line,) = heard.recv().splitlines()
            assert line.startswith(str(job.out)) and "cannot be written: File too large" in line
            refused += 1
        assert not list(job.out.glob(".*.part"))
        train(job)
        assert_whole(job.out, undisturbed)
    assert refused
    tally("trainings on a disk that is full at some moment", count, count, f"{refused} refused in one line")
