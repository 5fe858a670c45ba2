"""Runs and claims become verdicts. Nothing here trains, and nothing here imports torch."""

from renorm.judging.audit import Finding, audit, load_runs_csv
from renorm.judging.judge import judge

__all__ = ["Finding", "audit", "judge", "load_runs_csv"]
