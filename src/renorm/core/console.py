"""How tables are printed: as wide as the terminal, and whole where there is none."""

from datetime import timedelta

from rich.console import Console


def screen() -> Console:
    """The terminal; piped into a file or another program, names stay whole."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def span(seconds: float) -> str:
    """Seconds as days, hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
