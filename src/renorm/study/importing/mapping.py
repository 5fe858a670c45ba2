"""The map of an import: which columns hold values, and what dataset, architecture, metric, … each value is of."""

import fnmatch
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from renorm.core.errors import suggest
from renorm.core.validation import read_yaml, validate_model
from renorm.study import claims
from renorm.study.fields import Strict

FORMATS = ("csv", "tsv", "xlsx", "json", "jsonl", "tensorboard", "mlflow", "log")
Format = Literal["csv", "tsv", "xlsx", "json", "jsonl", "tensorboard", "mlflow", "log"]
# What a row of claims says beside its value and source.
FIELDS = tuple(name for name in claims.COLUMNS if name not in ("source", "value"))
# A place in a first map that its author has to fill in.
TO_FILL = "?"
MISSING, DIVERGED = "missing", "diverged"

Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Line = Annotated[int, Field(ge=1, strict=True)]


def _pattern(text: str, key: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{key}: not a regular expression: {error}") from None


def _span(value: Any) -> Any:
    """`3` is the lines 3 to 3."""
    return [value, value] if isinstance(value, int) and not isinstance(value, bool) else value


class Read(Strict):
    """How the file is read.

    Attributes:
        format: By the file's ending where it is not given; of a folder it must be.
        sheets: Of a workbook; default all.
        header: First and last line of the header.
        rows: First and last line of the rows; default all below the header.
        files: Glob of the files of a folder.
        path: Regular expression over a file's path below the folder, whose named groups are further columns.
        pattern: Of format log: a match is a row, its named groups are the columns.
        decimal: The decimal mark.
    """

    format: Format | None = None
    sheets: list[Text] = []
    header: Annotated[list[Line], Field(min_length=2, max_length=2)] = [1, 1]
    rows: Annotated[list[Line], Field(min_length=2, max_length=2)] | None = None
    files: Text | None = None
    path: Text | None = None
    pattern: Text | None = None
    decimal: Literal[".", ","] = "."

    @field_validator("header", "rows", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        return _span(value)

    @field_validator("sheets", mode="before")
    @classmethod
    def _one_sheet(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> "Read":
        for key in ("path", "pattern"):
            text = getattr(self, key)
            if text is not None and not _pattern(text, key).groupindex:
                raise ValueError(f"{key}: has no named group, as in (?P<epochs>[0-9]+)")
        if self.pattern is not None and self.format not in (None, "log"):
            raise ValueError(f"pattern: is of format log, not of {self.format}: take one of them out")
        if self.header[1] < self.header[0] or (self.rows and not self.header[1] < self.rows[0] <= self.rows[1]):
            raise ValueError("header: expected the first and the last line, and the rows below it")
        if self.files and (Path(self.files).is_absolute() or ".." in Path(self.files).parts):
            raise ValueError("files: expected a glob below the folder, without '..' and a leading '/'")
        return self


class FromColumn(Strict):
    """A field that a column of the same row says.

    Attributes:
        column: The label of the column; of several, the nearest one to the left of the value.
        pattern: Of the cell, the first group of this regular expression, or its match.
        plus: Added to a whole number, for epochs that count from 0.
    """

    column: Text
    pattern: Text | None = None
    plus: Annotated[int, Field(ge=-1_000_000, le=1_000_000, strict=True)] = 0

    @model_validator(mode="after")
    def _checked(self) -> "FromColumn":
        if self.pattern is not None:
            _pattern(self.pattern, "pattern")
        return self

    def find(self, text: str) -> str | None:
        """The field's text in the cell `text`; None where the pattern does not match."""
        if self.pattern is None:
            return text
        found = re.search(self.pattern, text)
        return None if found is None else found[1] if found.re.groups else found[0]


Given = str | int | float | FromColumn


class Value(Strict):
    """Columns that hold values.

    Attributes:
        column: The label of one column, or its letters after an exclamation mark, as in `!CY`.
        header: Regular expression that finds columns by their labels; its named groups are fields.
        carry: Fields that the nearest column to the left with values says.
        plus_minus: What follows a ± in a cell: a standard deviation, or half a 95 % confidence interval.
        fields: What the values are of, where it differs from the map's own `fields`.
    """

    column: Text | None = None
    header: Text | None = None
    carry: list[Text] = []
    plus_minus: Literal["sd", "ci"] = "sd"
    fields: dict[str, Given] = {}

    @model_validator(mode="before")
    @classmethod
    def _inline(cls, values: Any) -> Any:
        """Fields are written beside the other keys."""
        if not isinstance(values, dict):
            return values
        own = {key: value for key, value in values.items() if key not in FIELDS and key != "fields"}
        fields = {key: value for key, value in values.items() if key in FIELDS}
        if "fields" in values:
            raise ValueError("fields: write them beside column, as in metric: top1")
        return {**own, "fields": fields}

    @model_validator(mode="after")
    def _consistent(self) -> "Value":
        if (self.column is None) == (self.header is None):
            raise ValueError("give column, the label of one column, or header, a regular expression over labels")
        for name in (*self.carry, *(self._header.groupindex if self._header else ())):
            if name not in FIELDS:
                raise ValueError(f"unknown field '{name}': {suggest(name, FIELDS)}")
        return self

    @cached_property
    def _header(self) -> re.Pattern[str] | None:
        return None if self.header is None else _pattern(self.header, "header")

    def match(self, label: str, letters: str) -> dict[str, str] | None:
        """The fields that the label of a column says; None where the entry is not about that column."""
        if self._header is None:
            return {} if self.column in (label, f"!{letters}") else None
        found = self._header.search(label)
        return None if found is None else {key: text for key, text in found.groupdict().items() if text is not None}


class Head(Strict):
    """`source.yaml` of the new folder."""

    label: Text
    title: Text
    kind: Literal["original", "reproduction"] = "reproduction"
    authors: str = ""
    year: Annotated[int, Field(strict=True)] | None = None
    url: str = ""
    note: str = ""
    attempts: Literal["numbers", "seeds"] = "numbers"


class Map(Strict):
    """A map.

    Attributes:
        source: Who says so; not needed for a folder that has its source.yaml.
        read: How the file is read.
        fields: What every value is of: a constant, or a column of its row.
        words: Field → text of the file → name in renorm; `value` has texts other than numbers: missing or diverged.
        values: Columns with values.
        ignore: Globs of labels of columns that are not taken over.
        take: Every row, or of rows that differ in their epoch alone the last, or the best, one.
    """

    source: Head | None = None
    read: Read = Read()
    fields: dict[str, Given] = {}
    words: dict[str, dict[str, str | None]] = {}
    values: Annotated[list[Value], Field(min_length=1)]
    ignore: list[Text] = []
    take: Literal["all", "last", "best"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, values: Any) -> Any:
        """A key without a value is a key that is not there."""
        return {key: v for key, v in values.items() if v is not None} if isinstance(values, dict) else values

    @field_validator("values", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @field_validator("words", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        """YAML reads numbers and truth values; in a table both are words."""
        if not isinstance(value, dict):
            return value
        return {key: {_word(k): v if v is None else _word(v) for k, v in words.items()}
                if isinstance(words, dict) else words for key, words in value.items()}  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> "Map":
        for key in self.fields:
            if key not in FIELDS:
                raise ValueError(f"fields.{key}: unknown field: {suggest(key, FIELDS)}")
        for key in self.words:
            if key not in (*FIELDS, "value"):
                raise ValueError(f"words.{key}: unknown field: {suggest(key, (*FIELDS, 'value'))}")
        for text, meaning in self.words.get("value", {}).items():
            if meaning not in (MISSING, DIVERGED):
                raise ValueError(f"words.value.{text}: '{meaning}' is not {MISSING} or {DIVERGED}")
        for place, given in self._given():
            if given == TO_FILL:
                raise ValueError(f"{place}: '{TO_FILL}' is to be replaced by what the file does not say")
        return self

    def _given(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = [(f"fields.{key}", value) for key, value in self.fields.items()]
        for number, entry in enumerate(self.values):
            found += [(f"values.{number}.{key}", value) for key, value in entry.fields.items()]
        found += [(f"words.{key}.{k}", v) for key, words in self.words.items() for k, v in words.items()]
        return [*found, *((f"source.{key}", getattr(self.source, key, None)) for key in ("label", "title"))]

    def ignores(self, label: str) -> bool:
        """Whether a column is left out on purpose."""
        return any(label == one or fnmatch.fnmatchcase(label, one) for one in self.ignore)


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def load_map(path: str | Path) -> Map:
    """The map in the YAML file `path`; raises `RenormError` with one line for each mistake."""
    return validate_model(Map, read_yaml(path), str(path))
