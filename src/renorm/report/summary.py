"""The first screen: four questions, answered with the counts of summary.csv and nothing else."""

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
        "better": "better", "within": "within", "below": "below", "diverged": "below", "missing": "missing",
    },
    "equivalence": {"reproduced": "better", "inconclusive": "within", "not_reproduced": "below", "missing": "missing"},
    "method_vs_baseline": {"better": "better", "undecided": "within", "worse": "below", "missing": "missing"},
    "completeness": {"completed": "done", "diverged": "below", "failed": "below", "missing": "missing"},
}
QUESTIONS = (
    ("holds", ("comparison", "threshold_rule")),
    ("sure", ("equivalence", "method_vs_baseline")),
    ("complete", ("completeness",)),
    ("cost", ()),
)


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
    question: str
    lead: str
    lines: list[str]
    blocks: list[Block]


class Glance:
    """The counts of one study, looked up by section, source, dataset and name."""

    def __init__(self, inputs: Inputs):
        self.inputs, self.names = inputs, Names(inputs)
        self.words = captions()["glance"]
        summary = inputs["summary"]
        self.rows = {(r["section"], r["source"], r["dataset"], r["name"]): r for r in summary.to_dict("records")}
        self.sources = self.names.sources(summary)

    def answers(self) -> list[Answer]:
        leads = {"holds": self.lead_holds(), "sure": "", "complete": self.lead_complete(), "cost": self.lead_cost()}
        lines = {"holds": [], "sure": self.sure(), "complete": [], "cost": self.costs()}
        return [
            Answer(self.words["questions"][key], leads[key], lines[key], self.blocks(sections))
            for key, sections in QUESTIONS
        ]

    def find(self, section: str, source: str, name: str, dataset: str = ALL) -> dict | None:
        """A row with a value, or nothing."""
        row = self.rows.get((section, source, dataset, name))
        return row if row and formatting.known(row["value"]) else None

    # -- strips

    def blocks(self, sections: tuple[str, ...]) -> list[Block]:
        made = [Block(self.say(f"strip_{section}"), self.strips(section)) for section in sections]
        return [block for block in made if block.strips]

    def strips(self, section: str) -> list[Strip]:
        return [strip for source in self.sources if (strip := self.strip(section, source))]

    def strip(self, section: str, source: str, dataset: str = ALL) -> Strip | None:
        found = {name: self.find(section, source, name, dataset) for name in STRIPS[section]}
        of = max((row["of"] for row in found.values() if row), default=0)
        if not of:
            return None
        parts = [self.part(section, name, row, of) for name, row in found.items() if row and row["value"]]
        gain = self.find("comparison", source, "improvement_mean", dataset) if section == "comparison" else None
        note = self.say("improvement", mean=formatting.points(gain["value"])) if gain else ""
        return Strip(self.names.source(source), formatting.count(of), parts, note)

    def part(self, section: str, name: str, row: dict, of: float) -> dict:
        tone = STRIPS[section][name]
        mark = MARKS.get(name, "") if section == "threshold_rule" else ""
        share = f"{100 * row['value'] / of:.2f}"
        word = self.say(f"name_{section}_{name}") or name
        return {"name": word, "tone": tone, "mark": mark, "text": formatting.count(row["value"]), "share": share}

    # -- sentences

    def say(self, key: str, **values: object) -> str:
        method, baseline = self.names.norm(self.inputs.method), self.names.norm(self.inputs.baseline)
        return self.words.get(key, "").format(method=method, baseline=baseline, **values)

    def lead_holds(self) -> str:
        """The study's own count if it has one, else that of the last published source that was counted."""
        rows = [self.find("comparison", source, "measured") for source in self.sources]
        phrase = [row["text"] for row in rows if row and row["value"]]
        return phrase[-1] + "." if phrase else ""

    def lead_complete(self) -> str:
        row = self.find("completeness", self.inputs.name, "completed")
        if not row:
            return ""
        return self.say("lead_complete", value=formatting.count(row["value"]), of=formatting.count(row["of"]))

    def lead_cost(self) -> str:
        lead = [self.cost(source, "lead_cost") for source in self.sources]
        return next((line for line in reversed(lead) if line), "")

    def cost(self, source: str, key: str) -> str:
        names = ("ratio_geometric_mean", "ratio_minimum", "ratio_maximum", "known")
        rows = [self.find("runtime", source, name) for name in names]
        if not all(rows):
            return ""
        mean, low, high = (formatting.ratio(row["value"]) for row in rows[:3])
        known, of = formatting.count(rows[3]["value"]), formatting.count(rows[3]["of"])
        values = {"mean": mean, "low": low, "high": high, "of": of if known == of else f"{known} of {of}"}
        return self.say(key, **values, source=self.names.source(source))

    def costs(self) -> list[str]:
        lines = [self.cost(source, "line_cost") for source in self.sources]
        return [line for line in lines if line] + self.texts("convergence", ("time_ratio",)) + self.texts("cost")

    def sure(self) -> list[str]:
        tested = self.texts(
            "method_vs_baseline", ("probability_of_improvement", "sign_test_p"), only=self.inputs.name
        )
        bridges = self.texts("equivalence", ("not_reproduced_above", "expected_by_chance"))
        return tested + bridges + self.texts("repeat_consistency", ("consistent",))

    def findings(self) -> list[str]:
        """What the audit says of each source in which it found something."""
        rows = [self.find("audit", source, "findings") for source in self.sources]
        return [row["text"] for row in rows if row and row["value"]]

    def texts(self, section: str, names: tuple[str, ...] = (), dataset: str = ALL, only: str = "") -> list[str]:
        """The analysis' own sentences, source by source, each once."""
        sources = [only] if only else self.sources
        found = [
            row["text"]
            for source in sources
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
