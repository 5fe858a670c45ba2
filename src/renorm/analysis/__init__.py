"""Runs and claims become verdicts. Nothing here trains, and nothing here imports torch."""

from renorm.analysis.judging import judge

__all__ = ["judge"]
