"""`renorm claims check` finds every planted mistake at once, and nothing in what is right."""

import shutil

import pytest

from renorm.judging.statement_checks import validate
from renorm.study import config
from renorm.study.claims_check import check

HEADER = "source,table,page,dataset,arch,norm,recipe,epochs,metric,split,selection,value,unit,n,note\n"
ROW = "paper,Table 1,1,digits,tiny_vgg,{norm},base,{epochs},top1,test,final,{value},percent,1,\n"
STUDY = {
    "study": "s", "recipes": {"base": {}},
    "experiments": {"e": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm", "deconv"],
                          "recipe": ["base"], "epochs": [1, 2, 3], "seeds": [1]}},
}  # fmt: skip
GOOD = [ROW.format(norm=norm, epochs=n, value=90.25 + n) for norm in ("batch_norm", "deconv") for n in (1, 2, 3)]


@pytest.fixture
def found(tmp_path):
    def run(rows: list[str], statements: str = "", source: str = "paper") -> list[tuple[str, bool]]:
        folder = tmp_path / "paper"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "source.yaml").write_text(f"name: {source}\nlabel: P\ntitle: T\nkind: original\n")
        (folder / "table1.csv").write_text(HEADER + "".join(rows))
        if statements:
            (folder / "statements.yaml").write_text(statements)
        study = config.validate(STUDY)
        return [(f.line.removeprefix(f"{folder}/"), f.mistake) for f in check(folder, study, validate)]

    return run


def test_nothing_is_found_in_what_is_right(found):
    assert found(GOOD) == []


def test_all_mistakes_are_listed_at_once(found):
    rows = list(GOOD)
    rows[0] = rows[0].replace("percent", "percents")
    rows[1] = rows[1].replace("92.25", "92,25".replace(",", "."), 1).replace("top1", "top11")
    rows[2] = rows[2].replace("93.25", "193.25")
    rows.append(rows[3])
    lines = [line for line, mistake in found(rows) if mistake]
    assert len(lines) == 4
    assert lines[0].startswith("table1.csv:2: unit: unknown 'percents'") and "did you mean 'percent'?" in lines[0]
    assert lines[1].startswith("table1.csv:3: metric: unknown 'top11'") and "did you mean 'top1'?" in lines[1]
    assert lines[2].startswith("table1.csv:4: value: 193.25 is not an accuracy from 0 to 100")
    assert lines[3].startswith("table1.csv:8: digits/tiny_vgg/deconv/base/1/") and "is a duplicate of" in lines[3]


def test_a_misspelt_name_is_a_mistake_and_another_table_a_note(found):
    rows = [*GOOD, ROW.format(norm="decnov", epochs=1, value=90.25), ROW.format(norm="deconv", epochs=90, value=90.25)]
    assert found(rows) == [
        ("table1.csv:8: norm: 'decnov' is not in the study's grid: did you mean 'deconv'?", True),
        ("table1.csv:9: epochs: '90' is not in the study's grid: it is compared with no run", False),
    ]


def test_other_decimals_are_worth_a_look(found):
    ((line, mistake),) = found([*GOOD[:5], GOOD[5].replace("93.25", "93.2")])
    assert line == (
        "table1.csv: top1: 1 of 6 values do not have 2 decimals: compare them with the print: lines 7 (93.2)"
    )
    assert not mistake


def test_statements_and_the_source(found):
    statement = "- {id: a, text: It wins., place: p. 1, check: method_beats_baselin}\n"
    lines = [line for line, _ in found(GOOD, statement, source="papre")]
    assert any("name: 'papre' is not the folder's name" in line for line in lines)
    assert any("statements.yaml: a" in line and "did you mean 'method_beats_baseline'?" in line for line in lines)


def test_the_claims_that_are_shipped_have_no_mistakes(root):
    study = config.load(root / "config.yaml")
    for folder in (root / "claims").iterdir():
        assert [f.line for f in check(folder, study, validate) if f.mistake] == []
