"""Re-run a published deep-learning study and say, claim by claim, what holds."""

__version__ = "0.2.0.dev0"
