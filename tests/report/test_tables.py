"""Tables before they become HTML: every column is explained, and a row that a phone cannot hold is a card."""

from renorm.report import formatting
from renorm.report.inputs import load
from renorm.report.tables import build
from renorm.report.tables.model import Cell, text
from renorm.report.tables.model import flat as flat_table

# Headings whose values are made of several columns, or of none: how many runs, where, which cell.
COMPOSED = {"Runs", "Where", "Cell"}


def test_every_column_is_explained_by_its_specification(full):
    tables = [table for table in build(load(full)) if table.section != "sources"]
    assert len({table.spec for table in tables}) > 6
    for table in tables:
        unexplained = {head.text for row in table.heads for head in row if not table.meaning(head)}
        assert unexplained <= COMPOSED, table.id
        assert all(heads and meaning for heads, _, meaning in table.help)
        columns = [column for _, column, _ in table.help]
        assert len(columns) == len(set(columns))


def test_headings_of_one_column_share_a_line(full):
    table = next(table for table in build(load(full)) if table.section == "own")
    assert table.help[1:] == [
        ("1 epoch, 20 epochs, 100 epochs", "epochs", "epochs planned"),
        ("BN, ND", "value", "the mean"),
    ]


def test_a_card_names_the_group_in_front_of_its_first_value(full):
    table = next(table for table in build(load(full)) if table.id == "comparison-cifar10")
    assert table.cards and len(table.labels) == len(table.columns)
    assert table.labels[0] == "1 epoch: claimed" and ":" not in table.labels[1]


def test_only_what_a_phone_cannot_hold_becomes_cards():
    def of(words: str) -> bool:
        return flat_table("x", "x", "x", {"a": "", "b": ""}, [[text("row"), Cell(words)]]).cards

    assert not of("12.3") and of("a long sentence that is wider than any phone can show")


def test_sentences_and_flags_are_set_as_text():
    said = formatting.sentence("-9.69 points (-17.2%) over 2024-11, x-2: seed-1")
    assert said == "−9.69 points (−17.2\u00a0%) over 2024-11, x-2: seed-1"
    assert formatting.flags("above_claim;near_perfect") == "above claim, near perfect"
