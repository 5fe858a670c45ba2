"""What the tests share: markers that skip by name, and fail instead where the machine must have everything (CI)."""

import json
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = {"chromium": "chromium", "slurm": "slurmctld"}


def pytest_runtest_setup(item):
    for marker, program in PROGRAMS.items():
        if item.get_closest_marker(marker) and not shutil.which(program):
            reason = f"needs {program} (envs/debian.txt)"
            pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
    if item.get_closest_marker("realdata") and not os.environ.get("RENORM_DATA"):
        pytest.skip("needs the real data sets: set RENORM_DATA")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def prepared_digits(tmp_path_factory) -> Path:
    """A folder of prepared data sets with the digits in it."""
    from renorm import data

    folder = tmp_path_factory.mktemp("prepared")
    data.prepare("digits", folder, folder / "digits")
    return folder


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request) -> str:
    """Every device on which the test is to hold."""
    return request.param


@pytest.fixture
def determinism():
    """torch's switches of determinism; what a test sets, as a deterministic cell does, is taken back."""
    import torch

    before = torch.get_deterministic_debug_mode()
    yield torch.utils.deterministic
    torch.set_deterministic_debug_mode(before)
    torch.utils.deterministic.fill_uninitialized_memory = False


@pytest.fixture
def precisions():
    """A GPU's convolutions and products, of which a test may set `fp32_precision`."""
    import torch

    both = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = [one.fp32_precision for one in both]
    yield both
    for one, value in zip(both, before, strict=True):
        one.fp32_precision = value


@pytest.fixture
def tally():
    """`tally(what, tried, survived)`: a line for docs/reliability.md, kept when RENORM_TALLY names a file."""

    def write(what: str, tried: int, survived: int, note: str = "") -> None:
        print(f"{what}: {survived} of {tried} {note}")
        if path := os.environ.get("RENORM_TALLY"):
            line = json.dumps({"what": what, "tried": tried, "survived": survived, "note": note})
            with open(Path(path), "a", encoding="utf-8") as file:
                file.write(line + "\n")

    return write
