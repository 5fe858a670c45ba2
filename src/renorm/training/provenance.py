"""With what a run was made, and the hash of what it made."""

import hashlib
import os
import platform

import torch

from renorm.core import machine

PACKAGES = ("torchvision", "numpy", "scipy", "scikit-learn")


def weights_sha256(state: dict[str, torch.Tensor]) -> str:
    """One hash over all parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def describe(device: torch.device, gpus: int, hyper: dict) -> dict:
    """With what the run was made: code, packages, device (or several), precision, determinism."""
    cuda = device.type == "cuda"
    return {
        **machine.code_version(),
        "python": platform.python_version(),
        # The module knows its build (2.11.0+cu130), the metadata only its release.
        "packages": {"torch": torch.__version__, **{name: machine.package_version(name) for name in PACKAGES}},
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": str(torch.backends.cudnn.version()) if cuda else None,
        "device": _devices(device, gpus),
        "host_cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": hyper["precision"],
        "deterministic": hyper["deterministic"] or not cuda,
    }


def place(device: torch.device, gpus: int) -> str:
    """Where a part of a run was computed: device, threads and torch, in words."""
    return f"{_devices(device, gpus)}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _devices(device: torch.device, gpus: int) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine.cpu_name()
    return f"{gpus} × {name}" if gpus > 1 else name
