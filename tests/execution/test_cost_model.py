"""What a cell will take: from the built-in table, from a calibration, and what does not count."""

import re
from pathlib import Path

import pytest

from renorm.core import files, machine
from renorm.execution import calibration_store, cost_model, workload
from renorm.execution.calibration_store import Calibration
from renorm.study import config, grid
from renorm.study.cell import Cell

STUDY = {
    "study": "s", "threads": 2,
    "recipes": {"base": {}, "part": {"train_images": 100}},
    "experiments": {
        "one": {"dataset": ["cifar10"], "arch": ["vgg16", "dpn92"], "norm": ["batch_norm", "deconv"],
                "recipe": ["base"], "epochs": [10], "seeds": [1, 2]},
    },
}  # fmt: skip


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return config.validate(STUDY)


def cell(arch="vgg16", norm="batch_norm", dataset="cifar10", epochs=10, recipe="base") -> Cell:
    return Cell(dataset, arch, norm, recipe, epochs, 1)


def measured(study, *cells, seconds=0.1, **more) -> Calibration:
    """A calibration of this machine's processor in which a step of each of `cells` took `seconds`."""
    steps = {}
    for one in cells:
        step = workload.workload(study, one).step
        steps[step.key] = {"arch": step.arch, "norm": step.norm, "shape": step.shape, "batch": step.batch,
                           "seconds": seconds, "image_seconds": 0.001, "save_seconds": 0.5, "warm_seconds": 3.0,
                           "repetitions": 2}  # fmt: skip
    place = {"kind": "cpu", "device": machine.cpu_name(), "torch": machine.torch_version(), "threads": 2}
    return Calibration(**place | {"made": "", "start_seconds": 4.0, "steps": steps} | more)


def test_a_measured_cell_is_the_sum_of_its_parts(study):
    times = {"cifar10": {"open_seconds": 2.0}}
    calibration_store.write("results", measured(study, cell(), data=times))
    found = cost_model.estimate(study, cell())
    steps = 50_000 / 128
    # Start, opening, the first step; ten epochs of steps and tests; nine checkpoints.
    assert found.seconds == pytest.approx(4 + 2 + 3 + 10 * (steps * 0.1 + 10_000 * 0.001) + 9 * 0.5)
    assert found.basis == "measured"
    assert found.minutes == int(10 + 1.5 * found.seconds / 60)


def test_an_unmeasured_cell_is_scaled_by_those_that_were(study):
    table = cost_model.estimate(study, cell("dpn92"))
    assert table.basis == "table"
    step = workload.workload(study, cell()).step
    calibration_store.write("results", measured(study, cell(), seconds=cost_model.table_seconds(step, "cpu", 2) / 4))
    found = cost_model.estimate(study, cell("dpn92"))
    assert found.basis == "scaled"
    assert found.seconds == pytest.approx(table.seconds / 4, rel=0.01)


def test_a_scaled_cell_asks_for_as_much_more_as_the_measured_ones_differ(study):
    """Runtime is never asked too small: one kind took the table's time, the other a sixteenth of it."""
    slow, fast = cell(), cell("resnet18")
    steps = {}
    for one, factor in ((slow, 1.0), (fast, 0.0625)):
        seconds = factor * cost_model.table_seconds(workload.workload(study, one).step, "cpu", 2)
        steps |= measured(study, one, seconds=seconds).steps
    calibration_store.write("results", measured(study, steps=steps))
    found = cost_model.estimate(study, cell("dpn92"))
    assert found.minutes == int(10 + 1.5 * 4 * found.seconds / 60)


def test_a_network_known_with_another_normaliser_counts_more_than_its_neighbours(study):
    """dpn92 with batch norm is as the table says, all else a tenth of it, deconvolution a fifth: so is dpn92's."""
    steps = {}
    for one, factor in ((cell(), 0.1), (cell(norm="deconv"), 0.02), (cell("dpn92"), 1.0)):
        seconds = factor * cost_model.table_seconds(workload.workload(study, one).step, "cpu", 2)
        steps |= measured(study, one, seconds=seconds).steps
    table = cost_model.estimate(study, cell("dpn92", "deconv")).seconds
    calibration_store.write("results", measured(study, steps=steps))
    assert cost_model.estimate(study, cell("dpn92", "deconv")).seconds == pytest.approx(0.2 * table, rel=0.01)


def test_the_normaliser_counts_more_than_the_network(study):
    """With deconvolution measured at the table's own pace and batch norm at a tenth, each is scaled by its like."""
    steps = {}
    for one, factor in ((cell(), 0.1), (cell(norm="deconv"), 1.0)):
        seconds = factor * cost_model.table_seconds(workload.workload(study, one).step, "cpu", 2)
        steps |= measured(study, one, seconds=seconds).steps
    table = {norm: cost_model.estimate(study, cell("dpn92", norm)).seconds for norm in ("batch_norm", "deconv")}
    calibration_store.write("results", measured(study, steps=steps))
    found = {norm: cost_model.estimate(study, cell("dpn92", norm)).seconds for norm in ("batch_norm", "deconv")}
    assert found["batch_norm"] == pytest.approx(0.1 * table["batch_norm"], rel=0.01)
    assert found["deconv"] == pytest.approx(table["deconv"], rel=0.01)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"device": "Another Processor"}, "Another Processor, torch .*: here is "),
        ({"torch": "1.0"}, ".*torch 1.0, 2 threads: installed is torch 2"),
        ({"threads": 3}, ".*3 threads: the study has 2 threads"),
        ({"kind": "cuda", "device": "NVIDIA H200"}, "NVIDIA H200, .*: the study trains on the CPU"),
    ],
)
def test_a_calibration_of_another_device_is_ignored_and_said(study, other, words):
    before = cost_model.estimate(study, cell())
    calibration_store.write("results", measured(study, cell(), **other))
    assert cost_model.estimate(study, cell()) == before
    told = cost_model.basis(study, grid.cells(study))
    assert "estimated upwards" in told
    assert re.search(f"Ignored calibration: {words}", told), told


def test_a_damaged_calibration_is_ignored_and_said(study):
    path = calibration_store.write("results", measured(study, cell()))
    path.write_text(path.read_text().replace("0.1", "0.01", 1))
    assert cost_model.estimate(study, cell()).basis == "table"
    assert "checksum mismatch" in cost_model.basis(study, grid.cells(study))


def test_the_plan_says_how_much_was_measured(study):
    calibration_store.write("results", measured(study, cell(), cell(norm="deconv")))
    told = cost_model.basis(study, grid.cells(study))
    assert "2 of 4 kinds of training step were measured" in told and machine.cpu_name() in told


def gpu(study, **change):
    return study.model_copy(update={"gpu": 1} | change)


def test_without_a_gpu_here_every_calibrated_one_counts_and_the_slower_is_taken(study, monkeypatch):
    monkeypatch.setattr(machine, "gpu_names", set)
    both = gpu(study)
    for name, seconds in (("NVIDIA A", 0.1), ("NVIDIA B", 0.3)):
        calibration_store.write("results", measured(both, cell(), seconds=seconds, kind="cuda", device=name))
    slow = cost_model.estimate(both, cell())
    assert slow.seconds > 10 * 0.3 * 50_000 / 128
    monkeypatch.setattr(machine, "gpu_names", lambda: {"NVIDIA A"})
    calibration_store._choose.cache_clear()
    assert cost_model.estimate(both, cell()).seconds < slow.seconds / 2
    assert "here is NVIDIA A" in cost_model.basis(both, grid.cells(both))


def test_several_gpus_share_the_work_and_each_needs_its_memory(study):
    one, four = (cost_model.estimate(gpu(study, gpu=n), cell(epochs=100)) for n in (1, 4))
    assert four.seconds == pytest.approx(one.seconds / 4, rel=0.05)
    assert four.mem_mb > 3.5 * one.mem_mb
    assert workload.workload(gpu(study, gpu=4), cell()).step.batch == 32
    # On a processor there is one process, whatever is asked for.
    assert workload.workload(gpu(study, gpu=4, device="cpu"), cell()).processes == 1


def test_imagenet_is_streamed_and_not_held_in_memory(study):
    recipes = {"base": {"batch_size": 256}}
    streamed = config.validate(STUDY | {"gpu": 1, "threads": 8, "recipes": recipes})
    picture = cell("resnet18_imagenet", dataset="imagenet")
    batch_mb = 256 * 3 * 224 * 224 / 1e6
    asked = cost_model.estimate(streamed, picture).mem_mb
    # All of it would be 200 GB; eight processes hold their batches each.
    assert 8 * 3 * batch_mb < asked - 4_000 < 8 * (4 * batch_mb + 1_000)
    fewer = cost_model.estimate(streamed.model_copy(update={"threads": 2}), picture)
    assert fewer.mem_mb < asked
    decoding = 10 * 1_331_167 * cost_model.DECODE_SECONDS / 2
    assert fewer.seconds == pytest.approx(decoding, rel=0.01), "decoding bounds it"


def test_a_processor_needs_memory_for_every_image_by_its_size(study):
    small, large = (cost_model.estimate(study, cell(dataset=name)).mem_mb for name in ("cifar10", "stl10"))
    assert small == pytest.approx(2_000 + 128 * 25 + 184, abs=5)
    assert large == pytest.approx(2_000 + 128 * 25 * 9 + 359, abs=5)
    picture = cost_model.estimate(study, cell("densenet121_imagenet", dataset="imagenet")).mem_mb
    # Measured, for eight images and less: 194 MB an image with all that is there once; two processes decode.
    assert 128 * 194 < picture < 128 * 250
    assert cost_model.estimate(study, cell("densenet121")).mem_mb > 128 * 76


def test_decoding_is_taken_from_the_calibration(study):
    streamed = gpu(study, threads=16)
    picture = cell("resnet18_imagenet", dataset="imagenet")
    times = {"imagenet": {"open_seconds": 1.0, "decode_seconds": 0.1}}
    calibration_store.write("results", measured(streamed, picture, kind="cuda", device="X", threads=16, data=times))
    assert cost_model.estimate(streamed, picture).seconds == pytest.approx(10 * 1_331_167 * 0.1 / 16, rel=0.01)


def test_an_unknown_data_set_is_known_by_its_manifest(study, prepared_digits):
    assert workload.size_of(study, "elsewhere") == workload.UNKNOWN
    folder = Path("results/data/elsewhere")
    files.write_sealed(folder / "manifest.json", {"counts": {"train": 10, "test": 5}, "image_shape": [1, 64, 48]})
    assert workload.size_of(study, "elsewhere") == workload.Size(10, 5, (1, 64, 48))
    files.write_sealed(folder / "manifest.json", {"counts": {"train": 7, "test": 5}, "image_shape": [1, 64, 48],
                                                  "folders": {}})  # fmt: skip
    assert workload.size_of(study, "elsewhere") == workload.Size(7, 5, (1, 64, 48), streamed=True)
    (folder / "manifest.json").write_text("{}")
    assert workload.size_of(study, "elsewhere") == workload.UNKNOWN
    digits = study.model_copy(update={"results_dir": "other"})
    (Path("other")).mkdir()
    Path("other/data").symlink_to(prepared_digits)
    assert workload.size_of(digits, "digits") == workload.SIZES["digits"]


def test_the_whole_study_is_estimated_quickly(study):
    import time

    calibration_store.write("results", measured(study, cell()))
    begun = time.process_time()
    for seed in range(4_000):
        cost_model.estimate(study, Cell("cifar10", "dpn92", "deconv", "base", 10, seed))
    assert time.process_time() - begun < 4
