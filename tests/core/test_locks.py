import errno
import fcntl
import multiprocessing
import os
import signal
import threading
import time

import pytest

from renorm.core import locks
from renorm.core.errors import RenormError


def test_the_second_writer_is_told_who_the_first_is(tmp_path):
    lock = tmp_path / ".lock"
    with locks.locked(lock, "cell x"):
        with pytest.raises(RenormError, match=f"cell x is being written by process {os.getpid()}"):
            with locks.locked(lock, "cell x"):
                pass
    with locks.locked(lock, "cell x"):
        pass


def test_a_waiter_gets_the_lock_when_the_holder_ends(tmp_path):
    def hold():
        with locks.locked(tmp_path / ".lock", "cell"):
            held.set()
            time.sleep(0.5)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    with locks.locked(tmp_path / ".lock", "cell", wait_seconds=30):
        assert not thread.join(10)


def hold_for_ever(lock, held):
    with locks.locked(lock, "cell"):
        held.set()
        signal.pause()


def test_a_killed_holder_leaves_no_stale_lock(tmp_path):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold_for_ever, args=(tmp_path / ".lock", held))
    process.start()
    assert held.wait(60)
    with pytest.raises(RenormError), locks.locked(tmp_path / ".lock", "cell"):
        pass
    process.kill()
    process.join()
    with locks.locked(tmp_path / ".lock", "cell"):
        pass


@pytest.mark.parametrize("take", [locks.try_lock, lambda path: locks.locked(path, "cell").__enter__()])
def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch, take):
    """The kernel's answer of a mount without flock, which cannot be mounted here."""

    def refuse(file, kind):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RenormError, match="lock: this file system has no locks .No locks available."):
        take(tmp_path / "lock")


@pytest.mark.parametrize("take", [locks.try_lock, lambda path: locks.locked(path, "cell").__enter__()])
def test_what_cannot_be_opened_is_one_line(tmp_path, take):
    (tmp_path / "lock").mkdir()
    with pytest.raises(RenormError, match="lock: cannot be written: Is a directory"):
        take(tmp_path / "lock")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, which can become another user")
def test_the_lock_of_another_user_is_one_line(tmp_path):
    """In a child, since a process that gave up root cannot take it back."""
    tmp_path.chmod(0o755)
    (tmp_path / "lock").touch(0o600)
    heard, said = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=try_as_nobody, args=(tmp_path / "lock", said))
    process.start()
    process.join()
    assert heard.recv() == "lock: cannot be written: Permission denied"


def try_as_nobody(path, said):
    os.chdir(path.parent)  # the folders above may not be nobody's to enter
    os.setuid(65534)
    try:
        locks.try_lock(type(path)(path.name))
    except RenormError as error:
        said.send(str(error))


def test_the_holder_is_seen_and_not_disturbed(tmp_path):
    path = tmp_path / ".lock"
    assert locks.holder(path) == ""
    with locks.locked(path, "cell"):
        assert locks.holder(path).startswith(f"process {os.getpid()} on ")
        assert locks.try_lock(path) is None
    assert locks.holder(path) == ""
    path.write_text("process 1 on a machine that is gone\n")
    assert locks.holder(path) == ""
    file = locks.try_lock(path)
    assert file is not None
    file.close()
