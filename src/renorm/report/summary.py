"""The first screen: four questions with the verdicts of answers.csv, and the counts of summary.csv behind them."""

from dataclasses import dataclass, field

from renorm.report import formatting
from renorm.report.figures.captions import captions
from renorm.report.inputs import Inputs
from renorm.report.labels import Names
from renorm.report.tables.comparison import MARKS

ALL = ""  # the dataset of a count over all datasets
# What the strips show, in reading order: the name in summary.csv → its tone. Zero counts take no place.
STRIPS = {
    "comparison": {"holds": "holds", "fails": "fails", "baseline_diverged": "within", "missing": "missing"},
    "threshold_rule": {
        **{"better": "better", "within": "within", "below": "below", "diverged": "below", "missing": "missing"},
        "not_judged": "missing",
    },
    "equivalence": {
        **{"reproduced": "better", "inconclusive": "within", "not_reproduced": "below", "missing": "missing"},
        "not_judged": "missing",
    },
    "method_vs_baseline": {"better": "better", "undecided": "within", "worse": "below", "missing": "missing"},
    "completeness": {"completed": "done", "diverged": "below", "failed": "below", "missing": "missing"},
    "statements": {
        **{"study_holds": "better", "study_holds_within_noise": "within", "study_fails_within_noise": "within"},
        **{"study_fails": "below", "study_not_testable": "missing"},
    },
}
# question → the study's own strips in sight, the strips behind "more", and the sentences there: section → names.
QUESTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "holds": (
        ("comparison", "statements"),
        ("comparison", "threshold_rule"),
        {"equivalence": ("not_reproduced_above",)},
    ),
    "sure": (
        ("method_vs_baseline",),
        ("method_vs_baseline", "equivalence"),
        {
            "method_vs_baseline": (*("probability_of_improvement", "mean_improvement", "sign_test_p"),),
            "equivalence": ("not_reproduced_above", "expected_by_chance"),
            "repeat_consistency": ("consistent",),
        },
    ),
    "complete": (("completeness",), (), {"claims": ("without_cell",)}),
    "cost": ((), (), {"runtime": ("ratio_geometric_mean",), "convergence": ("time_ratio",), "cost": ()}),
}
# The words of answers.csv → the tone in which they are printed.
TONES = {
    **{"holds": "better", "holds mostly": "within", "fails": "below", "complete": "better"},
    **{"mostly complete": "within", "incomplete": "below"},
}


@dataclass
class Strip:
    """A bar of counts within `of`: everything that should be there has a place in it."""

    label: str
    of: str
    parts: list[dict] = field(default_factory=list)
    note: str = ""


@dataclass
class Block:
    title: str
    strips: list[Strip]


@dataclass
class Answer:
    """`verdict` and `text` are in sight with the `strips`; `blocks` and `lines` are what one asks for."""

    key: str
    question: str
    verdict: str
    tone: str
    text: str
    strips: list[Strip]
    blocks: list[Block]
    lines: list[str]


class Glance:
    """The answers and counts of one study, looked up by section, source, dataset and name."""

    def __init__(self, inputs: Inputs):
        self.inputs, self.names = inputs, Names(inputs)
        self.words = captions()["glance"]
        summary = inputs["summary"]
        leading = ("", inputs.leading.get("name", ""))
        summary = summary[summary["comparison"].isin(leading)]
        self.rows = {(r["section"], r["source"], r["dataset"], r["name"]): r for r in summary.to_dict("records")}
        self.sources = self.names.sources(summary)

    def answers(self) -> list[Answer]:
        leading = ("", self.inputs.leading.get("name", ""))
        rows = (row for row in self.inputs["answers"].to_dict("records") if row["comparison"] in leading)
        given = {row["question"]: row for row in rows}
        return [self.answer(key, given.get(key)) for key in QUESTIONS]

    def answer(self, key: str, row: dict | None) -> Answer:
        sight, behind, sentences = QUESTIONS[key]
        own = [self.strip(section, self.inputs.name) for section in sight]
        strips = [strip for strip in own if strip]
        for strip, section in zip(strips, [s for s, made in zip(sight, own, strict=True) if made], strict=True):
            strip.label = self.say(f"strip_{section}")
        lines = [line for section, names in sentences.items() for line in self.texts(section, names)]
        blocks = [block for section in behind if (block := self.block(section, section in sight))]
        verdict, text = (row["verdict"], row["text"]) if row else ("", self.words["unknown"])
        return Answer(key, self.words["questions"][key], verdict, TONES.get(verdict, ""), text, strips, blocks, lines)

    def find(self, section: str, source: str, name: str, dataset: str = ALL) -> dict | None:
        """A row with a value, or nothing."""
        row = self.rows.get((section, source, dataset, name))
        return row if row and formatting.known(row["value"]) else None

    def block(self, section: str, shown: bool) -> Block | None:
        """The strips of a section, of the published sources alone where the study's own is in sight."""
        sources = [source for source in self.sources if not (shown and source == self.inputs.name)]
        strips = [strip for source in sources if (strip := self.strip(section, source))]
        return Block(self.say(f"strip_{section}"), strips) if strips else None

    def strip(self, section: str, source: str, dataset: str = ALL) -> Strip | None:
        found = {name: self.find(section, source, name, dataset) for name in STRIPS[section]}
        of = max((row["of"] for row in found.values() if row), default=0)
        if not of:
            return None
        parts = [self.part(section, name, row, of) for name, row in found.items() if row and row["value"]]
        gain = self.find("comparison", source, "improvement_mean", dataset) if section == "comparison" else None
        note = (
            self.say(
                "improvement", mean=self.inputs.primary.difference_text(gain["value"]).replace("-", formatting.MINUS)
            )
            if gain
            else ""
        )
        return Strip(self.names.source(source), formatting.count(of), parts, note)

    def part(self, section: str, name: str, row: dict, of: float) -> dict:
        tone = STRIPS[section][name]
        mark = MARKS.get(name, "") if section == "threshold_rule" else ""
        share = f"{100 * row['value'] / of:.2f}"
        word = self.say(f"name_{section}_{name}") or name
        return {"name": word, "tone": tone, "mark": mark, "text": formatting.count(row["value"]), "share": share}

    def say(self, key: str, **values: object) -> str:
        method, baseline = (self.names.side(self.inputs.leading, side) for side in ("method", "baseline"))
        return self.words.get(key, "").format(method=method, baseline=baseline, **self.names.terms(), **values)

    def findings(self) -> list[str]:
        """What the audit says of this study's own runs."""
        row = self.find("audit", self.inputs.name, "findings")
        return [row["text"]] if row and row["value"] else []

    def texts(self, section: str, names: tuple[str, ...] = (), dataset: str = ALL) -> list[str]:
        """The judge's own sentences, source by source, each once."""
        found = [
            row["text"]
            for source in self.sources
            for row in self.rows.values()
            if (row["section"], row["source"], row["dataset"]) == (section, source, dataset)
            if row["text"] and (not names or row["name"] in names)
        ]
        return list(dict.fromkeys(found))

    def ranges(self, section: str) -> list[str]:
        """The sentences that belong under a section's heading, dataset by dataset."""
        if section != "repeat_consistency":
            return []
        lines = []
        for dataset in self.names.order("dataset", self.inputs["repeat_consistency"]):
            for text in self.texts("repeat_consistency", ("minimum",), dataset):
                lines.append(f"{self.names.dataset(dataset)}, {text}")
        return lines
