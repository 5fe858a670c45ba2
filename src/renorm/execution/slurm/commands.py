"""Slurm's commands, with a time limit; what a site prints beside their answers is left out."""

import getpass
import re
import subprocess


def ask(*command: str, seconds: float = 60) -> subprocess.CompletedProcess:
    """The command's result; exit code 1 when it does not answer within `seconds`."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {seconds:g} s")


def rows(text: str, columns: int) -> list[list[str]]:
    """The lines of `text` with that many columns, separated by `|`; the last one may hold the character.

    A site's banner (maintenance, hours used) is on lines of its own, which have none.
    """
    found = (line.split("|", columns - 1) for line in text.splitlines())
    return [row for row in found if len(row) == columns]


def words(stderr: str) -> str:
    """Slurm's own words of a refusal, in one line, without the program's name."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = [line for line in lines if re.search(r"\berror: |failure: |fatal: |unrecognized|invalid option", line)]
    cleaned = (re.sub(r"^\w+: ((error|fatal): )?|^allocation failure: ", "", line) for line in said or lines[-1:])
    return "; ".join(dict.fromkeys(cleaned)) or "no reason given"


def user() -> str:
    return getpass.getuser()
