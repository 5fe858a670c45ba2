"""Which processor and which GPUs are here and which torch is installed, told without importing torch."""

import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
NVIDIA = Path("/proc/driver/nvidia/gpus")


@cache
def cpu_name() -> str:
    """The processor's model, else its architecture."""
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def gpu_names() -> set[str]:
    """The models of the GPUs that the driver knows; empty where there is no driver, as on most login nodes."""
    found = set()
    for file in NVIDIA.glob("*/information"):
        model = re.search(r"^Model:\s*(.+?)\s*$", file.read_text(errors="replace"), re.M)
        found |= {model[1]} if model else set()
    return found


@cache
def package_version(name: str) -> str | None:
    """The installed version as the package names itself; None when it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def torch_version() -> str:
    """The installed torch; empty when there is none."""
    return package_version("torch") or ""
