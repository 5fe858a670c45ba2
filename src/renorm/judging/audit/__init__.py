"""Audit of any table of runs: what cannot be, what was copied, what was mixed up. Findings, not verdicts."""

from collections.abc import Iterable

import pandas as pd

from renorm.judging.audit import accuracy, columns, coverage, duplicates, metric_mixup, provenance, runtime
from renorm.judging.audit.loader import NOT_CHECKED, Finding, Table, as_written, load_runs_csv, prepare
from renorm.judging.labels import Labels
from renorm.study.claims import Claims
from renorm.study.config import Compare

__all__ = ["CHECKS", "COLUMNS", "NOT_CHECKED", "Finding", "Table", "as_written", "audit", "load_runs_csv", "rows"]

# In the order in which a reader should hear of them.
CHECKS = (
    metric_mixup.training_level,
    metric_mixup.metric_mixup,
    columns.duplicate_columns,
    columns.column_of_another,
    accuracy.out_of_range,
    accuracy.granularity,
    accuracy.spreads,
    accuracy.mixed_units,
    accuracy.averages,
    accuracy.two_clusters,
    provenance.mixed_provenance,
    duplicates.duplicate_attempts,
    duplicates.duplicate_rows,
    duplicates.conflicting_values,
    duplicates.repeated_values,
    runtime.equal_to_something_else,
    runtime.epochs_mismatch,
    runtime.off_from_siblings,
    runtime.off_between_settings,
    runtime.at_baseline_speed,
    coverage.unmatched_claims,
    coverage.unknown_images,
    coverage.unknown_runs,
    coverage.unread_rows,
)
COLUMNS = ("kind", "source", "dataset", "arch", "norm", "recipe", "epochs", "rows", "sentence")


def audit(
    frame: pd.DataFrame,
    claims: Claims | Iterable[Claims] | None = None,
    baseline: str = Compare().baseline,
    method: str = Compare().method,
    labels: Labels | None = None,
) -> list[Finding]:
    """Every finding in a table of runs.

    Args:
        frame: the columns of docs/judging.md, most of them optional; text as written, or numbers.
        claims: published values that blocks of the table are compared with.
        baseline: what the table calls the baseline, in the column `norm`.
        method: what the table calls the method.
        labels: what sentences call data sets, architectures and normalisers.

    Returns:
        Findings in the order of the checks, then of the rows; those of the kind `not_checked` come last and say which
        check could not be made.

    Raises:
        RenormError: for a word that is not known in a column whose words are, and for a missing column.
    """
    given = [claims] if isinstance(claims, Claims) else list(claims or ())
    table = prepare(frame, [c.frame for c in given], baseline, method, labels)
    return [finding for check in CHECKS for finding in sorted(check(table), key=_order)]


def _order(finding: Finding) -> tuple:
    return tuple((str(row).rpartition(":")[0], int(str(row).rpartition(":")[2])) for row in finding.rows)


def rows(findings: Iterable[Finding]) -> list[dict]:
    """The findings as rows of audit.csv; `rows` are line numbers of the audited file."""
    return [
        {
            "kind": f.kind, "source": f.source, "dataset": f.dataset, "arch": f.arch, "norm": f.norm,
            "recipe": f.recipe, "epochs": f.epochs, "rows": " ".join(map(str, f.rows)), "sentence": f.sentence,
        }
        for f in findings
    ]  # fmt: skip
