"""Documents with mistakes that people make, and worse: values of other kinds, keys renamed, moved and lost."""

import copy
import os
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from renorm.core.errors import RenormError

COUNT = 10_000 if os.environ.get("RENORM_TORTURE") else 1_000
ANY = (
    None, True, False, 0, -1, 1, 2**70, 0.5, float("nan"), float("inf"), "", " ", "a", "é\u2028", "\0", "a" * 5000, "?",
    "no", "1e999", "..", "../x", "/", "~", "*", "**", "[", "(", "(?P<e>.)", "(?P<epochs>\\d+)", "(" * 200, "{", "{{x}}",
    "{norm}", "{optimizer}", "{out}", "a\nb", [], [[]], ["a", 1], {}, {"a": {}}, {"": ""}, {"a": None},
)  # fmt: skip


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths to all values in a document."""
    yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(part, (*path, key))


def mutated(document: dict, number: int, words: tuple[str, ...] = (), below: tuple[str, ...] = ()) -> dict:
    """The `number`-th mutation: up to three values replaced, removed, renamed, or swapped with another one's.

    Args:
        document: What is valid.
        number: The seed.
        words: Values to be put in, besides those of every document.
        below: Top-level keys that are changed; default all.
    """
    random = Random(number)
    made = copy.deepcopy(document)
    for _ in range(random.randint(1, 3)):
        known = [path for path in places(made) if path and (not below or path[0] in below)]
        if not known:
            break
        *parents, last = random.choice(known)
        place = made
        for part in parents:
            place = place[part]
        kind = random.randrange(4)
        if kind == 0 and isinstance(place, dict):
            place[random.choice([*words, "x", "", "Epochs"])] = place.pop(last)
        elif kind == 1:
            del place[last]
        elif kind == 2:
            value: Any = made
            for part in random.choice(known):
                value = value[part]
            place[last] = copy.deepcopy(value)
        else:
            place[last] = copy.deepcopy(random.choice([*ANY, *words]))
    return made


def refused(read: Callable[[int], None]) -> int:
    """How many of the mutations 0 … COUNT - 1 `read` refuses in lines; of any other exception the number is noted."""
    count = 0
    for number in range(COUNT):
        try:
            read(number)
        except RenormError as error:
            assert str(error)
            count += 1
        except Exception as error:
            error.add_note(f"mutation {number}")
            raise
    return count
