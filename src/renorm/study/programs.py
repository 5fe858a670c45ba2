"""Programs that train cells in place of the built-in trainer: command line, code, results (docs/programs.md).

Here is what the configuration says of them, how a cell's command line is filled in, and what of it is part of the cell.
`execution.runners.program` runs them, `runs.program_results` reads what they wrote.
"""

import os
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from renorm.core import code_digest
from renorm.core.errors import RenormError, suggest
from renorm.core.metrics import METRICS, Metric, Metrics
from renorm.study.cell import Cell
from renorm.study.fields import Strict
from renorm.study.metrics import AddedMetric, registry

# `{optimizer.lr}`; `${HOME}` is the shell's, and `{{name}}` gives a literal `{name}`.
PLACEHOLDER = re.compile(r"(?<![{$])\{([A-Za-z_][A-Za-z0-9_.]*)\}(?!\})")
# Filled in when the program starts: where and on what it runs changes no cell.
AT_START = ("out", "data_dir", "device", "threads")
SPLITS = ("train", "validation", "test")
FORMATS = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
Format = Literal["csv", "tsv", "json", "jsonl", "regex"]

Text = Annotated[str, Field(min_length=1, max_length=10_000)]
DIGEST = re.compile(f"[0-9a-f]{{{code_digest.LENGTH}}}")
Scalar = str | int | float | bool


def _inside(path: str) -> str:
    """`path` if it is relative and stays below its folder."""
    pure = PurePosixPath(path)
    if not path.strip() or "\0" in path or pure.is_absolute() or ".." in pure.parts or pure == PurePosixPath("."):
        raise ValueError(f"'{path}' must be a path below the program's directory: without '..' and a leading '/'")
    if any("**" in part and part != "**" for part in pure.parts):
        raise ValueError(f"'{path}': ** stands for folders and is a part of its own, as in logs/**/test.csv")
    return path


@dataclass(frozen=True)
class Column:
    """A key of `columns`: what a column of the program's file holds."""

    split: str
    metric: Metric

    @property
    def name(self) -> str:
        """As history.csv has it."""
        return f"{self.split}_{self.metric.name}"


def column(key: str, metrics: Metrics = METRICS) -> Column:
    """`test.top1` → its split and metric; raises `RenormError` with a suggestion."""
    split, dot, metric = key.partition(".")
    if split not in SPLITS or not dot:
        raise RenormError(f"columns.{key}: write epoch or <split>.<metric>, as in test.top1 (splits: "
                          f"{', '.join(SPLITS)})")  # fmt: skip
    try:
        return Column(split, metrics.find(metric))
    except RenormError as error:
        raise RenormError(f"columns.{key}: {error}") from None


class Source(Strict):
    """Where a program writes its numbers.

    Attributes:
        file: Glob, relative to the working directory; without it, what the program prints.
        format: By the file's ending where it is not given.
        pattern: Of format regex: a match is a row, its named groups are the columns.
        columns: `epoch` or `<split>.<metric>` → column (csv, tsv), key (json, jsonl; `a.b` of nested ones) or group.
        unit: Of all metrics that have this unit, or one by one: {top1: percent}.
        first_epoch: The number that the program gives to its first epoch.
        defined: The study's own metrics among the columns, without their print; filled in from its `metrics:`.
    """

    file: str | None = None
    format: Format | None = None
    pattern: str | None = None
    columns: Annotated[dict[str, Text], Field(min_length=1)]
    unit: str | dict[str, str] = {}
    first_epoch: Literal[0, 1] = 1
    defined: dict[str, AddedMetric] = {}

    @field_validator("file")
    @classmethod
    def _below(cls, value: str | None) -> str | None:
        return None if value is None else _inside(value)

    @model_validator(mode="after")
    def _consistent(self) -> "Source":
        if self.pattern is not None and self.format not in (None, "regex"):
            raise ValueError(f"format: {self.format} has no pattern: take one of them out")
        self._check_pattern(self.kind)
        try:
            names = [part.name for part in self.metrics.values()]
            for metric in self._units():
                self.known.find(metric)
        except RenormError as error:
            raise ValueError(str(error)) from None
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"columns: '{name}' is given twice: name each metric once")
        self._check_units()
        return self

    @property
    def kind(self) -> Format:
        """The format, given or by the file's ending; ValueError when it cannot be seen."""
        if self.format or self.pattern is not None:
            return self.format or "regex"
        suffix = PurePosixPath(self.file or "").suffix.lower()
        if suffix not in FORMATS:
            known = ", ".join(get_args(Format))
            raise ValueError(f"format: is missing for '{self.file or 'the output'}': add one of {known}")
        return FORMATS[suffix]  # type: ignore[return-value]

    @property
    def metrics(self) -> dict[str, Column]:
        """Key of `columns` → split and metric, without the epoch."""
        return {key: column(key, self.known) for key in self.columns if key != "epoch"}

    @property
    def known(self) -> Metrics:
        """The built-in metrics and the study's own that the columns name."""
        return registry(self.defined)

    def unit_of(self, metric: Metric) -> str:
        """The unit of the program's values of `metric`; the metric's own where nothing else is said."""
        if isinstance(self.unit, str):
            return self.unit if self.unit in metric.accepted else metric.unit
        return {self.known.find(name).name: unit for name, unit in self.unit.items()}.get(metric.name, metric.unit)

    def _units(self) -> dict[str, str]:
        return {} if isinstance(self.unit, str) else self.unit

    def _check_pattern(self, kind: Format) -> None:
        if kind != "regex":
            return
        if self.pattern is None:
            raise ValueError("pattern: is missing: format regex needs one")
        try:
            groups = re.compile(self.pattern).groupindex
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"pattern: not a regular expression: {error}") from None
        for key, group in self.columns.items():
            if group not in groups:
                raise ValueError(f"columns.{key}: the pattern has no group '{group}': {suggest(group, groups)}")

    def _check_units(self) -> None:
        present = {part.metric.name: part.metric for part in self.metrics.values()}
        if isinstance(self.unit, str):
            known = {unit for metric in present.values() for unit in metric.accepted}
            if self.unit not in known:
                raise ValueError(f"unit: unknown '{self.unit}' of {', '.join(present)}: {suggest(self.unit, known)}")
            return
        for name, unit in self.unit.items():
            metric = self.known.find(name)
            if metric.name not in present:
                raise ValueError(f"unit.{name}: no column has this metric: {suggest(name, present)}")
            if unit not in metric.accepted:
                raise ValueError(f"unit.{name}: unknown '{unit}': {suggest(unit, metric.accepted)}")


Sources = list[Source]


class Results(Strict):
    """`history`: files with a row per epoch; `final`: files whose last values are those after the last epoch."""

    history: Sources = []
    final: Sources = []

    @field_validator("history", "final", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _consistent(self) -> "Results":
        if not self.history and not self.final:
            raise ValueError("history: is missing: name the files that the program writes, here or as final")
        for source in self.final:
            if "epoch" in source.columns or source.first_epoch != 1:
                raise ValueError("final: its values are of the last epoch: epoch and first_epoch belong to history")
        for key in ("history", "final"):
            names = [part.name for source in getattr(self, key) for part in source.metrics.values()]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{key}: '{name}' is given by two files: take it from one")
        if all(part.metric.is_time for part in self.columns):
            raise ValueError("columns: no metric but seconds: name at least one, as in test.top1")
        return self

    @property
    def columns(self) -> list[Column]:
        """Everything that the program reports, in the order of the configuration."""
        return [part for source in (*self.history, *self.final) for part in source.metrics.values()]


class Identity(Strict):
    """`Program.identity` as the workflow passes it on."""

    command: str
    values: dict[str, str]
    code: dict[str, str]
    results: dict[str, Any]


class Resume(Strict):
    """`argument` is appended to the command with the newest file that `checkpoint` (a glob) finds."""

    argument: Text
    checkpoint: Text

    @model_validator(mode="after")
    def _uses_it(self) -> "Resume":
        _inside(self.checkpoint)
        if PLACEHOLDER.findall(self.argument) != ["checkpoint"]:
            raise ValueError("argument: expected the placeholder {checkpoint}, and no other")
        return self


class Environment(Strict):
    """`python`: interpreter or virtual environment; `conda`: name or folder of one; `container`: an Apptainer image."""

    python: Text | None = None
    conda: Text | None = None
    container: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> "Environment":
        if sum(value is not None for value in (self.python, self.conda, self.container)) != 1:
            raise ValueError("give one of python, conda and container, or environment: none")
        return self


class Program(Strict):
    """A program that trains cells.

    Attributes:
        directory: Its folder.
        command: The shell command of a cell, with placeholders.
        code: Files and folders below `directory` whose digests are part of the cell; as path → digest no other code is
            of the program, and its records count where the program itself is not.
        words: Placeholder → its value → what is inserted instead, as it is; may have placeholders again.
        links: Name in the working directory → path; more than the links to what is in `directory`.
        results: What it writes.
        environment: What it runs in.
        resume: How a stopped run goes on; without it, it starts again.
        exit_codes: Those of a run that succeeded.
        timeout_minutes: Longest time of one run.
        grace_seconds: Time between SIGTERM and SIGKILL.
        memory_mb: Main memory that a job asks for.
    """

    directory: Text
    command: Text
    code: Annotated[list[str] | dict[str, str], Field(min_length=1, max_length=1000)]
    words: dict[str, dict[str, str]] = {}
    links: dict[str, Text] = {}
    results: Results
    environment: Environment | Literal["none"] = "none"
    resume: Resume | None = None
    exit_codes: Annotated[list[Annotated[int, Field(ge=0, le=255, strict=True)]], Field(min_length=1)] = [0]
    timeout_minutes: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    grace_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 30.0
    memory_mb: Annotated[int, Field(ge=1, lt=2**31, strict=True)] = 8000

    @field_validator("words", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        # YAML reads `deconv: True` as a truth value, and 0 as a number; on a command line both are words.
        if not isinstance(value, dict):
            return value
        return {
            key: {str(k): str(v) if isinstance(v, bool | int | float) else v for k, v in words.items()}
            if isinstance(words, dict) else words
            for key, words in value.items()
        }  # fmt: skip

    @field_validator("code")
    @classmethod
    def _code(cls, value: list[str] | dict[str, str]) -> list[str] | dict[str, str]:
        for path in value:
            _inside(path)
            if isinstance(value, dict) and not DIGEST.fullmatch(value[path]):
                raise ValueError(f"{path}: '{value[path]}' is not a digest ({code_digest.LENGTH} hexadecimal digits): "
                                 "name the paths alone, or copy the digests of a run.json")  # fmt: skip
        return value

    @field_validator("links")
    @classmethod
    def _links(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if len(PurePosixPath(_inside(name)).parts) != 1:
                raise ValueError(f"'{name}' is not the name of one entry of the working directory")
        return value

    @field_validator("directory")
    @classmethod
    def _home(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("is not a path")
        return os.path.expanduser(value)

    @property
    def placeholders(self) -> list[str]:
        """All of the command and of the words that it takes, each once."""
        found = dict.fromkeys(PLACEHOLDER.findall(self.command))
        for key in list(found):
            for word in self.words.get(key, {}).values():
                found |= dict.fromkeys(PLACEHOLDER.findall(word))
        return list(found)

    @cached_property
    def code_sha256(self) -> dict[str, str]:
        """Declared path → digest, as pinned or computed once; `digests` reads the files again."""
        return dict(self.code) if isinstance(self.code, dict) else self.digests()

    def digests(self) -> dict[str, str]:
        """Declared path → digest of the file or folder now; raises `RenormError` for one that is missing."""
        return code_digest.of_files(list(self.code), self.directory)

    def identity(self, cell: Cell, settings: Mapping[str, Any]) -> dict:
        """What a cell's numbers depend on: the command, the values in it, the code, and how the results are read.

        Args:
            cell: The cell.
            settings: The recipe's values by dotted name.

        Raises:
            RenormError: A placeholder has no value, or a declared file is missing.
        """
        return {
            "command": self.command, "values": self.filled(cell, settings), "code": self.code_sha256,
            "results": self.results.model_dump(exclude_defaults=True),
        }  # fmt: skip

    def filled(self, cell: Cell, settings: Mapping[str, Any]) -> dict[str, str]:
        """Placeholder of the command → the text that replaces it; those of `AT_START` stay."""
        values = {**settings, **cell.as_dict()}

        def text(key: str, depth: int) -> str:
            if key in AT_START:
                return f"{{{key}}}"
            value = values.get(key)
            if not isinstance(value, Scalar):
                raise RenormError(f"placeholder {{{key}}}: has no value in recipe '{cell.recipe}'")
            words = self.words.get(key)
            if words is None:
                return shlex.quote(str(value))
            if str(value) not in words:
                raise RenormError(f"words.{key}: no word for '{value}': {suggest(value, words)}")
            if depth > 3:
                raise RenormError(f"words.{key}: contains itself: take the placeholder out")
            return PLACEHOLDER.sub(lambda match: text(match[1], depth + 1), words[str(value)])

        return {key: text(key, 0) for key in sorted(set(PLACEHOLDER.findall(self.command))) if key not in AT_START}

    def placed(self, place: Callable[[str], str]) -> "Program":
        """The program with its paths changed by `place`; a name without a slash is found on PATH or by conda."""
        environment = self.environment
        if isinstance(environment, Environment):
            paths = {kind: value for kind, value in environment if value and ("/" in value or kind == "container")}
            environment = environment.model_copy(update={kind: place(path) for kind, path in paths.items()})
        links = {name: path if path.startswith("{") else place(path) for name, path in self.links.items()}
        return self.model_copy(update={"directory": place(self.directory), "links": links, "environment": environment})


# What of a metric's definition changes the numbers that are read; how it is printed may change without new runs.
MEANING = ("direction", "kind", "unit", "bounds", "granular")


def with_metrics(program: Any, metrics: Any) -> Any:
    """The program of a configuration as it was read, its sources with the study's `metrics` that they name."""
    if not isinstance(program, dict) or not isinstance(metrics, dict) or not isinstance(program.get("results"), dict):
        return program

    def filled(source: Any) -> Any:
        if not isinstance(source, dict) or not isinstance(source.get("columns"), dict):
            return source
        named = {str(key).partition(".")[2] for key in source["columns"]}
        defined = {name: {key: metric[key] for key in MEANING if key in metric}
                   for name, metric in metrics.items() if name in named and isinstance(metric, dict)}  # fmt: skip
        return source | {"defined": defined} if defined else source

    results = {
        key: [filled(source) for source in part] if isinstance(part, list) else filled(part)
        for key, part in program["results"].items()
    }
    return program | {"results": results}


def insert(template: str, values: Mapping[str, str]) -> str:
    """`template` with the placeholders that `values` has; doubled braces become single ones."""
    text = PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)
    return re.sub(r"(?<!\$)\{\{([A-Za-z_][A-Za-z0-9_.]*)\}\}", r"{\1}", text)


def mistakes(name: str, program: Program, known: Collection[str]) -> Iterator[str]:
    """What is wrong with the words of a program, one line each; `known`: names that a placeholder may have."""
    key = f"programs.{name}"
    names = [*known, *AT_START]
    for placeholder in program.placeholders:
        if placeholder not in names:
            yield f"{key}.command: unknown placeholder {{{placeholder}}}: {suggest(placeholder, names)}"
    for word in program.words:
        if word not in program.placeholders or word in AT_START:
            hint = suggest(word, [p for p in program.placeholders if p not in AT_START])
            yield f"{key}.words.{word}: the command has no placeholder {{{word}}}: {hint}"
    for link, target in program.links.items():
        if target.startswith("{") and target.partition("/")[0] != "{data_dir}":
            yield f"{key}.links.{link}: '{target}': {{data_dir}} is the only placeholder of a link"


def unusable(name: str, program: Program) -> Iterator[str]:
    """Why a program cannot run: what is not there, or is other code than the pinned one; one line each."""
    lines = list(missing(name, program))
    yield from lines
    if not lines and isinstance(program.code, dict):
        for path, digest in program.digests().items():
            if program.code[path] != digest:
                pinned = program.code[path]
                yield (f"programs.{name}.code.{path}: is {digest} in {program.directory}, and {pinned} here: check the "
                       "same version out, or name the paths alone")  # fmt: skip


def missing(name: str, program: Program) -> Iterator[str]:
    """The files and folders of a program that are not there, one line each."""
    key = f"programs.{name}"
    if not os.path.isdir(program.directory):
        yield f"{key}.directory: '{program.directory}' is not a folder: clone the program there, or correct the path"
        return
    for path in program.code:
        if not os.path.exists(os.path.join(program.directory, path)):
            yield f"{key}.code: '{path}' is not in {program.directory}: correct the path"
    for link, target in program.links.items():
        if not target.startswith("{") and not os.path.exists(target):
            yield f"{key}.links.{link}: '{target}' is not there: correct the path"
    environment = program.environment
    for kind in ("python", "container") if isinstance(environment, Environment) else ():
        path = getattr(environment, kind)
        if path and (kind == "container" or "/" in path) and not os.path.exists(path):
            yield f"{key}.environment.{kind}: '{path}' is not there: correct the path"
