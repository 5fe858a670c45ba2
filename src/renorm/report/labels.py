"""Labels and the order of things: from study.json and from the CSVs' own order, never from this code."""

import re
from dataclasses import dataclass

import pandas as pd

from renorm.core.metrics import Metric
from renorm.core.table_specs import GROUP
from renorm.report.inputs import Inputs
from renorm.study.labels import PLACE


@dataclass(frozen=True)
class Answers:
    """What was found about the claims of one source, split and selected epoch: of each cell one claim.

    `source`, `kind`: what tells these claims from the others of the data set, in words, empty where nothing needs to;
    `key`: the same for file names.
    """

    source: str
    kind: str
    key: tuple[str, ...]
    rows: pd.DataFrame

    def of(self, dataset: str, with_source: bool = True) -> str:
        """The data set's name with what tells these claims from its others."""
        return ", ".join(filter(None, (dataset, self.source if with_source else "", self.kind)))


class Names:
    """What a key is called in print, and which key comes first."""

    def __init__(self, inputs: Inputs):
        self.inputs = inputs
        self.labels = inputs.study.labels
        self.source_labels = {key: source.get("label", key) for key, source in inputs.published.items()}

    def label(self, axis: str, key: object) -> str:
        return self.metric(str(key)).label if axis == "metric" else self.labels.of(axis, str(key))

    def metric(self, key: str) -> Metric:
        return self.inputs.metrics[key]

    def metrics(self, frame: pd.DataFrame) -> list[str]:
        """The metrics in a table that say how good predictions are: the study's own first."""
        found = [key for key in dict.fromkeys(frame["metric"]) if self.metric(key).is_quality]
        return sorted(found, key=lambda key: key != self.inputs.primary.name)

    def terms(self, key: str = "") -> dict[str, str]:
        """What sentences call a metric, by default the study's: for the placeholders of captions.yaml."""
        metric = self.metric(key) if key else self.inputs.primary
        unit, points = ("percent", "percentage points") if metric.is_share else (metric.printed, metric.difference)
        return {
            "quality": metric.quality, "in_unit": f" in {unit}" if unit else "", "better": metric.comparative,
            "in_points": f" in {points}" if points else "", "lower": "lower" if metric.higher_is_better else "higher",
            "left": "left" if metric.higher_is_better else "right",
        }  # fmt: skip

    def source(self, key: str) -> str:
        return "this study" if key == self.inputs.name else self.source_labels.get(key, key)

    def arch(self, key: str) -> str:
        return self.label("arch", key)

    def dataset(self, key: str) -> str:
        return self.label("dataset", key)

    def norm(self, key: str) -> str:
        return self.label("norm", key)

    def side(self, comparison: dict, side: str) -> str:
        """What the `baseline` or the `method` of a comparison is called; empty where nothing is compared."""
        return self.labels.value(comparison["axis"], comparison[side]) if comparison else ""

    def comparison(self, comparison: dict) -> str:
        """The heading of a comparison."""
        return (
            comparison.get("title") or f"{self.side(comparison, 'method')} against {self.side(comparison, 'baseline')}"
        )

    def places(self, frame: pd.DataFrame, axis: str) -> list[tuple]:
        """The rows of a table about a comparison on `axis`, in order: (arch, norm, recipe) without what is compared."""
        found = dict.fromkeys(self.place(row, axis) for row in frame.to_dict("records"))
        ranks = [{key: i for i, key in enumerate(self.order(column, frame))} for column in PLACE]
        return sorted(found, key=lambda at: [rank.get(key, -1) for rank, key in zip(ranks, at, strict=True)])

    @staticmethod
    def place(row: dict, axis: str) -> tuple:
        """(arch, norm, recipe) of a row about a comparison on `axis`, with what is compared left empty."""
        return tuple("" if key == axis else row[key] for key in PLACE)

    def place_label(self, at: tuple, places: list[tuple]) -> str:
        """What tells a row from the others: the architecture, then norm and recipe where several are there."""
        several = [len({other[i] for other in places}) > 1 for i in range(len(PLACE))]
        words = [self.label(axis, key) for axis, key in zip(PLACE, at, strict=True)]
        shown = [word for i, word in enumerate(words) if word and (several[i] or (i == 0 and at[0]))]
        shown = shown or [word for word in words if word][:1]
        return shown[0] + (f" ({', '.join(shown[1:])})" if shown[1:] else "")

    def group(self, metric: str, epochs: float, several_metrics: bool = False) -> str:
        """The heading of a column group: the epochs, and the metric where a table holds more than one."""
        head = epochs_label(epochs)
        return f"{self.label('metric', metric)}, {head}" if several_metrics else head

    def order(self, axis: str, *frames: pd.DataFrame) -> list[str]:
        """Keys in the order of the study's labels (its author's order), the others behind as they first appear."""
        seen: dict[str, None] = {}
        for frame in frames:
            seen.update(dict.fromkeys(frame[axis]))
        known = self.inputs.study.recipes if axis == "recipe" else self.labels.on(axis)
        places = {key: place for place, key in enumerate(known)}
        return sorted(seen, key=lambda key: places.get(key, len(places)))

    def rows(self, frame: pd.DataFrame) -> list[tuple[str, str]]:
        """(arch, recipe) of a table's rows, in order."""
        pairs = dict.fromkeys(zip(frame["arch"], frame["recipe"], strict=True))
        archs, recipes = self.order("arch", frame), self.order("recipe", frame)
        return sorted(pairs, key=lambda pair: (archs.index(pair[0]), recipes.index(pair[1])))

    def row_label(self, pair: tuple[str, str], frame: pd.DataFrame) -> str:
        """The architecture, and the recipe where a table holds more than one."""
        return self.arch(pair[0]) + (f" ({self.label('recipe', pair[1])})" if frame["recipe"].nunique() > 1 else "")

    def norms(self, *frames: pd.DataFrame) -> list[str]:
        """Baseline and method first, so that the two rows to be compared stand next to each other."""
        found = self.order("norm", *frames)
        first = [norm for norm in (self.inputs.baseline, self.inputs.method) if norm in found]
        return first + [norm for norm in found if norm not in first]

    def answers(self, frame: pd.DataFrame) -> list[Answers]:
        """A data set's rows, apart by the claims that they answer: two papers may claim something of one cell."""
        answers = []
        several = frame["claim_source"].nunique() > 1
        for source in self.order_of_sources(frame["claim_source"]):
            rows, key = frame[frame["claim_source"] == source], (source,) if several else ()
            whose = f"claims of {self.source(source)}" if several else ""
            if not rows.duplicated([*GROUP, "metric", "source"]).any():
                answers.append(Answers(whose, "", key, rows))
                continue
            for (split, selection), here in rows.groupby(["split", "selection"], sort=False):
                kind = f"split {split}, epoch {selection}"
                answers.append(Answers(whose, kind, (*key, split, selection), here))
        return answers

    def sources(self, frame: pd.DataFrame) -> list[str]:
        """Originals, then reproductions in the study's order, this study last: the reading order."""
        return self.order_of_sources(frame["source"])

    def order_of_sources(self, column: pd.Series) -> list[str]:
        """The sources in a column, in the reading order."""
        found = list(dict.fromkeys(column))
        places = {key: place for place, key in enumerate(dict.fromkeys([*self.source_labels, *found]))}
        return sorted(found, key=lambda key: (key == self.inputs.name, places[key]))


def facets(at: tuple) -> dict[str, str]:
    """What the page's filters ask of the rows of a place: (arch, norm, recipe), of which some may be empty."""
    return {axis: key for axis, key in zip(PLACE, at, strict=True) if key}


def epochs_label(epochs: float) -> str:
    return "1 epoch" if epochs == 1 else f"{int(epochs)} epochs"


def slug(*parts: object) -> str:
    """An HTML id and a file name: lower-case letters, digits, dashes; whole floats lose their `.0`."""
    words = [str(int(part)) if isinstance(part, float) and part.is_integer() else str(part) for part in parts]
    return "-".join(filter(None, (re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words))) or "x"
