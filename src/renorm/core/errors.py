"""The one exception that users see."""

import difflib
from collections.abc import Iterable


class RenormError(Exception):
    """Bad input or a bad environment, one line a mistake: what key, what value, what to do.

    The command line prints the message alone and exits with code 2; everything else is a bug and keeps its traceback.
    Names and values out of files may hold line breaks and control characters: they are written out.
    """

    def __init__(self, *lines: str):
        super().__init__("\n".join(map(one_line, lines)))


def one_line(text: str) -> str:
    """`text` with line breaks and control characters written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def suggest(name: object, valid: Iterable[str]) -> str:
    """A hint for a misspelt `name`: the nearest valid one, or the list of all when nothing is near."""
    valid = sorted(valid)
    close = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(valid) or 'none'}"
