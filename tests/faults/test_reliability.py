"""The page of injected faults: a tally replaces its own rows and no others."""

from .reliability import page

FIRST = [
    {"what": "kills", "tried": 1000, "survived": 999, "note": "two"},
    {"what": "cuts", "tried": 5, "survived": 5, "note": ""},
]


def test_a_partial_tally_replaces_its_rows_and_keeps_the_others():
    first = page(FIRST, "", "aaa", "M1")
    assert "| kills | 1,000 | 999 | 1 | two | aaa | M1 |" in first
    again = page([{"what": "kills", "tried": 10, "survived": 10, "note": "now"}], first, "bbb", "M2")
    assert "| kills | 10 | 10 | 0 | now | bbb | M2 |" in again and "1,000" not in again
    assert "| cuts | 5 | 5 | 0 |  | aaa | M1 |" in again
    assert page([], again, "ccc", "M3") == again
