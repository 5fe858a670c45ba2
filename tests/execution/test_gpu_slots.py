"""GPU places: real processes, devices that are names in the environment."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from renorm.core import machine
from renorm.core.errors import RenormError
from renorm.execution import gpu_slots

HOLD = """
import sys, time
from renorm.execution import gpu_slots
with gpu_slots.held(int(sys.argv[1])) as device:
    import os
    begun = time.monotonic()
    print(device, os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    time.sleep(float(sys.argv[2]))
    print(begun, time.monotonic(), flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Start a process that holds a place; returns it and what it was given."""
    running = []

    def begin(per_device: int, devices: str, seconds: float = 60, **env: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(per_device), str(seconds)], stdout=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(gpu_slots.__file__).parents[2]),
                 "RENORM_SLOTS": str(tmp_path / "slots"), "CUDA_VISIBLE_DEVICES": devices, **env},
        )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_cells_spread_over_the_devices_and_share_them_up_to_the_number_of_places(start):
    given = []
    for _ in range(4):
        given.append(start(2, "0,GPU-aa").stdout.readline().split())
    assert [device for device, _ in given] == ["0", "GPU-aa", "0", "GPU-aa"]
    assert all(device == seen for device, seen in given)


def test_a_place_is_waited_for_and_free_again_when_its_holder_is_killed(start):
    holders = []
    for device in ("0", "1"):
        holders.append(start(1, "0,1"))
        assert holders[-1].stdout.readline().split() == [device, device]
    waiting = start(1, "0,1")
    time.sleep(1.0)
    assert waiting.poll() is None
    holders[1].send_signal(signal.SIGKILL)
    assert waiting.stdout.readline().split() == ["1", "1"]


def test_twelve_processes_at_once_never_exceed_the_places(start):
    running = [start(2, "0,1", 0.3) for _ in range(12)]
    held = []
    for process in running:
        given, times = process.communicate(timeout=60)[0].splitlines()
        held.append((given.split()[0], *map(float, times.split())))
    together = [
        Counter(device for device, begun, ended in held if begun <= moment < ended) for _, moment, _ in held
    ]  # fmt: skip
    assert all(count <= 2 for counts in together for count in counts.values())
    # Neither is a device left idle while others wait.
    assert max(counts.total() for counts in together) == 4


def test_inside_a_slurm_job_with_one_device_slurm_has_chosen(start):
    assert start(1, "1", SLURM_JOB_ID="7").stdout.readline().split() == ["None", "1"]


def test_an_allocation_of_several_devices_is_shared_out_apart_from_others(start):
    given = [start(1, "0,1", SLURM_JOB_ID=job).stdout.readline().split()[0] for job in ("7", "8", "7", "8")]
    assert given == ["0", "0", "1", "1"]


@pytest.mark.parametrize("devices", ["", "-1", "NoDevFiles"])
def test_without_a_gpu_nothing_is_bound(start, devices):
    assert start(1, devices).stdout.readline().split()[0] == "None"


def test_without_the_driver_s_programs_its_files_are_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "NVIDIA", tmp_path / "gpus")
    assert gpu_slots.devices({}) == []
    for bus in ("0000:01:00.0", "0000:41:00.0"):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        (tmp_path / "gpus" / bus / "information").write_text("Model: \t NVIDIA A100\n")
    assert gpu_slots.devices({}) == ["0", "1"]
    assert gpu_slots.devices({"CUDA_VISIBLE_DEVICES": "1"}) == ["1"]


def test_all_places_taken_is_one_line_that_names_the_way_out(start, tmp_path, monkeypatch):
    start(1, "0").stdout.readline()
    monkeypatch.setenv("RENORM_SLOTS", str(tmp_path / "slots"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(RenormError, match="GPUs 0 are taken.*gpu_slots"):
        with gpu_slots.held(1, wait_seconds=0.3):
            pass
    with gpu_slots.held(2) as device:
        assert device == os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RENORM_SLOTS", str(tmp_path / "file" / "slots"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(RenormError, match="set RENORM_SLOTS"):
        with gpu_slots.held(1):
            pass
