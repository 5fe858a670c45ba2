"""The profile line for Apptainer: training goes through the image, with the image's renorm and not this machine's."""

import os
import sys
from types import SimpleNamespace

import pytest

from .conftest import SlurmCheckout, study

pytestmark = pytest.mark.pipeline

# Tells what it was asked, then does it here: bookworm has no Apptainer.
APPTAINER = """\
#!/bin/sh
if [ "$1" = --version ]; then echo "apptainer version 1.3.4"; exit; fi
echo "$@" >> {seen}
while [ "$1" != bash ] && [ "$1" != sh ] && [ "${{1##*/}}" != bash ]; do shift; done
PATH={inside}:/usr/bin:/bin exec "$@"
"""


def test_training_runs_in_the_image(make_checkout, tmp_path):
    checkout: SlurmCheckout = make_checkout(tmp_path / "checkout", SimpleNamespace(env=dict(os.environ)))
    checkout.write(study(gpu=0))
    (checkout.folder / "envs/renorm.sif").touch()
    inside, seen = tmp_path / "inside", tmp_path / "seen"
    inside.mkdir()
    (inside / "renorm").write_text(f'#!/bin/sh\nexec {sys.executable} -m renorm "$@"\n')
    (inside / "apptainer").write_text(APPTAINER.format(seen=seen, inside=inside))
    for program in inside.iterdir():
        program.chmod(0o755)
    profile = checkout.folder / "slurm/config.yaml"
    lines = profile.read_text()
    assert "# software-deployment-method: apptainer" in lines and '# apptainer-args: "--nv"' in lines
    profile.write_text(
        lines.replace("# software-deployment-method", "software-deployment-method")
        .replace("# apptainer-args", "apptainer-args").replace("executor: slurm", "executor: local\ncores: 2")
    )  # fmt: skip
    checkout.extra["PATH"] = f"{inside}:{os.environ['PATH']}"
    checkout.snakemake("--until", "train")
    assert checkout.record(1)["status"] == "completed"
    asked = [line for line in seen.read_text().splitlines() if "renorm train" in line]
    assert asked and all(line.startswith("exec") and "--nv" in line and "renorm.sif" in line for line in asked)
