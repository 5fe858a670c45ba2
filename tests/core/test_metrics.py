"""Metrics: direction, units, bounds, aliases, print."""

import re
from pathlib import Path

import pytest

from renorm.core import metrics
from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS, Metric


def test_the_direction_is_the_metrics_own():
    assert METRICS["top1"].order(0.9, 0.8) == METRICS["error"].order(0.1, 0.2) == 1
    assert METRICS["loss"].best([0.3, 0.2]) == 0.2 and METRICS["top1"].best([0.3, 0.2]) == 0.3
    assert METRICS["seconds"].gain(10, 12) == 2 and METRICS["seconds"].order(1, 1 + 1e-12) == 0


def test_units_and_bounds():
    assert METRICS["top1"].convert(93.25, "%") == 0.9325 and METRICS["seconds"].convert(2, "min") == 120
    for metric, value, unit, words in (
        ("top1", 93.25, "fraction", "is the unit percent?"), ("top1", 1, "s", "unknown 's' of top1"),
        ("seconds", -1, "s", "negative"),
    ):  # fmt: skip
        with pytest.raises(RenormError, match=words.replace("?", r"\?")):
            METRICS[metric].convert(value, unit)


def test_names_and_a_studys_own():
    assert [METRICS.find(n).name for n in ("Acc@1", "accuracy", "Top1")] == ["top1"] * 3
    more = METRICS.extended(Metric("ece", "ECE", "fraction", False))
    assert "ece" in more and "ece" not in METRICS
    with pytest.raises(RenormError, match="another metric's name"):
        METRICS.extended(Metric("acc", "x", "fraction", True))


def test_no_module_asks_for_a_metric_by_name():
    """A new metric must reach everything without an `if`: names stand in core.metrics alone."""
    folder = Path(metrics.__file__).parents[1]
    names = "|".join(METRICS)
    asked = re.compile(rf"(==|!=|\bin)\s*[(\[{{]?\s*[\"']({names})[\"']|[\"']({names})[\"']\s*(==|!=|\bin\b)")
    found = [
        f"{path.relative_to(folder)}:{number}: {line.strip()}"
        for path in sorted(folder.rglob("*.py")) if path != Path(metrics.__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := asked.search(line)) and ("metric" in line or "top" in match[0])
    ]  # fmt: skip
    assert not found, found
    assert asked.search('if metric == "top1":') and asked.search("if name in ('seconds', 'x')")
