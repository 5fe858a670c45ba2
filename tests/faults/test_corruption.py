"""Bytes changed or cut off in everything that is kept: detected, or nothing that is read from the file changed."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from renorm import data
from renorm.core.errors import RenormError
from renorm.runs import run_record
from renorm.study import claims
from renorm.training import checkpoint
from renorm.training.job import train

from ..training.cells import small_job, stop_after_each_step
from .conftest import cases

ROOT = Path(__file__).parents[2]


def corrupt(good: bytes, rng: random.Random) -> bytes:
    """One bit turned, a stretch overwritten, or the end missing."""
    bad, at, kind = bytearray(good), rng.randrange(len(good)), rng.random()
    if kind < 0.6:
        bad[at] ^= 1 << rng.randrange(8)
    elif kind < 0.8:
        bad[at : at + 512] = bytes(len(bad[at : at + 512]))
    else:
        del bad[at:]
    return bytes(bad)


def try_all(path: Path, read, equal, count: int, tally, what: str) -> None:
    """Corrupt `path` `count` times; `read()` must raise `RenormError` or return what it returned before."""
    good, before, found = path.read_bytes(), read(), []
    for number in range(count):
        bad = corrupt(good, random.Random(f"{path.name}{number}"))
        path.write_bytes(bad)
        try:
            after = read()
        except RenormError:
            found.append("detected")
            continue
        assert equal(after, before), (path, number)
        found.append("harmless")
    path.write_bytes(good)
    assert equal(read(), before)
    detected = found.count("detected")
    assert detected > 0.9 * count
    tally(f"corruptions of {what}", count, len(found), f"{detected} detected, the rest changed nothing that is read")


def same(one, other) -> bool:
    return one == other


@pytest.fixture(scope="module")
def run(tmp_path_factory, prepared_digits) -> Path:
    """The folder of a whole run."""
    folder = tmp_path_factory.mktemp("run")
    train(small_job(folder, prepared_digits, norm="deconv"))
    return folder


@pytest.mark.parametrize("name", ["run.json", "history.csv"])
def test_records(run, tally, name):
    def read():
        record = run_record.read(run / "run.json")
        return record, run_record.read_history(run, record)

    try_all(run / name, read, same, cases(200, 1000), tally, name)


def test_checkpoints(tmp_path, prepared_digits, tally, monkeypatch):
    """The newer of two generations damaged: never loaded."""
    job = small_job(tmp_path, prepared_digits, norm="deconv")
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        stop_after_each_step(patch)
        train(job)

    def read():
        body = checkpoint._load_body(tmp_path / "checkpoint.pt")
        if body is None:
            raise RenormError("passed over")
        return body["fingerprint"]

    try_all(tmp_path / "checkpoint.pt", read, same, cases(200, 1000), tally, "checkpoint.pt")


@pytest.mark.parametrize("name", ["train.npz", "test.npz", "manifest.json"])
def test_prepared_data(tmp_path, prepared_digits, tally, name):
    folder = shutil.copytree(prepared_digits / "digits", tmp_path / "digits")

    def read():
        return data.open_prepared(folder, "digits")

    def equal(one, other):
        splits = [(getattr(one, split), getattr(other, split)) for split in ("train", "test")]
        arrays = all(np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels) for a, b in splits)
        return arrays and (one.mean, one.std, one.classes, one.checksum) == (
            other.mean, other.std, other.classes, other.checksum,
        )  # fmt: skip

    try_all(folder / name, read, equal, cases(100, 1000), tally, f"a data set's {name}")


@pytest.mark.parametrize("name", ["table1.csv", "statements.yaml", "source.yaml", claims.SUMS])
def test_claims(tmp_path, tally, name):
    folder = shutil.copytree(ROOT / "claims/ye2020", tmp_path / "ye2020")

    def equal(one, other):
        return one.frame.equals(other.frame) and (one.source, one.statements) == (other.source, other.statements)

    try_all(folder / name, lambda: claims.load_claims(folder), equal, cases(60, 1000), tally, f"the claims' {name}")
