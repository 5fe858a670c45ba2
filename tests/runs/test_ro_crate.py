"""The archive: a crate that an independent reader accepts, whole, checkable, and the same bytes twice."""

import csv
import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.judging import judge
from renorm.runs.ro_crate import METADATA, SUMS, archive
from renorm.study.cell import Cell

ROOT = Path(__file__).parents[2]
CELL = {"dataset": "cifar10", "arch": "vgg16", "norm": "deconv", "recipe": "paper", "epochs": 20}


def table(path: Path, rows: list[dict]) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Two runs, judged against one claims folder, with the record of one run beside them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "claims").symlink_to(ROOT / "claims")
    folder = tmp_path / "results" / "mine"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "judge.txt").write_text("not for others")
    (folder / "a name with spaces & <ä>.txt").write_text("x")
    claims = {"original": ["../../claims/ye2020"], "reproductions": []}
    (folder / "study.json").write_text(json.dumps({"study": "mine", "title": "My <study>", "claims": claims}))
    measured = {"metric": "top1", "split": "test", "selection": "final", "unit": "fraction", "n": 1}
    cells = [{**CELL, "seed": seed, "status": "completed"} for seed in (1, 2)]
    rows = [
        {"source": "mine", "table": "", "page": "", **CELL, "attempt": seed, **measured, "value": 0.9,
         "n_images": 10_000, "epochs_completed": 20, "status": "completed", "note": ""} for seed in (1, 2)
    ]  # fmt: skip
    table(folder / "cells.csv", cells)
    table(folder / "runs.csv", rows)
    table(folder / "provenance.csv", [{**CELL, "seed": s, "finished": f"2026-01-0{s}T00:00:00+00:00"} for s in (1, 2)])
    run = tmp_path / "results" / "runs" / Cell(**CELL, seed=1).path
    files.write_atomic(run / "run.json", "{}\n")
    files.write_atomic(run / "history.csv", "epoch\n")
    judge(folder)
    return folder


def entities(crate: Path) -> dict[str, dict]:
    return {entity["@id"]: entity for entity in json.loads((crate / METADATA).read_text())["@graph"]}


def test_an_independent_reader_accepts_it(study, tmp_path):
    if os.environ.get("CI") == "true":
        import rocrate.rocrate as reader
    else:
        reader = pytest.importorskip("rocrate.rocrate")
    crate = reader.ROCrate(archive(study, tmp_path / "crate"))
    assert crate.root_dataset["name"] == "My <study>" and crate.root_dataset["datePublished"].startswith("2026-01-02")
    members = crate.root_dataset["hasPart"]
    assert len(members) > 20 and all(member.type == "File" for member in members)
    assert crate.get("results/mine/threshold_rule.csv")["encodingFormat"] == "text/csv"
    zipped = reader.ROCrate(archive(study))
    assert {member.id for member in zipped.root_dataset["hasPart"]} == {member.id for member in members}


def test_the_rules_of_the_format(study, tmp_path):
    """RO-Crate 1.1: descriptor, root with its four properties, every file described and there, flat entities."""
    crate = archive(study, tmp_path / "crate", "https://spdx.org/licenses/CC-BY-4.0")
    found = entities(crate)
    assert found[METADATA]["about"] == {"@id": "./"}
    assert found[METADATA]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert found["./"]["@type"] == "Dataset" and found["./"]["license"]["@id"] in found
    assert all(found["./"][key] for key in ("name", "description", "datePublished"))
    listed = {part["@id"] for part in found["./"]["hasPart"]}
    assert listed == {key for key, entity in found.items() if entity["@type"] == "File"}
    assert "results/mine/a%20name%20with%20spaces%20%26%20%3C%C3%A4%3E.txt" in listed
    files = {path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()}
    assert len(files) == len(listed) + 1 and not any("logs" in path for path in files)


def test_everything_that_is_needed_is_in_it(study, tmp_path):
    crate = archive(study, tmp_path / "crate")
    run = f"results/runs/{Cell(**CELL, seed=1).path}"
    for path in ("environment/requirements.txt", "results/mine/provenance.csv", "claims/ye2020/table1.csv",
                 f"{run}/run.json", f"{run}/history.csv", SUMS):  # fmt: skip
        assert (crate / path).is_file(), path
    assert subprocess.run(["sha256sum", "--check", "--quiet", "--strict", SUMS], cwd=crate, check=False).returncode == 0
    for key, entity in entities(crate).items():
        if "sha256" in entity:
            assert hashlib.sha256((crate / entity["name"]).read_bytes()).hexdigest() == entity["sha256"], key


def test_it_can_be_judged_again(study, tmp_path, monkeypatch):
    crate = archive(study, tmp_path / "crate")
    monkeypatch.chdir(crate)
    before = {path.name: path.read_bytes() for path in Path("results/mine").glob("*.csv")}
    judge(Path("results/mine"))
    assert {path.name: path.read_bytes() for path in Path("results/mine").glob("*.csv")} == before


def test_the_same_study_gives_the_same_bytes(study, tmp_path):
    first = archive(study).read_bytes()
    os.utime(study / "runs.csv", (0, 0))
    assert archive(study).read_bytes() == first
    with zipfile.ZipFile(study.with_name("mine.crate.zip")) as crate:
        assert crate.testzip() is None and crate.namelist()[:2] == [SUMS, METADATA]


def test_what_cannot_be_archived_is_one_line(study, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(RenormError, match="exists already"):
        archive(study, tmp_path / "full")
    (tmp_path / "claims").unlink()
    with pytest.raises(RenormError, match="claims/ye2020: the claims folder is not there"):
        archive(study)
    (study / "threshold_rule.csv").unlink()
    with pytest.raises(RenormError, match=r"threshold_rule.csv: not there; collect and judge the study first"):
        archive(study)
