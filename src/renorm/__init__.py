"""Re-run a published deep-learning study and say, claim by claim, what holds."""

__version__ = "0.1.0"
