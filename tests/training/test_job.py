import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from renorm import data
from renorm.core.errors import RenormError
from renorm.core.locks import locked
from renorm.core.table_specs import TABLES
from renorm.runs import run_record
from renorm.study.cell import AXES, Cell
from renorm.study.config import Recipe
from renorm.training.device import configure, memory_errors
from renorm.training.job import train
from renorm.training.network import network
from renorm.training.provenance import weights_sha256
from renorm.training.trainer import Trainer

from .cells import history_without_times, small_job, without_times


@pytest.fixture(scope="module")
def run(tmp_path_factory, prepared_digits):
    """One finished run: its folder and record."""
    out = tmp_path_factory.mktemp("run")
    return out, train(small_job(out, prepared_digits))


def test_the_record_says_what_a_reader_must_know(run):
    out, record = run
    assert record.status == "completed"
    assert record.epochs_completed == 2
    assert record.cell == Cell("digits", "tiny_vgg", "batch_norm", "small", 2, 1)
    final = record.metrics.final
    assert (final.epoch, {split: part.n for split, part in final.splits.items()}) == (2, {"train": 150, "test": 100})
    for part in final.splits.values():
        values, n = part.values, part.n
        assert 0 <= values["top1"] <= values["top5"] <= 1
        assert math.isclose(values["top1"] * n, round(values["top1"] * n), abs_tol=1e-9)
        assert values["loss"] > 0
    assert record.parameters == 11_274
    assert record.hyperparameters["optimizer"]["lr"] == 0.01
    facts = record.provenance
    assert facts.packages["torch"] == torch.__version__
    assert record.data_sha256.startswith("6100f1900d274ee5")
    assert (facts.precision, facts.deterministic, record.resumes) == ("tf32", True, 0)
    assert sorted(p.name for p in out.iterdir()) == [".lock", "history.csv", "log.txt", "run.json"]


def test_the_history_has_a_row_per_epoch_and_the_final_one_is_the_records(run):
    out, record = run
    rows = run_record.read_history(out, record)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert tuple(rows[0]) == TABLES["histories"].names[len(AXES) :]
    assert float(rows[1]["test_top1"]) == record.metrics.final.value("test", "top1")
    best = max(float(row["test_top1"]) for row in rows)
    assert record.metrics.best.value("test", "top1") == best
    # Cosine annealing: the last step of 10 is at lr/2 · (1 + cos(0.9 π)).
    assert float(rows[1]["lr"]) == pytest.approx(0.01 / 2 * (1 + math.cos(0.9 * math.pi)))


def test_the_same_cell_twice_is_equal_bit_for_bit(run, tmp_path, prepared_digits):
    again = train(small_job(tmp_path, prepared_digits))
    assert without_times(again) == without_times(run[1])
    assert history_without_times(tmp_path) == history_without_times(run[0])


@pytest.mark.parametrize("norm", ["batch_norm", "deconv", "deconv_every", "decorrelated_bn", "switchable_whitening"])
def test_no_memory_is_read_that_was_not_written(prepared_digits, determinism, norm):
    """Filled with NaN, as torch does by default where algorithms are deterministic, it changes no number."""
    job = small_job(Path("none"), prepared_digits, norm=norm, epochs=1, recipe={"deterministic": True})
    digits, device, hashes = data.open_prepared(prepared_digits / "digits", "digits"), torch.device("cpu"), []
    for fill in (False, True):
        configure(job.hyper, 1, device)
        assert not determinism.fill_uninitialized_memory
        determinism.fill_uninitialized_memory = fill
        trainer = Trainer(network(job.cell, job.hyper, digits), digits, job.hyper, 1, 1, device)
        trainer.run()
        hashes.append(weights_sha256(trainer.model.state_dict()))
    assert hashes[0] == hashes[1]


def test_another_seed_differs_from_the_first_step(run, tmp_path, prepared_digits):
    other = train(small_job(tmp_path, prepared_digits, seed=2))
    assert other.weights_sha256 != run[1].weights_sha256
    assert history_without_times(tmp_path)[1] != history_without_times(run[0])[1]


def test_a_finished_run_is_not_trained_again(run, prepared_digits):
    before = (run[0] / "run.json").stat().st_mtime_ns
    assert train(small_job(run[0], prepared_digits)) == run[1]
    assert (run[0] / "run.json").stat().st_mtime_ns == before
    assert (run[0] / "log.txt").read_text().splitlines()[-1].endswith("nothing to train")


def test_a_record_of_other_hyperparameters_is_set_aside(run, tmp_path, prepared_digits):
    for name in ("run.json", "history.csv"):
        shutil.copy(run[0] / name, tmp_path / name)
    old = {name: (tmp_path / name).read_bytes() for name in ("run.json", "history.csv")}
    record = train(small_job(tmp_path, prepared_digits, recipe={"batch_size": 16}))
    assert record.hyperparameters["batch_size"] == 16
    (aside,), (history,) = tmp_path.glob("run.superseded-*.json"), tmp_path.glob("history.superseded-*.csv")
    assert aside.read_bytes() == old["run.json"] and history.read_bytes() == old["history.csv"]
    assert "batch_size was 32, is 16" in (tmp_path / "log.txt").read_text()


def test_two_writers_one_wins(tmp_path, prepared_digits):
    with locked(tmp_path / ".lock", "cell"):
        with pytest.raises(RenormError, match=r"cell digits/tiny_vgg/.* is being written by process"):
            train(small_job(tmp_path, prepared_digits))
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("norm", ["none", "deconv", "decorrelated_bn"])
def test_divergence_is_a_result_and_not_a_crash(tmp_path, prepared_digits, norm):
    record = train(small_job(tmp_path, prepared_digits, norm=norm, epochs=3, recipe={"optimizer": {"lr": 1e12}}))
    assert record.status == "diverged"
    assert record.metrics.final is None
    assert record.diverged.epoch == record.epochs_completed + 1
    assert 1 <= record.diverged.step <= 5
    assert "NaN" not in (tmp_path / "run.json").read_text()
    assert "diverged: loss is not finite in epoch" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": {"name": "adam", "lr": 0.001}},
        {"schedule": "constant"},
        {"loss": "mse"},
        {"augment": "none"},
        {"augment": "crop"},
        {"batch_size": 64},
        {"precision": "bfloat16"},
        {"train_images": 100},
        {"optimizer": {"lr": 0.01, "weight_decay": 0.1}},
        {"optimizer": {"lr": 0.01, "momentum": 0.5}},
    ],
    ids=json.dumps,
)
def test_every_key_of_a_recipe_changes_the_weights(run, tmp_path, prepared_digits, recipe):
    record = train(small_job(tmp_path, prepared_digits, recipe=recipe))
    assert record.status == "completed"
    assert record.weights_sha256 != run[1].weights_sha256


@pytest.mark.parametrize(
    "options",
    [{"block": 4}, {"block_fc": 8}, {"iterations": 3}, {"sampling_stride": 1}, {"eps": 0.1}, {"momentum": 0.5}],
    ids=json.dumps,
)
def test_every_norm_option_changes_a_deconvolved_network(tmp_path, prepared_digits, options):
    recipe = {"train_images": 64}
    plain = train(small_job(tmp_path / "a", prepared_digits, norm="deconv", epochs=1, recipe=recipe))
    changed = train(
        small_job(tmp_path / "b", prepared_digits, norm="deconv", epochs=1, recipe=recipe | {"norm": options})
    )
    assert plain.weights_sha256 != changed.weights_sha256


def test_the_losses_of_the_first_steps_are_kept(run, tmp_path, prepared_digits):
    record = train(small_job(tmp_path, prepared_digits, recipe={"log_steps": 7}))
    assert len(record.step_losses) == 7
    assert record.weights_sha256 == run[1].weights_sha256
    assert run[1].step_losses == []
    # Steps of 32, 32, 32, 32 and 22 images: their mean is the first epoch's loss.
    losses, sizes = record.step_losses[:5], [32, 32, 32, 32, 22]
    mean = sum(map(math.prod, zip(losses, sizes, strict=True))) / 150
    assert mean == pytest.approx(float(run_record.read_history(tmp_path, record)[0]["train_loss"]))


def test_test_images_limit_the_evaluation_only(run, tmp_path, prepared_digits):
    record = train(small_job(tmp_path, prepared_digits, recipe={"test_images": 50}))
    assert record.metrics.final.splits["test"].n == 50
    assert record.weights_sha256 == run[1].weights_sha256


def test_a_cpu_machine_says_that_it_has_no_gpu(tmp_path, prepared_digits):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    from dataclasses import replace

    with pytest.raises(RenormError, match="no CUDA device here: use cpu or auto"):
        train(replace(small_job(tmp_path, prepared_digits), device="cuda"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.AcceleratorError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_too_little_memory_is_one_line_whoever_says_so(tmp_path, prepared_digits, error):
    def step():
        raise error

    with pytest.raises(RenormError, match=r"^cell x: CUDA ran out of memory with batch_size 32") as told:
        with memory_errors("cell x", 32):
            step()
    assert "\n" not in str(told.value)


def test_another_error_stays_what_it_is(tmp_path, prepared_digits):
    """Among them that of main memory, of which a device has no part."""
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator: can't allocate memory"):
        with memory_errors("cell x", 32):
            torch.empty(2**50)


@pytest.mark.cuda
@pytest.mark.parametrize("norm", ["batch_norm", "deconv"])
def test_cuda_trains_the_same_cell(tmp_path, prepared_digits, determinism, norm):
    """On the GPU: same draws and initial weights, so the same learning within float error; and deterministic."""
    from dataclasses import replace

    recipe = {"precision": "float32", "deterministic": True, "train_images": 600, "test_images": 300}
    jobs = [replace(small_job(tmp_path / str(i), prepared_digits, norm=norm, recipe=recipe), device="cuda")
            for i in range(2)]  # fmt: skip
    cpu = train(small_job(tmp_path / "cpu", prepared_digits, norm=norm, recipe=recipe))
    first, second = map(train, jobs)
    assert first.weights_sha256 == second.weights_sha256
    assert abs(first.metrics.final.value("train", "loss") - cpu.metrics.final.value("train", "loss")) < 0.05


@pytest.mark.parametrize(("precision", "convolutions"), [("float32", "ieee"), ("tf32", "tf32"), ("bfloat16", "tf32")])
def test_precision_sets_the_convolutions_and_never_the_products(precisions, precision, convolutions):
    conv, products = precisions
    threads, products.fp32_precision = torch.get_num_threads(), "tf32"
    try:
        configure(Recipe(precision=precision).resolved("deconv", "tiny_vgg"), 1, torch.device("cpu"))
        assert (conv.fp32_precision, products.fp32_precision) == (convolutions, "ieee")
    finally:
        torch.set_num_threads(threads)


def test_the_record_says_in_which_precision_it_was_trained(tmp_path, prepared_digits):
    recipe = {"precision": "bfloat16", "train_images": 32}
    record = train(small_job(tmp_path, prepared_digits, epochs=1, recipe=recipe))
    assert record.provenance.precision == record.hyperparameters["precision"] == "bfloat16"
