"""The first screen: four questions, answered with the sentences and counts of summary.csv and nothing else."""

from dataclasses import dataclass, field

import pandas as pd

from renorm.report import numbers
from renorm.report.inputs import Inputs
from renorm.report.names import Names
from renorm.report.tables.comparison import MARKS

QUESTIONS = (
    ("Does the claim hold?", ("comparison", "verdicts")),
    ("How sure is that?", ("superiority", "ladder", "consistency")),
    ("How complete is it?", ("cells", "completeness", "runs")),
    ("What did it cost?", ("timing", "cost")),
)


@dataclass
class Strip:
    """A bar of counts that add up to `of`: every cell that should be there has a place in it."""

    label: str
    of: str
    parts: list[dict] = field(default_factory=list)


@dataclass
class Answer:
    question: str
    lines: list[str]
    strips: list[Strip]


def answers(inputs: Inputs) -> list[Answer]:
    names, summary = Names(inputs), inputs["summary"]
    whole = summary[summary["dataset"] == ""]
    return [_answer(names, question, whole[whole["section"].isin(sections)]) for question, sections in QUESTIONS]


def _answer(names: Names, question: str, rows: pd.DataFrame) -> Answer:
    stripped = rows["section"].isin(["verdicts", "cells"])
    lines = [row["text"] for row in rows[~stripped].to_dict("records") if row["text"]]
    strips = [_strip(names, key, same) for key, same in rows[stripped].groupby(["section", "source"], sort=False)]
    return Answer(question, lines, [strip for strip in strips if strip.parts])


TONES = {**{name: name for name in MARKS}, "completed": "done", "diverged": "below", "failed": "below"}


def _strip(names: Names, key: tuple[str, str], rows: pd.DataFrame) -> Strip:
    section, source = key
    parts = [
        {
            "name": row["name"],
            "tone": TONES[row["name"]],
            "mark": MARKS.get(row["name"], ""),
            "text": numbers.count(row["value"]),
            "share": f"{100 * row['value'] / row['of']:.3f}",
        }
        for row in rows.to_dict("records")
        if row["name"] in TONES and numbers.known(row["value"]) and row["value"] > 0 and numbers.known(row["of"])
    ]
    label = names.source(source) if section == "verdicts" else "cells"
    return Strip(label, numbers.count(rows["of"].max()), parts)


def notes(inputs: Inputs, section: str) -> list[str]:
    """The sentences of summary.csv that belong under a section's heading: those about single datasets."""
    summary = inputs["summary"]
    rows = summary[(summary["section"] == section) & (summary["dataset"] != "")]
    return [text for text in rows["text"] if text]
