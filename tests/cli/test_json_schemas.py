"""The schemas: those in the repository are the types, what is shipped is valid, and a mistake is not."""

import copy
import csv
import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from renorm.cli.json_schemas import schemas
from renorm.study import config


@pytest.fixture(scope="module")
def valid():
    """valid(name, document): does the schema `name` take it?"""
    made = {file.split(".")[0]: Draft202012Validator(document) for file, document in schemas().items()}
    for one in made.values():
        one.check_schema(one.schema)
    return lambda name, document: made[name].is_valid(document)


def test_the_repository_has_what_the_types_say(root):
    folder = root / "workflow/schemas"
    found = {path.name: json.loads(path.read_text()) for path in folder.iterdir()}
    assert found == schemas()  # `renorm schema --write workflow/schemas` brings them up to date


def test_what_is_shipped_is_valid(root, valid):
    for path in [root / "config.yaml", *(root / "config").glob("*.yaml")]:
        assert valid("config", config.load(path).model_dump()), path
    for folder in (root / "claims").iterdir():
        assert valid("source", yaml.safe_load((folder / "source.yaml").read_text())), folder
        assert valid("statements", yaml.safe_load((folder / "statements.yaml").read_text())), folder
        for path in folder.glob("*.csv"):
            with open(path, newline="") as file:
                assert all(valid("claims", row) for row in csv.DictReader(file)), path


def test_mistakes_are_not(root, valid):
    source = yaml.safe_load((root / "claims/ye2020/source.yaml").read_text())
    for change in ({"kind": "rumour"}, {"name": "Ye 2020"}, {"publisher": "x"}, {"year": "soon"}):
        assert not valid("source", source | change), change
    statements = yaml.safe_load((root / "claims/obadage2024/statements.yaml").read_text())
    number = next(i for i, one in enumerate(statements) if one["check"] == "verdict_count")
    for key, value in (("verdict", "good"), ("of", "134"), ("counted", 3), ("where", {"colour": "red"})):
        wrong = copy.deepcopy(statements)
        wrong[number]["parameters"][key] = value
        assert not valid("statements", wrong), key
    for change in ({"check": "feels_right"}, {"source": "me"}):
        assert not valid("statements", [statements[0] | change]), change
    with open(root / "claims/ye2020/table1.csv", newline="") as file:
        row = next(csv.DictReader(file))
    for change in ({"metric": ""}, {"value": "93,1"}, {"epochs": ""}, {"split": "dev"}, {"remark": ""}):
        assert not valid("claims", row | change), change
