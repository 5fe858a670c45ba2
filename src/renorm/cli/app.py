"""The entry point of the command line: `renorm -h` lists its commands.

Heavy imports are inside the commands, so that the help and the light commands start at once.
"""

import sys
from typing import Annotated, NoReturn, TextIO

import typer

# In the order of the groups of the help; each adds its commands to the application.
from renorm.cli import new, study, names, claims, importing, cell, share, records, cluster, workflow  # noqa: F401 # isort: skip
from renorm.cli.options import app
from renorm.core import plugins
from renorm.core.errors import RenormError


def main() -> None:
    """Run a command; a `RenormError`, or what a plugin raises, is printed on standard error, with exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on_a_character(stream)
    try:
        app()
    except RenormError as error:
        _end(error)
    except Exception as error:
        blamed = plugins.blamed(error)
        if blamed is None:
            raise
        _end(blamed)


def _end(error: RenormError) -> NoReturn:
    for line in str(error).splitlines():
        print(f"renorm: {line}", file=sys.stderr)
    sys.exit(2)


def _never_fail_on_a_character(stream: TextIO) -> None:
    """Write a question mark for what the terminal's encoding does not have."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="replace")


def _print_version(wanted: bool) -> None:
    if wanted:
        from renorm.core.machine import code_version

        code = code_version()
        commit = f"commit {code['commit']}" if code["commit"] else "commit unknown"
        print(f"renorm {code['renorm']}, {commit}{', modified' if code['dirty'] else ''}")
        raise typer.Exit()


@app.callback()
def _options_of_all_commands(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version and commit.")
    ] = False,
) -> None: ...
