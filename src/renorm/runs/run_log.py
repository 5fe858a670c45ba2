"""The form of a run's log: written by the trainer, read by `collect` and `status` without torch.

A line is `<time, ISO 8601> <level> <message>`. Beside such lines the file holds what the command wrote to standard
error: `renorm: <message>` for an error that the user can mend, a traceback for any other.
"""

from pathlib import Path
from typing import Literal

from renorm.runs.run_record import now

Level = Literal["START", "INFO", "WARNING"]
# What `renorm` puts before the one line of an error.
COMMAND = "renorm:"


def line(level: Level, message: str) -> str:
    """One line of the log.

    Args:
        level: START opens a run or resumes it: errors before it belong to an earlier attempt.
        message: One line of text.
    """
    return f"{now()} {level} {message}"


def last_error(log: Path) -> str:
    """The last error in a run's log if no attempt was started after it, else an empty string.

    Args:
        log: The run's log.txt; where there is none there is no error.
    """
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{log}: cannot be read: {error.strerror}"
    for text in reversed(lines):
        first, _, rest = text.partition(" ")
        if first == COMMAND:
            return rest
        if first == "Traceback":
            return lines[-1]
        if rest.partition(" ")[0] == "START":
            return ""
    return ""
