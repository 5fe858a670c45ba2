"""The last error of a run's log, as the trainer and the command write it."""

import pytest

from renorm.core.errors import RenormError
from renorm.runs import run_log
from renorm.training.run_log import RunLogger


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.txt"


def written(log, *calls) -> None:
    logger = RunLogger(log, quiet=True)
    for level, message in calls:
        getattr(logger, level)(message)
    logger.close()


def complained(log, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_no_log_has_no_error(log):
    assert run_log.last_error(log) == ""


def test_a_log_that_cannot_be_read_says_so(log):
    log.mkdir()
    assert run_log.last_error(log).startswith(f"{log}: cannot be read: ")


def test_an_error_counts_until_the_next_start(log):
    written(log, ("start", "cell: 5 images on cpu"), ("info", "epoch 1/2"), ("warning", "checkpoint.pt is damaged"))
    assert run_log.last_error(log) == ""
    complained(log, "renorm: dataset: renorm: it broke\n")
    assert run_log.last_error(log) == "dataset: renorm: it broke"
    # A concurrent job's line after it is no new attempt.
    written(log, ("info", "was finished: nothing to train"))
    assert run_log.last_error(log) == "dataset: renorm: it broke"
    written(log, ("start", "cell: resumed at epoch 2, step 1 (resume 1)"))
    assert run_log.last_error(log) == ""


def test_words_of_a_message_are_no_start(log):
    """The level decides, whatever a message says."""
    complained(log, "renorm: it broke\n")
    written(log, ("info", "START is a word, and so are 5 images on cpu, resumed at epoch 2"))
    assert run_log.last_error(log) == "it broke"


def test_the_last_line_of_a_traceback(log):
    written(log, ("start", "cell: 5 images on cpu"))
    complained(log, 'Traceback (most recent call last):\n  File "x", line 1\nValueError: y\n')
    assert run_log.last_error(log) == "ValueError: y"


def test_a_full_disk_is_one_line(log):
    with pytest.raises(RenormError, match="cannot be written: No space left on device"):
        log.symlink_to("/dev/full")
        written(log, ("info", "x"))
