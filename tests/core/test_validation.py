"""Documents that people write."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from renorm.core import validation
from renorm.core.errors import RenormError


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_document_or_one_line(text):
    try:
        validation.parse_yaml(text, "c.yaml")
    except RenormError as error:
        assert str(error).startswith("c.yaml: ")


def test_shipped_yaml_has_no_aliases_or_doubles(root):
    for file in [root / "config.yaml", *sorted((root / "config").glob("*.yaml"))]:
        assert validation.parse_yaml(file.read_text(), file.name) == yaml.safe_load(file.read_text())


DISGUISED = {
    "020": "leading zeros: write 20", "-07": "leading zeros: write -7", "00": "leading zeros: write 0",
    "1:30": "a number of base 60", "1_000": "underscore in a number", "no": "a truth value: write false",
    "On": "a truth value: write true",
}  # fmt: skip


@pytest.mark.parametrize("text", DISGUISED)
def test_a_number_in_disguise_is_one_line(text):
    with pytest.raises(RenormError, match=DISGUISED[text]) as error:
        validation.parse_yaml(f"a: 1\nepochs: [{text}]\n", "s.yaml")
    assert str(error.value).startswith(f"s.yaml: line 2: {text}: ") and "\n" not in str(error.value)
    assert validation.parse_yaml(f"epochs: ['{text}']", "s.yaml") == {"epochs": [text]}


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("0.5", 0.5), ("-1", -1), ("true", True), ("08.5", 8.5)])
def test_what_reads_as_it_is_written_is_read(text, value):
    assert validation.parse_yaml(text, "s.yaml") == value
