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


def test_other_code_of_a_dropped_in_data_set_is_another_data_set(tmp_path, prepared_digits, monkeypatch):
    folder = tmp_path / "data/digits"
    shutil.copytree(prepared_digits / "digits", folder)
    digest = data_manifest.prepared_checksum(folder)
    assert digest and data_manifest.is_prepared(folder, "digits")
    # renorm's own code has the protocol number and no digest.
    assert data_manifest.code_of("digits") == {}
    monkeypatch.setattr(data_manifest.code_digest, "dropped_in", lambda **names: {"dataset": "1" * 64})
    assert data_manifest.code_of("digits") == {"code": "1" * 64}
    assert not data_manifest.is_prepared(folder, "digits") and data_manifest.prepared_checksum(folder) is None
    # It is prepared again where it is needed, and then counts.
    found = data.obtain("digits", tmp_path, tmp_path / "data")
    assert data_manifest.prepared_checksum(folder) == found.checksum == digest
