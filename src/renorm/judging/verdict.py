"""`renorm verdict`: what a judged study found, for programs; the same words and numbers that its page prints."""

from pathlib import Path
from typing import Any

from renorm.core.errors import RenormError, suggest
from renorm.core.table_specs import TABLES
from renorm.judging.answers import QUESTIONS
from renorm.study import description
from renorm.study.claims import CLAIM

VERSION = 1  # of the schema: raised when a key changes its meaning or goes
HEADLINE = "headline"  # another name for the first question


def verdict(folder: str | Path) -> dict[str, Any]:
    """The verdicts of the judged study in `folder`.

    Returns:
        `schema`, `study`, `headline` (the word for the first question), `questions` (verdict, counts and sentence by
        key, of the leading comparison), `comparisons` (the same of each, by name), `statements` (outcome per published
        sentence) and `claims` (per claimed value: outcome, `interval` of the mean in the metric's unit,
        runs).

    Raises:
        RenormError: A table is not there or cannot be read.
    """
    folder = Path(folder)
    study = description.read(folder).study
    rows = _read(folder, "answers")
    leading = next((row["comparison"] for row in rows if row["comparison"]), "")
    questions = _questions(rows, "", leading)
    missing = [key for key in QUESTIONS if key not in questions]
    if missing:
        raise RenormError(f"{folder / 'answers.csv'}: question '{missing[0]}' is missing; run `renorm judge` again")
    statements = [row for row in _read(folder, "statements") if row["role"] == "study"]
    keys = ("statement_source", "id", "text", "headline", "outcome", "counted", "of", "found")
    return {
        "schema": VERSION,
        "study": study,
        HEADLINE: questions[QUESTIONS[0]]["verdict"],
        "questions": questions,
        "comparisons": {name: _questions(rows, name) for name in dict.fromkeys(r["comparison"] for r in rows) if name},
        "statements": [{key: row[key] for key in keys} | {"headline": row["headline"] == "true"} for row in statements],
        "claims": _claims(folder, study),
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The four answers, one line each, and behind their names those of further comparisons that have pairs here."""
    said = [(key, row) for key, row in found["questions"].items()]
    further = list(found["comparisons"].items())[1:]
    said += [
        (f"{name}.{key}", row)
        for name, questions in further
        if any(row["planned"] for row in questions.values())
        for key, row in questions.items()
    ]
    return [f"{key}: {row['verdict']}: {row['text']}" for key, row in said]


def fails(found: dict[str, Any], conditions: list[str]) -> list[str]:
    """Those of the conditions `question: verdict`, or `comparison.question: verdict`, that are met.

    Raises:
        RenormError: A condition is not of that form or names no question.
    """
    met = []
    for condition in conditions:
        key, colon, word = (part.strip() for part in condition.partition(":"))
        if not colon or not word:
            raise RenormError(f"verdict: --fail-if: '{condition}': write 'question: verdict', e.g. 'headline: fails'")
        said = {HEADLINE: found[HEADLINE]} | {name: row["verdict"] for name, row in found["questions"].items()}
        for name, questions in found["comparisons"].items():
            said |= {f"{name}.{question}": row["verdict"] for question, row in questions.items()}
        if key not in said:
            raise RenormError(f"verdict: --fail-if: unknown question '{key}': {suggest(key, said)}")
        met += [condition] if said[key] == word else []
    return met


def _questions(rows: list[dict[str, Any]], *comparisons: str) -> dict[str, dict[str, Any]]:
    """Question → its row without the question and the comparison, in the order in which they are asked."""
    found = {row["question"]: row for row in rows if row["comparison"] in comparisons}
    keep = {"verdict", "count", "measured", "planned", "text"}
    return {key: {k: v for k, v in found[key].items() if k in keep} for key in QUESTIONS if key in found}


def _claims(folder: Path, study: str) -> list[dict[str, Any]]:
    """The study's own value for every claim, with both verdicts; one that is not judged has the reason."""
    key = ("claim_source", *CLAIM, "source", "table")
    published = {tuple(row[part] for part in key): row["verdict"] for row in _read(folder, "threshold_rule")}
    found = []
    for row in _read(folder, "equivalence"):
        if row["source"] == study:
            ends = [row["mean_low"], row["mean_high"]]
            found.append(
                {part: row[part] for part in ("claim_source", "table", *CLAIM, "claimed", "value")}
                | {"outcome": row["verdict"], "threshold_rule": published.get(tuple(row[part] for part in key))}
                | {"interval": None if None in ends else ends, "n": row["n"], "n_expected": row["n_expected"]}
                | {"reason": row["reason"]}
            )
    return found


def _read(folder: Path, name: str) -> list[dict[str, Any]]:
    """A table's rows with numbers as numbers and empty fields of numbers as None."""
    spec = TABLES[name]
    kinds = {column.name: column.kind for column in spec.columns}
    return [
        {key: _typed(value, kinds.get(key, "text")) for key, value in row.items()}
        for row in spec.read(folder / spec.file)
    ]


def _typed(value: str, kind: str) -> Any:
    if kind in ("number", "count"):
        number = float(value) if value.strip() else None
        return int(number) if number is not None and kind == "count" else number
    return value
