"""However results came here and whatever was changed: what is trained, and what is made again.

Every pair is decided in this process by what the Snakefile asks; a dry run for every way of arrival agrees with it.
"""

import copy as copying
import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from renorm.execution.pending import Pending
from renorm.execution.status import why
from renorm.runs import made_from
from renorm.study import config

from .conftest import STUDY, Checkout

pytestmark = pytest.mark.pipeline
AFTER = {"study": 1, "collect": 1, "judge": 1, "figures": 1, "report": 1}
RECORD = "results/runs/digits/tiny_vgg/batch_norm/base/e1/s2/run.json"


def stay(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=shutil.copy2, symlinks=True)


def without_memory(source: Path, target: Path) -> None:
    stay(source, target)
    shutil.rmtree(target / ".snakemake")


def forgotten(source: Path, target: Path) -> None:
    """As after `snakemake --cleanup-metadata` of every file."""
    stay(source, target)
    shutil.rmtree(target / ".snakemake/metadata")


def workflow_only(source: Path, target: Path) -> None:
    target.mkdir()
    for part in source.iterdir():
        if part.name not in ("results", ".snakemake"):
            (stay if part.is_dir() else shutil.copy2)(part, target / part.name)


def copied(source: Path, target: Path, order: list[str]) -> None:
    """Without times, folder after folder, as `cp -r` does."""
    workflow_only(source, target)
    for at, part in enumerate(order):
        shutil.copytree(source / "results" / part, target / "results" / part, copy_function=shutil.copy)
        stamp = time.time() - 1000 + 10 * at
        for path in (target / "results" / part).rglob("*"):
            os.utime(path, (stamp, stamp))


def cp_r_data_last(source: Path, target: Path) -> None:
    copied(source, target, ["runs", "small", "data"])


def cp_r_tables_first(source: Path, target: Path) -> None:
    copied(source, target, ["small", "data", "runs"])


def rsync_r(source: Path, target: Path) -> None:
    """Without -t: every file is as old as its transfer, in alphabetical order."""
    workflow_only(source, target)
    for at, path in enumerate(sorted((source / "results").rglob("*"))):
        if path.is_file():
            there = target / path.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there)
            os.utime(there, (1.7e9 + at, 1.7e9 + at))


def unzipped(source: Path, target: Path) -> None:
    workflow_only(source, target)
    with zipfile.ZipFile(target.with_suffix(".zip"), "w") as packed:
        for path in sorted((source / "results").rglob("*"), reverse=True):
            if path.is_file():
                packed.writestr(zipfile.ZipInfo(str(path.relative_to(source))), path.read_bytes())
    with zipfile.ZipFile(target.with_suffix(".zip")) as packed:
        packed.extractall(target)


def git_checkout(source: Path, target: Path) -> None:
    """Committed with everything, and cloned."""
    origin = target.with_name(target.name + "-origin")
    stay(source, origin)
    shutil.rmtree(origin / ".snakemake")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for command in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "results"]):
        subprocess.run([*git, *command], cwd=origin, check=True, capture_output=True)
    subprocess.run(["git", "clone", "-q", str(origin), str(target)], check=True)


def clock_behind(source: Path, target: Path) -> None:
    stay(source, target)
    for path in (target / "results").rglob("*.json"):
        os.utime(path, (1e9, 1e9))


def records_only(source: Path, target: Path) -> None:
    """Neither data nor tables, as in a recording."""
    copied(source, target, ["runs"])


WAYS = (stay, without_memory, forgotten, cp_r_data_last, cp_r_tables_first, rsync_r, unzipped, git_checkout,
        clock_behind, records_only)  # fmt: skip


def nothing(folder: Path, study: dict) -> None:
    pass


def title(folder: Path, study: dict) -> None:
    study["title"] = "ANOTHER TITLE"


def threshold(folder: Path, study: dict) -> None:
    study["judge"] = {"threshold": 0.2}


def seed(folder: Path, study: dict) -> None:
    study["experiments"]["method"]["seeds"] = [1, 2]


def rate(folder: Path, study: dict) -> None:
    study["recipes"]["base"] = study["recipes"]["base"] | {"optimizer": {"lr": 0.03}}
    study["recipes"]["other"] = study["recipes"]["other"] | {"optimizer": {"lr": 0.01}}


def deleted(folder: Path, study: dict) -> None:
    (folder / RECORD).unlink()


def claim(folder: Path, study: dict) -> None:
    path = folder / "claims/ye2020/table1.csv"
    path.write_text(path.read_text().replace("90.07", "90.08", 1))
    path.with_name("SHA256SUMS").unlink()


# What was changed → trainings, and the first step of the report that has to be taken again.
CHANGES = {
    nothing: (0, None), title: (0, "collect"), threshold: (0, "collect"), claim: (0, "judge"), seed: (1, "collect"),
    rate: (2, "collect"), deleted: (1, "collect"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_arrivals(finished, tmp_path, monkeypatch, tally, way):
    right = 0
    for change, (trainings, first) in CHANGES.items():
        folder = tmp_path / change.__name__
        if change is nothing:
            way(finished.folder, folder)
        else:
            stay(tmp_path / "nothing", folder)
        study = copying.deepcopy(STUDY)
        change(folder, study)
        checkout = Checkout(folder)
        path = checkout.write(study)
        monkeypatch.chdir(folder)
        pending = Pending(config.load(path.name))
        cells = pending.to_train("small")
        assert len(cells) == trainings, change.__name__
        for cell in pending.cells("small"):
            assert ("would be trained" in why(pending.study, cell.path)) == (cell in cells)
        if way is records_only:
            first = "collect"
        steps = made_from.STEPS[made_from.STEPS.index(first) :] if first else ()
        assert pending.steps("small") == set(steps), change.__name__
        if change is CHECKED[WAYS.index(way) % len(CHECKED)]:
            expected = {step: 1 for step in steps} | ({"study": 1} if first == "collect" else {})
            expected |= {"train": trainings} if trainings else {}
            if way is records_only and trainings:
                expected |= {"dataset": 1}
            assert checkout.planned() == expected, change.__name__
        right += 1
    note = ", ".join(f"{change.__name__}: {n}" for change, (n, _) in CHANGES.items())
    tally(f"changes to results that came by `{way.__name__}`: trainings as expected", len(CHANGES), right, note)


CHECKED = (nothing, seed, rate, deleted, title, claim, nothing)
