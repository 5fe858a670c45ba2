"""renorm from a wheel, outside any checkout: everything it needs is inside."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

SOURCES = ("src", "Snakefile", "workflow", "slurm", "envs", "report", "pyproject.toml", "README.md", "LICENSE")
RECIPE = {"optimizer": {"lr": 0.02}, "batch_size": 32, "train_images": 96, "test_images": 60, "augment": "crop"}
STUDY = {
    "study": "small",
    "claims": {"original": "claims/ye2020"},
    "recipes": {"base": RECIPE},
    "experiments": {
        "digits": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm", "deconv"], "recipe": ["base"],
                   "epochs": [1], "seeds": [1]},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    """A wheel of a copy of the sources: a build leaves files beside them."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (root / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(root / name, copy / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(root / name, copy / name)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", ".", cwd=copy)
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel in it, beside the packages of this one, which it does not install again."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched, but its own .pth files, such as that of an editable renorm, are not.
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run(*command: object, cwd: Path | None = None, environment: Path | None = None) -> str:
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RENORM_DATA")}
    if environment:
        env |= {"PATH": f"{environment / 'bin'}:{env['PATH']}", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_what_is_not_python(wheel, root):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("workflow", "slurm", "report", "envs"):
        files = [path for path in (root / folder).rglob("*") if path.is_file()]
        assert files and {f"renorm/bundled/{path.relative_to(root)}" for path in files} <= names
    assert {"renorm/bundled/Snakefile", "renorm/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_a_study_runs_outside_any_checkout(installed, root, tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    shutil.copytree(root / "claims" / "ye2020", tmp_path / "claims" / "ye2020")

    def renorm(*arguments: object) -> str:
        return run("renorm", *arguments, cwd=tmp_path, environment=installed)

    where = Path(renorm("snakefile").strip())
    assert where.is_relative_to(installed) and "commit unknown" in renorm("--version")
    planned = run(
        "python", "-m", "snakemake", "--snakefile", where, "--configfile", "study.yaml", "--dry-run", "--cores", "1",
        cwd=tmp_path, environment=installed,
    )  # fmt: skip
    assert next(line.split() for line in planned.splitlines() if line.startswith("train ")) == ["train", "2"]

    assert "digits" in renorm("plan", "--config", "study.yaml")
    renorm("prepare", "digits")
    # The cell of batch norm stays missing: a report is made of what there is.
    renorm("train", "--config", "study.yaml", "--dataset", "digits", "--arch", "tiny_vgg", "--norm", "deconv",
           "--recipe", "base", "--epochs", "1", "--seed", "1")  # fmt: skip
    renorm("collect", "--config", "study.yaml")
    for verb in ("judge", "figures", "report", "archive"):
        renorm(verb, "results/small")
    page = (tmp_path / "results" / "small" / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page and "<style" in page
    crate = zipfile.ZipFile(tmp_path / "results" / "small.crate.zip")
    assert crate.read("environment/requirements.txt") == (root / "envs" / "requirements.txt").read_bytes()


def test_a_new_study_around_a_program_runs_and_is_judged(installed, tmp_path):
    def renorm(*arguments: object) -> str:
        return run("renorm", *arguments, cwd=tmp_path, environment=installed)

    renorm("new", "mine", "--program", "train.py")
    folder = tmp_path / "mine"
    config = (folder / "config.yaml").read_text().replace("seeds: [1, 2, 3]", "seeds: [1]").replace("[3]", "[1]")
    (folder / "config.yaml").write_text(config)
    run("python", "-m", "snakemake", "--cores", "2", "--quiet", cwd=folder, environment=installed)
    page = (folder / "results/mine/report.html").read_text(encoding="utf-8")
    assert "Example 2026" in page and "method-wins" in (folder / "results/mine/statements.csv").read_text()
    again = run("python", "-m", "snakemake", "--cores", "1", "--dry-run", cwd=folder, environment=installed)
    assert "Nothing to be done" in again
    # The rules of the checkout, its profile and its example study, from the package alone.
    renorm("new", "plain")
    planned = run(
        "python", "-m", "snakemake", "--profile", "slurm", "--dry-run", cwd=tmp_path / "plain", environment=installed
    )
    assert next(line.split() for line in planned.splitlines() if line.startswith("train ")) == ["train", "8"]
