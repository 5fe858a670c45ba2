"""Which GPU a cell trains on where no cluster says so, and how many cells share one.

Snakemake counts GPUs but gives none out. Each device has `per_device` places, each a lock file; a cell takes a free
place and sees that device only. The kernel frees the place when the process ends, however it ends.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from renorm.core import machine
from renorm.core.errors import RenormError
from renorm.core.locks import try_lock

VISIBLE = "CUDA_VISIBLE_DEVICES"


def devices(env: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, else all of the machine."""
    if VISIBLE in env:
        return [name.strip() for name in env[VISIBLE].split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60)
        count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    except (OSError, subprocess.TimeoutExpired):
        # Containers may have the driver and not its programs.
        count = len(list(machine.NVIDIA.glob("*/information")))
    return [str(index) for index in range(count)]


def default_folder() -> Path:
    """Of this machine and user, not of a checkout: two studies share the same devices. A Slurm job has its own."""
    mine = Path(os.environ.get("RENORM_SLOTS") or Path(tempfile.gettempdir()) / f"renorm-slots-{os.getuid()}")
    return mine / f"job-{os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else mine


@contextmanager
def held(per_device: int, wait_seconds: float = float("inf")) -> Iterator[str | None]:
    """Hold a place on a device and make it the only one that this process and its children see.

    Yields the device; None, and nothing is changed, with `per_device` 0, without a GPU, and in a Slurm job that was
    given one: Slurm has bound it. Raises `RenormError` when no place was free for `wait_seconds`. To be
    called before CUDA starts.
    """
    free = devices() if per_device else []
    if not free or ("SLURM_JOB_ID" in os.environ and len(free) == 1):
        yield None
        return
    device, place = _take(free, per_device, wait_seconds)
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = device
    try:
        yield device
    finally:
        place.close()
        os.environ.pop(VISIBLE) if before is None else os.environ.update({VISIBLE: before})


def _take(names: list[str], per_device: int, wait_seconds: float):
    folder = default_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RenormError(f"{folder}: cannot hold the locks of the GPUs: {error.strerror}: set RENORM_SLOTS") from None
    deadline = time.monotonic() + wait_seconds
    while True:
        # The first place of every device before the second of any: cells spread over the devices.
        for place in range(per_device):
            for name in names:
                file = try_lock(folder / f"{name.replace('/', '_')}.{place}")
                if file:
                    return name, file
        if time.monotonic() >= deadline:
            raise RenormError(
                f"all {per_device} places on each of the GPUs {', '.join(names)} are taken (locks in {folder}): wait "
                "for the cells that hold them, or raise gpu_slots"
            )
        time.sleep(0.1)
