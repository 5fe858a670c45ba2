"""The command line."""

from renorm.cli.main import main

__all__ = ["main"]
