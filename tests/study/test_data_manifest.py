"""The manifest as those read it who have no torch."""

import os
import shutil

import pytest

from renorm import data
from renorm.core.errors import RenormError
from renorm.study import data_manifest


def test_it_is_read_again_when_it_changed(tmp_path, prepared_digits):
    with pytest.raises(FileNotFoundError):
        data_manifest.read(tmp_path, "digits")
    shutil.copytree(prepared_digits, tmp_path / "data")
    found = data_manifest.read(str(tmp_path), "digits")
    assert set(found["sha256"]) == {"train.npz", "test.npz"}
    assert data_manifest.checksum(found) == data.open_prepared(prepared_digits / "digits", "digits").checksum
    path = tmp_path / "data/digits/manifest.json"
    path.write_text(path.read_text().replace(found["sha256"]["train.npz"], "0" * 64))
    os.utime(path, ns=(1, 1))
    with pytest.raises(RenormError, match="manifest.json"):
        data_manifest.read(tmp_path, "digits")
