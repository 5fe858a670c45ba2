"""SIGTERM and SIGINT as a request to save and stop, not as an end."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def collected(at_second: Callable[[], object] = lambda: None) -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT while the block runs; a second one calls `at_second` and ends the process at once.

    Yields:
        The numbers of the signals so far, for the block to look at.
    """
    caught: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if caught:
            at_second()
            os._exit(128 + number)
        caught.append(number)

    before = {s: signal.signal(s, note) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
