"""How tables are printed: as wide as the terminal, and whole where there is none."""

from rich.console import Console


def screen() -> Console:
    """The terminal; piped into a file or another program, names stay whole."""
    console = Console()
    return console if console.is_terminal else Console(width=140)
