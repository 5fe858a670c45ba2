"""YAML that people write, read without its surprises, and validated against a model: one line for each mistake."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from renorm.core.errors import RenormError, suggest


class _Loader(yaml.SafeLoader):
    """SafeLoader without YAML's surprises: a duplicate key and an alias (it may expand without limit) are errors."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise RenormError(f"line {mark.line + 1}: YAML aliases (*name) are not read here: write the value out")
        return super().compose_node(parent, index)

    def construct_object(self, node, deep=False):
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            problem = _disguised(node.tag.rpartition(":")[2], node.value)
            if problem:
                raise RenormError(f"line {node.start_mark.line + 1}: {problem}")
        return super().construct_object(node, deep)

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                raise RenormError(f"line {key_node.start_mark.line + 1}: a key must be a plain name")
            if key in seen:
                raise RenormError(f"line {key_node.start_mark.line + 1}: duplicate key '{key}': remove one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _disguised(kind: str, text: str) -> str:
    """What is wrong with a value that YAML 1.1 reads otherwise than people write it; empty when nothing is.

    Args:
        kind: what YAML takes it for: int, float, bool, ...
        text: as it is written, without quotes.
    """
    quoted = f"or '{text}' in quotes for a name"
    if kind == "bool" and text.lower() not in ("true", "false"):
        return f"{text}: YAML reads a truth value: write {str(text.lower() in ('yes', 'on')).lower()}, {quoted}"
    if kind not in ("int", "float"):
        return ""
    if ":" in text:
        return f"{text}: YAML reads a number of base 60: write it as a decimal number, {quoted}"
    if "_" in text:
        return f"{text}: underscore in a number: write it without, {quoted}"
    zeros = re.fullmatch(r"([-+]?)0+([0-9]*)", text)
    if zeros and len(text.lstrip("+-")) > 1:
        sign, digits = zeros.groups()
        return f"{text}: leading zeros: write {sign}{digits or '0'}, {quoted}"
    return ""


def parse_yaml(text: str, where: str) -> Any:
    """The document in `text`; errors name `where` and the line."""
    try:
        return yaml.load(text, Loader=_Loader)  # nosec B506
    except RenormError as error:
        raise RenormError(f"{where}: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise RenormError(f"{where}: {line}not readable as YAML: {getattr(error, 'problem', None) or error}") from None


def read_yaml(path: str | Path) -> Any:
    """The document in the YAML or JSON file `path`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise RenormError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RenormError(f"{path}: is not UTF-8 text") from None
    return parse_yaml(text, str(path))


def validate_model(model: type[BaseModel], values: Any, where: str) -> Any:
    """`model(**values)`; raises `RenormError` with one line for each mistake, beginning with `where`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = {_place(item): _line(model, item) for item in reversed(error.errors())}
        raise RenormError(*(f"{where}: {line}" for line in reversed(lines.values()))) from None


def _place(item: dict) -> tuple:
    """What identifies a mistake: a recipe that extends another repeats its mistakes, and only the first is reported."""
    loc = item["loc"]
    return (loc[0], *loc[2:], repr(item["input"])) if loc[:1] == ("recipes",) and len(loc) > 2 else loc


def _line(model: type[BaseModel], item: dict) -> str:
    key = ".".join(str(part) for part in item["loc"] if part != "[key]")
    if item["type"] == "extra_forbidden":
        siblings = _fields_at(model, item["loc"][:-1])
        return f"{key}: unknown key: {suggest(item['loc'][-1], siblings)}"
    if item["type"] == "missing" or (item["type"] == "string_too_short" and not item["input"]):
        return f"{key}: is missing: add it"
    if item["type"] == "unknown_key":  # of a part of a recipe, whose keys depend on its name
        return f"{key}: {item['msg']}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "string_pattern_mismatch":
        message = "use lower-case letters, digits and _ . - only, beginning with a letter or digit"
    if item["type"] == "string_type" and isinstance(item["input"], int | float):
        message = "expected text: put a name that looks like a number or a truth value in quotes"
    if item["type"] in ("model_type", "dict_type"):
        message = "expected keys and values" + _some(_fields_at(model, item["loc"]))
    if not key:
        return message
    if item["type"] == "literal_error":
        return f"{key}: unknown '{item['input']}': {suggest(item['input'], _words(item))}"
    value = json.dumps(item["input"], default=str)
    return f"{key}: {message} (found {value if len(value) <= 80 else value[:77] + '...'})"


def _words(item: dict) -> list[str]:
    """The words that a literal may be, out of pydantic's list of them in its own representation."""
    return [word.strip("'") for word in item["ctx"]["expected"].replace(" or ", ", ").split(", ")]


def _some(fields: list[str]) -> str:
    return f" ({', '.join(fields[:3])}{', …' * (len(fields) > 3)})" if fields else ""


def _fields_at(model: type[BaseModel], loc: tuple) -> list[str]:
    """The field names of the model at `loc`, for the hint beside an unknown key."""
    kind: Any = model
    for part in loc:
        if isinstance(part, int):
            continue  # an entry of a list, whose type is known already
        field = getattr(kind, "model_fields", {}).get(part)
        kind = field.annotation if field else (getattr(kind, "__args__", (None,))[-1])
        args = [a for a in getattr(kind, "__args__", ()) if hasattr(a, "model_fields")]
        if args and not hasattr(kind, "model_fields") and getattr(kind, "__origin__", None) is not dict:
            kind = args[0]
    return list(getattr(kind, "model_fields", {}))


def flatten(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """{"a": {"b": 1}} → {"a.b": 1}, as `--set` takes the keys; lists, and what is nested deeper than 20, stay."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and depth < 20:
            found |= flatten(value, f"{prefix}{key}.", depth + 1)
        else:
            found[f"{prefix}{key}"] = value
    return found
