"""What runs again, and what does not: proven with dry runs on a study that ran."""

import base64
import copy as copying
import shutil

import pytest

from renorm.core import machine
from renorm.execution import calibration_store

from .conftest import STUDY

pytestmark = pytest.mark.pipeline
AFTER = {"study": 1, "collect": 1, "judge": 1, "figures": 1, "report": 1}


def changed(change) -> dict:
    study = copying.deepcopy(STUDY)
    change(study)
    return study


def test_a_finished_study_has_nothing_to_do(finished):
    assert finished.planned() == {}


def test_a_new_seed_is_exactly_one_training(finished):
    finished.write(changed(lambda s: s["experiments"]["method"]["seeds"].append(2)), "seed.yaml")
    assert finished.pending(config="seed.yaml") == {"train": 1, **AFTER}


def test_a_changed_learning_rate_reruns_only_the_cells_that_use_it(finished):
    finished.write(changed(lambda s: s["recipes"]["other"]["optimizer"].update(lr=0.03)), "lr.yaml")
    assert finished.pending(config="lr.yaml") == {"train": 1, **AFTER}
    finished.write(changed(lambda s: s["recipes"]["base"].update(batch_size=16)), "batch.yaml")
    assert finished.pending(config="batch.yaml") == {"train": 3, **AFTER}


def test_a_norm_option_reruns_only_the_cells_that_have_it(finished):
    finished.write(changed(lambda s: s["recipes"]["base"].update(norm={"block": 8})), "block.yaml")
    assert finished.pending(config="block.yaml") == {"train": 1, **AFTER}


def test_what_changes_no_number_trains_nothing(finished):
    finished.write(changed(lambda s: s.update(title="New", checkpoint_minutes=3.0)), "title.yaml")
    assert "train" not in finished.pending(config="title.yaml")


def test_a_comment_in_the_code_reruns_nothing(copy):
    for file in ["Snakefile", *(f"workflow/rules/{n}.smk" for n in ("common", "data", "train", "analyse", "report")),
                 "src/renorm/training/trainer.py", "src/renorm/norms/deconvolution.py"]:  # fmt: skip
        path = copy.folder / file
        path.write_text(path.read_text() + "\n# A remark.\n")
    assert copy.planned() == {}


def test_a_deleted_run_is_trained_again_and_what_depends_on_it(copy):
    (copy.folder / "results/runs/digits/tiny_vgg/batch_norm/base/e1/s2/run.json").unlink()
    assert copy.pending() == {"train": 1, **AFTER}


def test_a_data_set_prepared_again_trains_nothing(copy):
    for name in ("train.npz", "test.npz", "manifest.json"):
        (copy.folder / "results/data/digits" / name).touch()
    assert copy.planned() == {}


def test_killed_while_the_data_were_prepared_everything_still_follows(copy):
    """The marks that a killed Snakemake leaves of the job it was in: that job runs again, and what is missing too."""
    shutil.rmtree(copy.folder / "results/runs")
    marks = copy.folder / ".snakemake/incomplete"
    marks.mkdir(exist_ok=True)
    for name in ("train.npz", "test.npz", "manifest.json"):
        (marks / base64.b64encode(f"results/data/digits/{name}".encode()).decode()).touch()
    planned = copy.planned()
    assert (planned["dataset"], planned["train"], planned["report"]) == (1, 3, 1)


def test_a_corrected_claim_is_judged_again_and_nothing_is_trained(copy):
    path = copy.folder / "claims/ye2020/table1.csv"
    path.write_text(path.read_text().replace("90.07", "90.08", 1))
    path.with_name("SHA256SUMS").unlink()
    assert copy.planned() == {"judge": 1, "figures": 1, "report": 1}


def test_one_experiment_can_be_taken_by_name(finished):
    assert "train" not in finished.planned("--config", "only=method")


def test_a_calibration_trains_nothing_again(copy):
    """It changes what jobs ask for, and is no input of any rule."""
    calibration_store.write(copy.folder / "results", calibration_store.Calibration(
        kind="cpu", device=machine.cpu_name(), torch=machine.torch_version(), threads=1, made="", start_seconds=1.0,
        steps={"x": {"arch": "tiny_vgg", "norm": "batch_norm", "shape": (3, 32, 32), "batch": 32, "seconds": 100.0,
                     "image_seconds": 1.0, "save_seconds": 1.0, "warm_seconds": 1.0, "repetitions": 1}},
    ))  # fmt: skip
    assert copy.planned() == {}
