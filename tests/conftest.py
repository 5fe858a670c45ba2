"""What the tests share: markers that skip by name, and fail instead where the machine must have everything (CI)."""

import json
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = {"chromium": "chromium", "slurm": "slurmctld"}
# Before torch and numpy are imported, and for every process that a test starts: a worker has one core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Units of work for pytest-xdist: what shares a cluster, a finished study or a rendered page goes to one worker, every
# other file is a unit of its own. The longest start first, so that the workers end together. (xdist's own
# `--dist loadgroup` writes to `_nodeid`, which pytest 9.2 no longer reads: the groups fall apart.)
UNITS = {
    "cluster": ["slurm/test_survival", "slurm/test_obstacles"],
    "study": ["pipeline/test_study", "pipeline/test_truth", "pipeline/test_arrivals", "pipeline/test_reruns"],
    "second cluster": ["slurm/test_grid", "slurm/test_documentation", "slurm/test_preflight"],
    "page": ["report/test_browser", "report/test_axe", "report/test_page", "report/test_export", "report/test_figures"],
}  # fmt: skip
LONG = ["slurm/test_accounting", "slurm/test_other_schedulers", "test_wheel", "training/test_distributed",
        "faults/test_soak", "pipeline/test_experiments", "pipeline/test_layer_views", "pipeline/test_programs",
        "test_benchmarks", "judging/test_audit", "faults/test_disks", "models/test_models",
        "report/test_forest"]  # fmt: skip
UNIT_OF = {f"tests/{file}.py": unit for unit, files in UNITS.items() for file in files}
ORDER = [*UNITS, *(f"tests/{file}.py" for file in LONG)]


def unit(nodeid: str) -> str:
    """What is given to a worker as a whole: the unit of a test's file, or the file."""
    file = nodeid.partition("::")[0]
    return UNIT_OF.get(file, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    config.option.loadscopereorder = False  # the order is that of the items
    return Units(config, log)


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        place = {name: at for at, name in enumerate(ORDER)}
        items.sort(key=lambda item: place.get(unit(item.nodeid), len(place)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """No coverage of a test marked `untraced`, nor of the fixtures that are made for it."""
    plugin = item.config.pluginmanager.getplugin("_cov")
    controller = plugin.cov_controller if plugin and item.get_closest_marker("untraced") else None
    if controller:
        controller.pause()
    try:
        return (yield)
    finally:
        if controller:
            controller.resume()


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
