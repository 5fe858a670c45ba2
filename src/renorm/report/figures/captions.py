"""Titles, captions and alternative texts of the figures: the words are in report/captions.yaml."""

from functools import cache
from pathlib import Path
from typing import TypedDict

import yaml

from renorm.core.errors import RenormError
from renorm.core.resources import bundled

FOLDER = bundled("report")


@cache
def captions(folder: Path = FOLDER) -> dict:
    path = folder / "captions.yaml"
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise RenormError(f"{path}: not readable ({reason}); restore it from the repository") from None


class Words(TypedDict):
    """What is said about a figure: a heading, what it shows, and the same for those who do not see it."""

    title: str
    caption: str
    alt: str


def words(kind: str, **names: object) -> Words:
    """The words of a kind of figure with the names filled in."""
    entry = captions()["figures"][kind]
    title, caption, alt = (entry[key].format(**names).strip() for key in ("title", "caption", "alt"))
    return Words(title=title, caption=caption, alt=alt)
