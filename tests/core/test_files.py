import signal

import pytest

from renorm.core import files
from renorm.core.errors import RenormError


def test_written_whole_and_nothing_beside(tmp_path):
    path = tmp_path / "a" / "b.txt"
    files.write_atomic(path, "one")
    files.write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]


def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path):
    import resource

    path = tmp_path / "b.bin"
    files.write_atomic(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(RenormError, match="b.bin: cannot be written: File too large"):
            files.write_atomic(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["b.bin"]


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"loss": float("nan")})
    (tmp_path / "y.json").write_text('{"a": ')
    with pytest.raises(RenormError, match="y.json: cannot be read as JSON; try again"):
        files.read_json(tmp_path / "y.json", "try again")
