"""A read-only and a full file system, really mounted: one line, and what was there before stays whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import renorm

from ..report import simulate

# In a mount namespace of its own, which ends with the process. Every step is tried and prints its outcome.
PROGRAM = """
import json, subprocess, sys
from pathlib import Path

from renorm.core import files, locks
from renorm.core.errors import RenormError
from renorm.judging import judge
from renorm.report.export import write_tables
from renorm.report.figures import draw
from renorm.report.page import render
from renorm.runs.ro_crate import archive

how, folder = sys.argv[1], Path(sys.argv[2])
if how == "read-only":
    subprocess.run(["mount", "--bind", folder.parent, folder.parent], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", folder.parent], check=True)
else:
    disk = folder.parent / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    subprocess.run(["cp", "-r", folder, disk], check=True)
    folder = disk / folder.name
    with open(disk / "fill", "wb", buffering=0) as fill:  # the last part fits in no page of the disk
        try:
            while fill.write(bytes(4096)):
                pass
        except OSError:
            pass

def locked(folder):
    with locks.locked(folder / ".lock", "cell"):
        pass

def new_text(folder):
    files.write_atomic(folder / "study.json", "x" * 20000)

def log_line(folder):
    with files.open_append(folder / "log.txt") as log, files.writing(folder / "log.txt"):
        log.write(bytes(8192))

before = {str(p): files.sha256(p) for p in folder.rglob("*") if p.is_file()}
for step in (new_text, locked, log_line, judge, draw, render, write_tables, archive):
    try:
        step(folder)
        outcome = "done"
    except RenormError as error:
        outcome = str(error)
    print(json.dumps([step.__name__, outcome]))
after = {str(p): files.sha256(p) for p in folder.rglob("*") if p.is_file() and p.name not in (".lock", "log.txt")}
changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
print(json.dumps(["changed", changed]))
"""


def tried(how: str, folder: Path) -> dict[str, str | list]:
    """Step → what came of it on such a disk."""
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", PROGRAM, how, str(folder)], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(renorm.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    """A study with tables, figures and a page, in a folder of its own."""
    if os.getuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("needs root and mount namespaces")
    from renorm.report.export import write_tables
    from renorm.report.figures import draw
    from renorm.report.page import render

    folder = simulate.write_study(tmp_path_factory.mktemp("disk") / "results/demo", demo=True)
    for step in (draw, render, write_tables):
        step(folder)
    return folder


REASONS = {"read-only": "Read-only file system", "full": "No space left on device"}


@pytest.mark.parametrize("how", REASONS)
def test_one_line_and_the_old_files_stay_whole(judged, how):
    outcomes = tried(how, judged)
    assert outcomes.pop("changed") == []
    if how == "full":  # an empty file takes no space on a tmpfs
        outcomes.pop("locked")
    for step, outcome in outcomes.items():
        assert REASONS[how] in outcome and "\n" not in outcome, (step, outcome)
