"""Slurm's commands, with a time limit."""

import getpass
import subprocess


def ask(*command: str) -> subprocess.CompletedProcess:
    """The command's result; exit code 1 when it does not answer within 60 s."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "no answer within 60 s")


def user() -> str:
    return getpass.getuser()
