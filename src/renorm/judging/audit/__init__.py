"""Audit of any table of runs: what cannot be, what was copied, what was mixed up. Findings, not verdicts."""

from collections.abc import Iterable

import pandas as pd

from renorm.judging.audit import accuracy, duplicates, metric_mixup, runtime
from renorm.judging.audit.loader import Finding, Table, load_runs_csv, prepare
from renorm.judging.labels import Labels
from renorm.study.claims import Claims
from renorm.study.config import Compare

__all__ = ["CHECKS", "Finding", "Table", "audit", "load_runs_csv", "rows"]

# In the order in which a reader should hear of them.
CHECKS = (
    accuracy.impossible,
    accuracy.mixed_units,
    accuracy.averages,
    accuracy.two_clusters,
    duplicates.duplicate_attempts,
    duplicates.duplicate_rows,
    duplicates.same_identity,
    runtime.equal_to_something_else,
    runtime.truncated,
    runtime.off_from_siblings,
    runtime.off_between_settings,
    runtime.at_baseline_speed,
    metric_mixup.mixed_metric,
)


def audit(
    frame: pd.DataFrame,
    claims: Claims | Iterable[Claims] | None = None,
    baseline: str = Compare().baseline,
    method: str = Compare().method,
    labels: Labels | None = None,
) -> list[Finding]:
    """Every finding in a table of runs (the columns of docs/judging.md, most of them optional).

    `claims` are published values to hold blocks of the table against; `labels` are what sentences call things.
    Findings are sorted by check, then by row.
    """
    given = [claims] if isinstance(claims, Claims) else list(claims or ())
    table = prepare(frame, [c.frame for c in given], baseline, method, labels)
    return [finding for check in CHECKS for finding in sorted(check(table), key=lambda f: (f.rows, f.sentence))]


def rows(findings: Iterable[Finding]) -> list[dict]:
    """The findings as rows of audit.csv; `rows` are line numbers of the audited file."""
    return [
        {
            "kind": f.kind, "source": f.source, "dataset": f.dataset, "arch": f.arch, "norm": f.norm,
            "epochs": f.epochs, "rows": " ".join(map(str, f.rows)), "sentence": f.sentence,
        }
        for f in findings
    ]  # fmt: skip
