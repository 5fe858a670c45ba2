"""The form of a run's log: written by the trainer, read by `collect` and `status` without torch.

A line is `<time, ISO 8601> <level> <message>`. Beside such lines the file holds what the command wrote to standard
error: `renorm: <message>` for an error that the user can mend, a traceback for any other.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Literal

from renorm.runs.run_record import now

Level = Literal["START", "INFO", "WARNING"]
# What `renorm` puts before the one line of an error.
COMMAND = "renorm:"
# What the trainer writes after every epoch, and whatever a program may print.
EPOCH = re.compile(r"^(\S+) INFO epoch (\d+)/(\d+)\b")


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


def progress(log: Path, now: float) -> tuple[int, float | None]:
    """How far the attempt that writes `log` is.

    Args:
        log: The run's log.txt.
        now: Seconds since 1970.

    Returns:
        The epochs that are done, and the seconds that the rest will take at this attempt's pace; 0 and None where the
        log does not say, as for a program that prints no epochs.
    """
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0, None
    starts = [place for place, text in enumerate(lines) if text.split(" ")[1:2] == ["START"]]
    found = [match for text in lines[starts[-1] if starts else 0 :] if (match := EPOCH.match(text))]
    if not found or not starts:
        return 0, None
    began, last = _time(lines[starts[-1]].split(" ")[0]), _time(found[-1][1])
    if began is None or last is None:
        return int(found[-1][2]), None
    pace = (last - began) / len(found)
    rest = int(found[-1][3]) - int(found[-1][2])
    return int(found[-1][2]), max(rest * pace - (now - last), 0.0)


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
