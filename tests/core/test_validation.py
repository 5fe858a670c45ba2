"""Documents that people write."""

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
