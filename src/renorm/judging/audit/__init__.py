"""Audit of any table of runs: what cannot be, what was copied, what was mixed up. Findings, not verdicts."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from renorm.core.metrics import METRICS, Metrics
from renorm.judging.audit import accuracy, columns, coverage, duplicates, metric_mixup, provenance, runtime
from renorm.judging.audit.lines import places
from renorm.judging.audit.loader import NOT_CHECKED, Finding, Table, as_written, load_runs_csv, prepare
from renorm.study.claims import Claims
from renorm.study.labels import Labels

__all__ = [
    "CHECKS", "NOT_CHECKED", "TITLES", "Finding", "Table", "as_written", "audit", "load_runs_csv", "places",
    "rows", "titled",
]  # fmt: skip

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
# What a reader of a paper calls each kind of finding: one of them, several of them.
TITLES = {
    "training_accuracy": ("block at the level of training accuracy", "blocks at the level of training accuracy"),
    "metric_mixup": ("block at another level than its claims", "blocks at another level than their claims"),
    "duplicate_column": ("pair of equal columns", "pairs of equal columns"),
    "column_mixup": ("column with another column's means", "columns with other columns' means"),
    "out_of_range": ("value outside its range", "values outside their range"),
    "grim": ("accuracy that no number of images gives", "accuracies that no number of images gives"),
    "grimmer": ("impossible mean and SD", "impossible means and SDs"),
    "debit": ("impossible share and SD", "impossible shares and SDs"),
    "sd_mismatch": ("SD that its attempts do not have", "SDs that their attempts do not have"),
    "mixed_units": ("value in another unit", "values in another unit"),
    "average_mismatch": ("average that its attempts do not have", "averages that their attempts do not have"),
    "bimodal": ("cell whose attempts form two clusters", "cells whose attempts form two clusters"),
    "mixed_parameters": ("cell with different networks", "cells with different networks"),
    "mixed_code": ("cell with different versions of the code", "cells with different versions of the code"),
    "mixed_data": ("cell with different versions of the data", "cells with different versions of the data"),
    "duplicate_attempt": ("duplicate attempt", "duplicate attempts"),
    "duplicate_row": ("run duplicated in another cell", "runs duplicated in other cells"),
    "conflicting_values": ("attempt with several values", "attempts with several values"),
    "repeated_values": ("set of numbers repeated too often", "sets of numbers repeated too often"),
    "duplicate_runtime": ("time that repeats another number", "times that repeat another number"),
    "epochs_mismatch": ("run with another number of epochs", "runs with other numbers of epochs"),
    "runtime_outlier": ("run time unlike the other attempts", "run times unlike the other attempts"),
    "runtime_scaling": (
        "network whose time is not proportional to the epochs", "networks whose time is not proportional to the epochs",
    ),
    "baseline_speed": ("method cell as fast as the baseline", "method cells as fast as the baseline"),
    NOT_CHECKED: ("check that could not be made", "checks that could not be made"),
}  # fmt: skip

# What a table calls them by default.
BASELINE, METHOD = "batch_norm", "deconv"


# The kinds that question seconds.
RUNTIME = ("duplicate_runtime", "runtime_outlier", "runtime_scaling", "baseline_speed")


def audit(
    frame: pd.DataFrame,
    claims: Claims | Iterable[Claims] | None = None,
    baseline: str = BASELINE,
    method: str = METHOD,
    labels: Labels | None = None,
    metrics: Metrics = METRICS,
) -> list[Finding]:
    """Every finding in a table of runs.

    Args:
        frame: the columns of docs/judging.md, most of them optional; text as written, or numbers.
        claims: published values that blocks of the table are compared with.
        baseline: what the table calls the baseline, in the column `norm`.
        method: what the table calls the method.
        labels: what sentences call data sets, architectures and normalisers.
        metrics: the study's metrics; granularity is checked of those that are shares of images.

    Returns:
        Findings in the order of the checks, then of the rows; those of the kind `not_checked` come last and say which
        check could not be made.

    Raises:
        RenormError: for a word that is not known in a column whose words are, and for a missing column.
    """
    given = [claims] if isinstance(claims, Claims) else list(claims or ())
    table = prepare(frame, [c.frame for c in given], baseline, method, labels, metrics)
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


def titled(kinds: Iterable[str]) -> str:
    """How many findings there are of each kind, in words: "1 duplicate attempt, 2 impossible means and SDs"."""
    count = Counter(kinds)
    return ", ".join(f"{count[kind]} {words[count[kind] > 1]}" for kind, words in TITLES.items() if count[kind])
