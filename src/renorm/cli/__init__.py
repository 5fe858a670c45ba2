"""The command line."""

from renorm.cli.app import main

__all__ = ["main"]
