"""Fixtures of the judgement's tests."""

import pytest
from studies import StudyFolder, judge


@pytest.fixture
def study(tmp_path):
    return StudyFolder(tmp_path / "mine")


@pytest.fixture
def published(study):
    """No run of its own: the original against its published reproduction."""
    return study.against("ye2020", "obadage2024").write()


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """The same, judged once for all tests that read it: the folder, and the rows of its tables."""
    folder = StudyFolder(tmp_path_factory.mktemp("published") / "mine").against("ye2020", "obadage2024").write()
    return folder, judge(folder)
