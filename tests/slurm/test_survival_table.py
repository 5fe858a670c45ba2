"""The table of docs/cluster.md is that of the tests; it needs no cluster."""

from pathlib import Path

from . import survival

# It says what is accepted, not what is survived.
NO_ROW = {"test_what_the_documentation_offers_is_accepted"}


def test_the_page_has_the_rows_of_the_tests(root: Path):
    page = (root / "docs/cluster.md").read_text(encoding="utf-8")
    assert survival.updated(page) == page, "python -m tests.slurm.survival docs/cluster.md"


def test_every_test_of_an_event_has_a_row():
    without = {f.__name__ for _, f in survival.tests() if "survives" not in {m.name for m in f.pytestmark}}
    assert without == NO_ROW
    assert all(f"::{name}` |" not in row for row in survival.rows() for name in NO_ROW)
