"""The first map of a file: what its header shows, to be completed by hand. A `?` is what the file does not say."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from renorm.core import plugins
from renorm.core.errors import RenormError
from renorm.core.metrics import METRICS, Metrics
from renorm.core.table_specs import GROUP
from renorm.study.cell import NAME
from renorm.study.importing.grid import SEPARATOR, Grid
from renorm.study.importing.mapping import TO_FILL, Read
from renorm.study.importing.numbers import parse

# Field → how columns of it are called.
CALLED = {
    "dataset": ("dataset", "data", "data_set", "task", "benchmark"),
    "arch": ("arch", "architecture", "model", "network", "net", "backbone", "model_name"),
    "norm": ("norm", "normaliser", "normalizer", "normalisation", "normalization", "method", "variant"),
    "recipe": ("recipe", "setting", "config_name"),
    "epochs": ("epochs", "epoch", "max_epochs", "num_epochs", "n_epochs", "step"),
    "attempt": ("attempt", "seed", "trial", "repeat", "run", "random_seed"),
    "n": ("n", "runs", "n_runs", "num_seeds"),
}
COUNTED = ("epochs", "attempt", "n")
SPLITS = {
    "train": ("train", "training"), "validation": ("val", "valid", "validation", "eval", "dev"), "test": ("test",),
}  # fmt: skip
SHORT = {"bn": "batch_norm", "nd": "deconv", "gn": "group_norm", "ln": "layer_norm", "in": "instance_norm"}
IN_LABEL = {
    "epochs": r"epochs?\s*:?\s*(\d+)|(\d+)\s*epochs?", "attempt": r"(?:attempt|seed|run|trial)\s*:?\s*(\d+)",
}  # fmt: skip
PREFIX = re.compile(r"^(?:params|config|hparams|metrics|summary|tags)\.", re.IGNORECASE)
MANY = 40


@dataclass
class _Guess:
    fields: dict[str, Any] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    values: list[dict[str, Any]] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def first_map(grids: list[Grid], read: Read, name: str, metrics: Metrics = METRICS) -> str:
    """The text of a map for `grids`, with what their labels and values show.

    Args:
        grids: The tables.
        read: How they were read.
        name: Of the source.
        metrics: Those that columns may be called after.

    Raises:
        RenormError: No column has numbers in it.
    """
    guess = _Guess()
    for grid in grids:
        _add(guess, grid, metrics)
    if not guess.values:
        raise RenormError(f"{grids[0].page}: no column of it has numbers: is read.header its header?")
    needed = GROUP
    fields = {key: guess.fields.get(key, TO_FILL) for key in needed
              if key in guess.fields or not all(key in entry for entry in guess.values)}  # fmt: skip
    fields |= {key: given for key, given in guess.fields.items() if key not in fields}
    parts = {
        "source": {"label": name, "title": TO_FILL, "kind": "reproduction"},
        "read": read.model_dump(exclude_defaults=True),
        "fields": fields,
        "words": guess.words,
        "values": guess.values,
    }
    text = yaml.safe_dump({key: part for key, part in parts.items() if part}, sort_keys=False, allow_unicode=True,
                          width=120)  # fmt: skip
    return _about(grids) + text + _others(guess.other)


def _about(grids: list[Grid]) -> str:
    return (f"# A first map of {', '.join(dict.fromkeys(grid.page for grid in grids))}, from its header: check every "
            f"line, and replace each {TO_FILL}.\n# docs/import.md explains the keys.\n")  # fmt: skip


def _others(labels: Iterable[str]) -> str:
    """Columns that were not understood, as comments: each belongs in `values`, `fields` or `ignore`."""
    lines = [f"#   - {_quoted(label)}\n" for label in dict.fromkeys(labels)]
    return "# Not understood: add each to values, to fields, or here.\nignore:\n" + "".join(lines) if lines else ""


def _quoted(label: str) -> str:
    return yaml.safe_dump(label, width=10_000, allow_unicode=True).splitlines()[0]


def _add(guess: _Guess, grid: Grid, metrics: Metrics) -> None:
    known = {entry["column"] for entry in guess.values}
    for column, label in enumerate(grid.columns):
        cells = [row[column] for row in grid.rows if row[column]]
        if not label or not cells or label in known:
            continue
        known.add(label)
        key = _field(label)
        numbers = [parse(cell) for cell in cells]
        numeric = sum(number is not None for number in numbers) * 2 > len(cells)
        if key in COUNTED and not numeric:
            key = None
        if key and key not in guess.fields:
            guess.fields[key] = {"column": label}
            _words(guess, key, cells)
        elif numeric and (entry := _value(label, numbers, metrics)):
            guess.values.append(entry)
        else:
            guess.other.append(label)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _field(label: str) -> str | None:
    name = _plain(PREFIX.sub("", label.rpartition(SEPARATOR)[2]))
    return next((key for key, called in CALLED.items() if name in called), None)


def _words(guess: _Guess, key: str, cells: list[str]) -> None:
    """The names of the texts of a column; those that are names already need no word."""
    if key not in ("dataset", "arch", "norm", "recipe"):
        return
    texts = list(dict.fromkeys(cells))[:MANY]
    if all(NAME.fullmatch(text) and _name(key, text) == text for text in texts):
        return
    guess.words.setdefault(key, {}).update({text: _name(key, text) for text in texts})


def _name(key: str, text: str) -> str:
    """The registered name that `text` is most like, letter by letter; else a name made of it."""
    names = plugins.names(key) if key in plugins.PLUGIN_PACKAGES else ()
    short = SHORT.get(_plain(text)) if key == "norm" else None
    squeezed = _plain(text).replace("_", "")
    same = [name for name in names if name.replace("_", "") == squeezed]
    return short or next(iter(same), None) or _plain(text) or TO_FILL


def _value(label: str, numbers: list, metrics: Metrics) -> dict[str, Any] | None:
    """The entry of a column with values; None where the label says no metric and is not of a wide table either."""
    wide = SEPARATOR in label
    metric, split = _metric(label, metrics)
    if metric is None and not wide:
        return None
    entry: dict[str, Any] = {"column": label, **dict(_in_label(label)), "metric": metric or TO_FILL}
    entry["split"] = split or "unstated"
    found = metrics.get(metric or "")
    if any(number.percent for number in numbers if number):
        entry["unit"] = "percent"
    elif found and found.is_share:
        # A guess from the values, to be checked like everything here.
        largest = max(abs(float(number.value)) for number in numbers if number)
        entry["unit"] = "fraction" if largest <= 1 else "percent"
    elif found:
        entry["unit"] = found.unit
    return entry


def _metric(label: str, metrics: Metrics) -> tuple[str | None, str | None]:
    """What a label says of metric and split: test/acc, val_accuracy, Top-1 (test)."""
    name = PREFIX.sub("", label.replace(SEPARATOR, " "))
    words = [word for word in re.split(r"[^a-z0-9@-]+", name.lower()) if word]
    split = next((key for key, called in SPLITS.items() if any(word in called for word in words)), None)
    rest = [word for word in words if not any(word in called for called in SPLITS.values())]
    for text in ("_".join(rest), *rest):
        try:
            return metrics.find(text).name, split
        except RenormError:
            continue
    return None, split


def _in_label(label: str) -> Iterator[tuple[str, Any]]:
    """Fields of a wide table's column: CIFAR-10 | Epochs : 20 | attempt 1 | BN."""
    for key, pattern in IN_LABEL.items():
        found = re.search(pattern, label, re.IGNORECASE)
        if found:
            yield key, int(next(group for group in found.groups() if group))
    parts = [part for text in label.split(SEPARATOR) for part in (text, *text.split())]
    for key in ("dataset", "arch", "norm"):
        for part in parts:
            name = _name(key, part)
            if name in plugins.names(key):
                yield key, name
                break
