"""How often the audit errs: the short form here, the long one with `make torture` (RENORM_TORTURE=1)."""

import os

import pytest
from audit_tables import FRESH, PLANTED, false_alarms, found_of, planted

LONG = bool(os.environ.get("RENORM_TORTURE"))


def test_honest_tables_raise_no_alarm():
    assert [finding.sentence for finding in false_alarms(range(6))] == []


@pytest.mark.parametrize("name", PLANTED)
def test_every_kind_of_fault_is_found(name):
    assert planted(name, seed=7)


@pytest.mark.skipif(not LONG, reason="RENORM_TORTURE=1 runs 200 honest studies and 50 faults of each kind")
def test_rates():
    """At most one false alarm in ten studies, and at least 48 of 50 faults of each kind are found."""
    assert len(false_alarms(range(FRESH, FRESH + 200))) <= 20
    assert {name: count for name, _, count in found_of(50) if count < 48} == {}
