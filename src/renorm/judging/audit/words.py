"""The words of somebody else's table: known spellings are mapped to ours, unknown ones are refused in one line."""

import re

from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import Metric, Metrics
from renorm.study.known_datasets import SIZES

SPLITS = {
    "train": ("training", "train set"),
    "test": ("testing", "test set", "eval", "evaluation", "val", "valid", "validation", "dev"),
    "unstated": ("unknown", "not stated", "n/a"),
}
SELECTIONS = {"final": ("last", "last epoch"), "best": ("max", "maximum", "best epoch"), "unstated": ("unknown",)}
STATUS = {
    "completed": ("complete", "done", "finished", "ok", "success", "succeeded"),
    "diverged": ("diverge", "nan", "exploded"),
    "failed": ("fail", "error", "crashed"),
}
# Spellings of units that the registry of metrics has.
UNITS = {
    "percent": ("%", "pct", "percentage", "per cent"),
    "fraction": ("1", "ratio", "share", "proportion"),
    "nats": ("nat",),
    "s": ("sec", "secs", "second", "seconds"),
}
AVERAGES = ("mean", "average", "avg", "averaged")
SPREADS = ("sd", "std", "stdev", "std dev", "standard deviation", "s.d.", "std.")
# Rows that sum up a cell in another way: neither a run nor an average of runs.
OTHER_SUMMARIES = ("min", "max", "minimum", "maximum", "median", "sem", "stderr", "standard error", "var", "variance")
CLOSED = {"split": SPLITS, "selection": SELECTIONS, "status": STATUS}


def squeezed(text: str) -> str:
    """A name without case, blanks and punctuation, so that CIFAR-10 and cifar10 are one."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def closed(where: str, column: str, text: str) -> str:
    """Our word for a word of a column whose words are known, or `RenormError`."""
    known = CLOSED[column]
    plain = " ".join(text.lower().replace("_", " ").split())
    for word, others in known.items():
        if plain == word or plain in others or (squeezed(text) and squeezed(text) == squeezed(word)):
            return word
    raise RenormError(f"{where}: {column}: unknown '{text}': {suggest(text, known)}")


def metric(where: str, text: str, metrics: Metrics) -> Metric:
    """The metric that is called `text`, or `RenormError`."""
    for one in metrics.values():
        if squeezed(text) in {squeezed(name) for name in (one.name, *one.aliases, f"{one.name} accuracy")}:
            return one
    try:
        return metrics.find(text)
    except RenormError as error:
        raise RenormError(f"{where}: {error}") from None


def unit(where: str, text: str, of: Metric) -> str:
    """Our word for a unit in which the metric may be given, or `RenormError`."""
    plain = text.lower().strip()
    for word in (text, plain, *(word for word, others in UNITS.items() if plain in others)):
        if word in of.accepted:
            return "percent" if word == "%" else word
    raise RenormError(f"{where}: unit: unknown '{text}' of {of.name}: {suggest(text, of.accepted)}")


def attempt(where: str, text: str) -> str:
    """The name of a single run, or `mean`, `sd`, `other` for rows that sum several up."""
    plain = " ".join(text.lower().replace("_", " ").split())
    for word, spellings in (("mean", AVERAGES), ("sd", SPREADS), ("other", OTHER_SUMMARIES)):
        if plain in spellings:
            return word
    if any(character.isdigit() for character in text) or len(text) <= 1:
        return text
    raise RenormError(f"{where}: attempt: unknown '{text}': give each run a number, or write mean or sd")


def dataset(text: str, known: dict[str, str]) -> str:
    """The name among `known` (squeezed → name) or the built-in data sets that differs in spelling only."""
    return known.get(squeezed(text)) or BUILT_IN.get(squeezed(text), text)


BUILT_IN = {squeezed(name): name for name in SIZES} | {"ilsvrc2012": "imagenet", "imagenet1k": "imagenet"}
