"""JSON schemas for editors and other programs, generated from the types that read the files."""

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, create_model

from renorm.core.table_specs import GROUP
from renorm.judging.statement_checks import CHECKS
from renorm.runs import run_record
from renorm.study import claims, config
from renorm.study.cell import NAME

DRAFT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
IS_NAME = {"type": "string", "pattern": f"^{NAME.pattern}$"}


def schemas() -> dict[str, dict]:
    """File name → schema: the configuration, the run record, a claims folder's source, tables (by row), statements."""
    found = {"config": config.schema(), "run": run_record.schema(), "source": _source(), "claims": _row(),
             "statements": _statements()}  # fmt: skip
    return {f"{name}.schema.json": DRAFT | schema for name, schema in found.items()}


def _source() -> dict:
    schema = claims.Source.model_json_schema()
    # A key without a value is a key that is not there.
    for key in set(schema["properties"]) - set(schema["required"]):
        schema["properties"][key] = {"anyOf": [schema["properties"][key], {"type": "null"}]}
    return schema


def _row() -> dict:
    """A row of a CSV, whose fields are text; an optional field may be empty."""
    columns: dict[str, dict] = {name: {"type": "string"} for name in claims.COLUMNS}
    columns |= {name: IS_NAME for name in claims.NAMES}
    columns |= {name: {"enum": list(words)} for name, words in claims.WORDS.items()}
    columns["metric"] = {"type": "string", "minLength": 1}  # a study may add metrics, with units of their own
    columns["value"] = {"type": "string", "pattern": rf"^({claims.NUMBER.pattern})?$"}
    columns["selection"] = {"enum": [*claims.WORDS["selection"], ""]}
    for name, (_, must) in claims.WHOLE.items():
        columns[name] = {"type": "string", "pattern": "^[0-9]+$" if must else "^[0-9]*$"}
    needed = [name for name in claims.COLUMNS if name not in claims.OPTIONAL]
    return {"title": "Row of a table of claims", "type": "object", "properties": columns, "required": needed,
            "additionalProperties": False}  # fmt: skip


def _statements() -> dict:
    one = claims.Statement.model_json_schema()
    one["properties"]["check"] = {"enum": sorted(CHECKS)}
    one["allOf"] = [
        {"if": {"properties": {"check": {"const": name}}}, "then": {"properties": {"parameters": _parameters(check)}}}
        for name, check in sorted(CHECKS.items())
    ]
    return {"title": "Statements", "type": "array", "items": one}


def _parameters(check: Callable) -> dict:
    """What a check takes after the view of a source."""
    taken = list(inspect.signature(check).parameters.values())[1:]
    fields: dict[str, Any] = {p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in taken}
    schema = create_model(check.__name__, __config__=ConfigDict(extra="forbid"), **fields).model_json_schema()
    if "where" in fields:
        schema["properties"]["where"] = {"type": "object", "propertyNames": {"enum": [*GROUP, "metric"]}}
    return schema | {"description": (inspect.getdoc(check) or "").splitlines()[0]}
