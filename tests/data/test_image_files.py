"""ImageNet in the layout of the Kaggle competition: found, verified, arranged, sealed."""

import os
import shutil
from dataclasses import replace

import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from renorm import data
from renorm.core import files
from renorm.core.errors import RenormError
from renorm.data import ImageFileOptions
from renorm.data.image_files import prepare_image_files
from renorm.data.imagenet import imagenet
from renorm.data.prepared import open_prepared, prepare
from renorm.study.config import ImageData
from renorm.study.data_manifest import is_prepared

from .trees import CLASSES, image_file, kaggle, listing

SAMPLE = ImageFileOptions(sample=True, image_size=32)


@pytest.fixture
def raw(tmp_path):
    return kaggle(tmp_path / "raw")


def prepared(raw, out, options=SAMPLE):
    data.prepare("imagenet", raw, out, options=options)
    return data.open_prepared(out, "imagenet")


@pytest.mark.parametrize("table", ["csv", "xml"])
def test_validation_images_stand_in_class_folders(tmp_path, table):
    raw, out = kaggle(tmp_path / "raw", table), tmp_path / "out"
    before = listing(raw)
    found = prepared(raw, out)
    assert listing(raw) == before
    # torchvision's reader sees the classes that the table names.
    assert [path for path, _ in ImageFolder(str(out / "test")).samples] == [
        str(found.test.path(i)) for i in range(6)
    ]  # fmt: skip
    assert found.test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert [os.path.basename(found.test.path(i)) for i in (0, 1)] == [
        "ILSVRC2012_val_00000000.JPEG", "ILSVRC2012_val_00000003.JPEG",
    ]  # fmt: skip
    assert found.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert (found.classes, found.channels, found.image_size) == (3, 3, 32)


def test_moved_only_when_asked_and_the_checksum_is_the_same(raw, tmp_path):
    linked = prepared(raw, tmp_path / "linked")
    moved = prepared(raw, tmp_path / "moved", replace(SAMPLE, move=True))
    assert moved.checksum == linked.checksum
    assert moved.test.folder == raw / "ILSVRC/Data/CLS-LOC/val"
    assert not [f for f in moved.test.folder.iterdir() if f.is_file()]
    assert not (tmp_path / "moved" / "test").exists()
    # Prepared once more, what was moved is found in its class folders, and the dead links go.
    assert prepared(raw, tmp_path / "linked").checksum == linked.checksum
    assert listing(tmp_path / "linked" / "test") == []


def test_stopped_half_way_it_goes_on(raw, tmp_path):
    """Half the images moved, half the links made, one link wrong: the second start ends at the same list."""
    whole = prepared(raw, tmp_path / "whole")
    val, out = raw / "ILSVRC/Data/CLS-LOC/val", tmp_path / "out"
    (val / CLASSES[0]).mkdir()
    (val / "ILSVRC2012_val_00000000.JPEG").rename(val / CLASSES[0] / "ILSVRC2012_val_00000000.JPEG")
    (out / "test" / CLASSES[1]).mkdir(parents=True)
    (out / "test" / CLASSES[1] / "ILSVRC2012_val_00000001.JPEG").symlink_to("/nowhere")
    (out / "test" / CLASSES[1] / "of_another_time.JPEG").symlink_to("/nowhere")
    assert prepared(raw, out).checksum == whole.checksum
    assert len(ImageFolder(str(out / "test")).samples) == 6


def test_the_checksum_names_the_files(raw, tmp_path):
    first = prepared(raw, tmp_path / "a")
    copied = prepared(shutil.copytree(raw, tmp_path / "elsewhere"), tmp_path / "b")
    assert copied.checksum == first.checksum
    assert prepared(raw, tmp_path / "c", replace(SAMPLE, image_size=64)).checksum != first.checksum
    image_file(raw / "ILSVRC/Data/CLS-LOC/train" / CLASSES[0] / "one_more.JPEG", 7)
    assert prepared(raw, tmp_path / "d").checksum != first.checksum


def test_a_sample_says_what_is_missing(raw, tmp_path):
    with pytest.raises(RenormError) as caught:
        data.obtain("imagenet", raw, tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    for words in ("3 of 1,000 classes", "12 of 1,281,167 training", "6 of 50,000 test", "--sample"):
        assert words in line
    assert not (tmp_path / "imagenet" / "manifest.json").exists()


def test_a_whole_data_set_needs_no_option(raw, tmp_path):
    tree = imagenet(raw, False)
    whole = replace(tree, complete={"classes": 3, "train": 12, "test": 6})
    prepare_image_files("imagenet", whole, tmp_path, ImageFileOptions())
    assert files.read_sealed(tmp_path / "manifest.json", "")["whole"] is True
    with pytest.raises(RenormError, match="12 of 13 training images"):
        prepare_image_files("imagenet", replace(tree, complete={"classes": 3, "train": 13, "test": 6}), tmp_path,
                         ImageFileOptions())  # fmt: skip


def test_a_sample_keeps_the_numbers_of_all_classes(raw, tmp_path):
    lines = [f"{name} something" for name in ("n00000001", *CLASSES, "n99999999")]
    (raw / "LOC_synset_mapping.txt").write_text("\n".join(lines))
    found = prepared(raw, tmp_path)
    assert found.classes == 5
    assert set(found.train.labels.tolist()) == {1, 2, 3}


def damage(raw, kind):
    tree = raw / "ILSVRC/Data/CLS-LOC"
    if kind == "no table":
        (raw / "LOC_val_solution.csv").unlink()
    elif kind == "other table":
        (raw / "LOC_val_solution.csv").write_text("a,b\n")
    elif kind == "empty row":
        (raw / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nILSVRC2012_val_00000000,\n")
    elif kind == "binary table":
        (raw / "LOC_val_solution.csv").write_bytes(b"\xff\xfe\x00")
    elif kind == "unknown image":
        image_file(tree / "val" / "ILSVRC2012_val_00099999.JPEG", 1)
    elif kind == "strange class":
        (raw / "LOC_synset_mapping.txt").write_text("\n".join(CLASSES[1:]))
    elif kind == "no images":
        for path in (tree / "val").iterdir():
            path.unlink()
    else:
        shutil.rmtree(tree / "val")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no table", "nothing names their classes: put LOC_val_solution.csv"),
        ("other table", "is not a table of ImageId,PredictionString"),
        ("empty row", "line 2 names no class"),
        ("binary table", "is not UTF-8 text"),
        ("unknown image", "ILSVRC2012_val_00099999.JPEG: has no class (1 of 7 test images)"),
        ("strange class", "train/n01440764: is not the folder of a class"),
        ("no images", "0 of 50,000 test images"),
        ("no folder", "is missing the folders train and val"),
    ],
)
def test_damage_is_one_line(raw, tmp_path, kind, words):
    damage(raw, kind)
    with pytest.raises(RenormError) as caught:
        prepared(raw, tmp_path / "out")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_that_went_away_are_named(raw, tmp_path):
    prepared(raw, tmp_path / "out")
    raw.rename(tmp_path / "elsewhere")
    with pytest.raises(RenormError, match="CLS-LOC/train: the images of .* are no longer there"):
        data.open_prepared(tmp_path / "out", "imagenet")


def test_options_of_images_are_for_images(tmp_path):
    with pytest.raises(RenormError, match="dataset digits: --sample, --move and --image-size are for"):
        data.prepare("digits", tmp_path, tmp_path / "out", options=ImageFileOptions(sample=True))


def test_the_command(raw, tmp_path):
    from typer.testing import CliRunner

    from renorm.cli import app as cli

    arguments = ["prepare", "imagenet", str(raw), "--out", str(tmp_path / "out"), "--sample", "--image-size", "48"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert data.open_prepared(tmp_path / "out", "imagenet").image_size == 48


@pytest.mark.realdata
def test_the_real_sample(tmp_path):
    found = prepared(os.environ["RENORM_DATA"], tmp_path, ImageFileOptions(sample=True))
    assert (len(found.train.labels), len(found.test.labels), found.classes) == (1200, 500, 1000)
    assert found.checksum == "c5dad6c70551aec2+e029ae81e42cd1ae"


def test_hidden_and_empty_folders_are_no_classes(raw, tmp_path):
    train = raw / "ILSVRC/Data/CLS-LOC/train"
    (train / ".ipynb_checkpoints").mkdir()
    found = prepared(raw, tmp_path / "out")
    assert found.classes == 3 and found.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    (train / "@eaDir").mkdir()
    with pytest.raises(RenormError, match=r"@eaDir: holds no image \(1 such folders\): remove it"):
        prepared(raw, tmp_path / "other")


def test_empty_files_are_named_and_damaged_ones_when_asked(raw, tmp_path):
    train = raw / "ILSVRC/Data/CLS-LOC/train" / CLASSES[1]
    broken = sorted(train.iterdir())[0]
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    prepared(raw, tmp_path / "unchecked")
    with pytest.raises(RenormError, match=rf"{broken.name}: damaged image file \(1 of 18\): fetch it again"):
        prepared(raw, tmp_path / "checked", replace(SAMPLE, check=True))
    broken.write_bytes(b"")
    with pytest.raises(RenormError, match=rf"{broken.name}: empty image file \(1 of 18\): fetch it again"):
        prepared(raw, tmp_path / "empty")
    broken.write_bytes(whole)
    prepared(raw, tmp_path / "whole", replace(SAMPLE, check=True))


def pets(folder, classes=("cat", "dog", "fish")):
    """A folder of images of somebody's own: 4 to train and 2 to test of each class."""
    for split, count in (("train", 4), ("val", 2)):
        for number, name in enumerate(classes):
            (folder / split / name).mkdir(parents=True)
            for image in range(count):
                Image.new("RGB", (20, 20), (80 * number, 0, image)).save(folder / split / name / f"{image}.png")


def test_a_folder_of_ones_own_is_a_data_set_by_name(tmp_path):
    pets(tmp_path / "raw/pets")
    options = ImageFileOptions(image_size=16)
    for root in (tmp_path / "raw", tmp_path / "raw/pets"):  # where it is, or beside others
        prepare("folder.pets", root, tmp_path / "all", options=options)
        found = open_prepared(tmp_path / "all", "folder.pets")
        assert (found.classes, len(found.train.labels), len(found.test.labels), found.image_size) == (3, 12, 6, 16)
    prepare("folder.pets", tmp_path / "raw", tmp_path / "some", options=replace(options, classes=("fish", "cat")))
    some = open_prepared(tmp_path / "some", "folder.pets")
    assert (some.classes, len(some.train.labels)) == (2, 8)
    names = {
        bytes(n).decode().split("/")[0]: label for n, label in zip(some.train.names, some.train.labels, strict=True)
    }
    assert names == {"fish": 0, "cat": 1}


def test_mistakes_in_a_folder_of_ones_own(tmp_path):
    with pytest.raises(RenormError, match=r"dataset folder.pets: .*raw/pets: not there: make a folder pets with train"):
        prepare("folder.pets", tmp_path / "raw", tmp_path / "out")
    pets(tmp_path / "raw/pets")
    with pytest.raises(RenormError, match=r"classes: there is no folder 'dogs' in .*: did you mean 'dog'\?"):
        prepare("folder.pets", tmp_path / "raw", tmp_path / "out", options=ImageFileOptions(classes=("dogs",)))


def test_another_size_or_other_classes_are_another_preparation(tmp_path):
    pets(tmp_path / "pets")
    prepare("folder.pets", tmp_path, tmp_path / "out", options=ImageFileOptions(image_size=16))
    for wanted, same in (({"image_size": 16}, True), ({"image_size": 32}, False),
                         ({"image_size": 16, "classes": ["cat", "dog", "fish"]}, True),
                         ({"image_size": 16, "classes": ["cat", "dog"]}, False)):  # fmt: skip
        assert is_prepared(tmp_path / "out", "folder.pets", ImageData(**wanted)) == same
