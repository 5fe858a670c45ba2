"""The CPU and the GPUs of this machine, and the versions of torch and of renorm, without importing torch."""

import os
import platform
import re
import resource
import socket
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
NVIDIA = Path("/proc/driver/nvidia/gpus")


@cache
def cpu_name() -> str:
    """Model of the CPU, else its architecture."""
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


# Variables that hold the number of a job: Slurm, PBS, SGE, LSF.
JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "JOB_ID", "LSB_JOBID")


def usage() -> dict:
    """This host, the number of the cluster's job, and the peak memory in MB of this process or its largest child."""
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    job = next((os.environ[name] for name in JOB_VARIABLES if os.environ.get(name)), None)
    return {"host": socket.gethostname(), "job": job, "peak_memory_mb": round(kilobytes / 1024, 1)}


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


@cache
def code_version() -> dict:
    """Version of renorm and the commit of its checkout; `dirty` when the code differs from that commit.

    An installed copy has no checkout, even if the environment that it is in lies in somebody else's repository: its
    commit is the one that RENORM_COMMIT names, if any.
    """
    here = Path(__file__).resolve().parents[1]
    release = package_version("renorm")
    if _git(here, "ls-files", "--error-unmatch", str(here / "__init__.py")) is None:
        return {"renorm": release, "commit": os.environ.get("RENORM_COMMIT"), "dirty": None}
    commit, dirty = commit_of(here)
    return {"renorm": release, "commit": commit, "dirty": dirty}


def commit_of(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of the repository that `folder` is in, and whether files below `folder` differ from it; None of both
    where there is no repository."""
    changes = _git(folder, "status", "--porcelain", "--", ".")
    return _git(folder, "rev-parse", "HEAD"), None if changes is None else bool(changes)


def _git(folder: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
