import pytest
from hypothesis import given
from hypothesis import strategies as st

from renorm.core.errors import RenormError
from renorm.study.cell import Cell

names = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True)
numbers = st.integers(1, 2**31 - 1)


@given(names, names, names, names, numbers, numbers)
def test_path_is_the_identity(dataset, arch, norm, recipe, epochs, seed):
    cell = Cell(dataset, arch, norm, recipe, epochs, seed)
    assert Cell.from_path("results/runs/" + cell.path) == cell


@pytest.mark.parametrize("name", ["../../x", "a b", "$(reboot)", "a\nb", "", "A", "a/b", "-rf", "ü", None, 3])
def test_names_that_a_shell_or_file_system_would_read_are_refused(name):
    with pytest.raises(RenormError, match="arch: .* is not a name"):
        Cell("digits", name, "deconv", "paper", 1, 1)


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "3", True, 2**31])
def test_epochs_are_counted_from_one(epochs):
    with pytest.raises(RenormError, match="epochs: .* is not a whole number"):
        Cell("digits", "vgg16", "deconv", "paper", epochs, 1)


@pytest.mark.parametrize("path", ["a/b", "a/b/c/d/e/f", "a/b/c/d/e1/sx", "a/b/c/d/e1/s1/run.json", ""])
def test_other_paths_are_no_cells(path):
    with pytest.raises(RenormError, match="is not a valid cell path"):
        Cell.from_path(path)
