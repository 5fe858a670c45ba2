"""Many tiny cells through the real pipeline, with Snakemake and its jobs killed at random: every one there, once."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from ..pipeline.conftest import RECIPE
from .conftest import cases

pytestmark = pytest.mark.pipeline
TINY = RECIPE | {"train_images": 32, "test_images": 20}


def descendants(pid: int) -> list[int]:
    """The processes below `pid`, read from /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    below, found = {pid}, []
    while below:
        below = {child for child, parent in parents.items() if parent in below}
        found += below
    return found


def memory_mb(pid: int) -> float:
    """Resident memory of one process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


def test_every_cell_is_there_and_was_trained_once(make_checkout, tmp_path, tally):
    seeds = cases(6, int(os.environ.get("RENORM_SOAK", "2000"))) // 2
    study = {
        "study": "soak", "recipes": {"tiny": TINY},
        "experiments": {"e": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm", "deconv"],
                              "recipe": ["tiny"], "epochs": [1], "seeds": list(range(1, seeds + 1))}},
    }  # fmt: skip
    checkout, rng, started = make_checkout(tmp_path / "soak"), random.Random(0), time.monotonic()
    checkout.write(study)
    kills, peak, grown, code = {"snakemake": 0, "job": 0, "both": 0}, 0.0, 0.0, None
    between, done = {"edited": 0, "copied": 0, "forgotten": 0}, {}
    while code != 0:
        kind = ""
        process, memory = checkout.start("--quiet", "all"), []
        while process.poll() is None:
            until = time.monotonic() + rng.uniform(*pause(sum(kills.values())))
            while process.poll() is None and time.monotonic() < until:
                memory.append(memory_mb(process.pid))
                time.sleep(0.2)
            if process.poll() is None:
                kind = rng.choice(list(kills))
                kills[kind] += 1
                kill(process, kind, rng)
        code = process.wait()
        process.stdout.close()
        done |= finished_records(checkout.folder, done)
        if code and kind == "both":
            disturb(checkout.folder, between, rng)
        peak = max(peak, *memory, 0.0)
        # Built after 20 seconds, the graph of jobs stays as large as it is.
        grown = max(grown, *(now - memory[100] for now in memory[100:]), 0.0)
    check(checkout, seeds, sum(kills.values()))
    # What was finished at any moment is what is there now: nothing that was finished was trained again.
    assert finished_records(checkout.folder, {}).items() >= done.items()
    assert not list((checkout.folder / "results/runs").rglob("run.superseded-*.json"))
    minutes = (time.monotonic() - started) / 60
    told = ", ".join(f"{count} × {kind}" for kind, count in kills.items())
    told += "; between: " + ", ".join(f"{count} × {what}" for what, count in between.items())
    note = (f"killed: {told}; finished cells trained twice: 0; {minutes:.0f} min; Snakemake's memory: {peak:.0f} MB at "
            f"most, {grown:.0f} MB grown by jobs")  # fmt: skip
    tally("cells of a study whose Snakemake and jobs were killed at random", 2 * seeds, 2 * seeds, note)


def finished_records(folder: Path, known: dict[Path, str]) -> dict[Path, str]:
    """Path below `folder` → checksum of every finished record that is not in `known`."""
    found = {}
    for path in (folder / "results/runs").rglob("run.json"):
        if path.relative_to(folder) not in known:
            found[path.relative_to(folder)] = json.loads(path.read_text())["checksum"]
    return found


def disturb(folder: Path, counts: dict[str, int], rng: random.Random) -> None:
    """What people do to a study while nothing runs: edit comments, copy the results without their times, clean up."""
    what = rng.choice(list(counts))
    counts[what] += 1
    if what == "edited":
        for name in ("training/trainer.py", "models/vgg.py", "norms/deconv.py"):
            path = folder / "src/renorm" / name
            path.write_text(f"{path.read_text()}\n# A remark, number {counts[what]}.\n")
    elif what == "copied":
        shutil.copytree(folder / "results", folder / "copied", copy_function=shutil.copy)
        shutil.rmtree(folder / "results")
        (folder / "copied").rename(folder / "results")
        for path in (folder / "results").rglob("*"):
            stamp = time.time() - rng.uniform(0, 1e6)
            os.utime(path, (stamp, stamp))
    else:
        shutil.rmtree(folder / ".snakemake")


def pause(killed: int) -> tuple[int, int]:
    """Shortest and longest wait for the next kill, in seconds, after `killed` of them.

    The first three come early, so that a quick soak has some and still ends. Later ones let Snakemake, which needs
    some 10 seconds to plan 2,000 cells anew, do more than start.
    """
    if killed < 3:
        return 4, 30
    return cases(30, 10), cases(300, 100)


def kill(process, kind: str, rng: random.Random) -> None:
    if kind == "both":
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    elif kind == "snakemake":
        process.kill()
        process.wait()
    else:
        jobs = descendants(process.pid)
        if jobs:
            os.kill(rng.choice(jobs), signal.SIGKILL)


def check(checkout, seeds: int, killed: int) -> None:
    records = list((checkout.folder / "results/runs").rglob("run.json"))
    assert len(records) == 2 * seeds
    trained = 0
    for path in records:
        record = json.loads(path.read_text())
        assert (record["status"], record["epochs_completed"]) == ("completed", 1)
        assert len((path.parent / "history.csv").read_text().splitlines()) == 2
        log = (path.parent / "log.txt").read_text()
        # A cell that outlived its Snakemake was finished under the eyes of the next one's, which took its log away.
        assert "epoch 1/1 " in log or "nothing to train" in log
        trained += log.count("epoch 1/1 ")
    # Killed between its last epoch and its record, a cell is trained again: two at most per kill, on two cores.
    assert trained <= 2 * seeds + 2 * killed
    left = [p.name for p in checkout.folder.rglob("*") if p.suffix in (".part", ".pt")]
    assert left == []
    assert (checkout.folder / "results/soak/report.html").exists()
