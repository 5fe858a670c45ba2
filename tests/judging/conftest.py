"""Fixtures of the judgement's tests."""

import pytest
from studies import StudyFolder


@pytest.fixture
def study(tmp_path):
    return StudyFolder(tmp_path / "mine")


@pytest.fixture
def published(study):
    """No run of its own: the original against its published reproduction."""
    return study.against("ye2020", "obadage2024").write()
