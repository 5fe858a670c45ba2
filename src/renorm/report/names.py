"""Labels and the order of things: from study.json and from the CSVs' own order, never from this code."""

import re

import pandas as pd

from renorm.report.inputs import Inputs

METRICS = {"top1": "top-1", "top5": "top-5", "loss": "loss", "seconds": "seconds"}
PLURAL = {"arch": "archs", "dataset": "datasets", "norm": "norms", "source": "sources", "recipe": "recipes"}


class Names:
    """What a key is called in print, and which key comes first."""

    def __init__(self, inputs: Inputs):
        self.inputs = inputs
        self.labels = inputs.study.get("labels") or {}

    def label(self, axis: str, key: object) -> str:
        """Labels may stand in one flat mapping or in one per axis; an unlabelled key is its own name."""
        key = str(key)
        for group in (self.labels.get(axis), self.labels.get(PLURAL.get(axis, axis)), self.labels):
            if isinstance(group, dict) and isinstance(group.get(key), str):
                return group[key]
        return METRICS.get(key, key) if axis == "metric" else key

    def source(self, key: str) -> str:
        if key == self.inputs.name and self.label("source", key) == key:
            return "this study"
        return self.label("source", key)

    def arch(self, key: str) -> str:
        return self.label("arch", key)

    def dataset(self, key: str) -> str:
        return self.label("dataset", key)

    def norm(self, key: str) -> str:
        return self.label("norm", key)

    def group(self, metric: str, epochs: float, several_metrics: bool = False) -> str:
        """The heading of a column group: the epochs, and the metric where a table holds more than one."""
        head = epochs_label(epochs)
        return f"{self.label('metric', metric)}, {head}" if several_metrics else head

    def order(self, axis: str, *frames: pd.DataFrame) -> list[str]:
        """Keys in the order of their first appearance: that is the order of the published tables."""
        seen: dict[str, None] = {}
        for frame in frames:
            seen.update(dict.fromkeys(frame[axis]))
        return list(seen)

    def norms(self, *frames: pd.DataFrame) -> list[str]:
        """Baseline and method first, so that the two rows to be compared stand next to each other."""
        found = self.order("norm", *frames)
        first = [norm for norm in (self.inputs.baseline, self.inputs.method) if norm in found]
        return first + [norm for norm in found if norm not in first]

    def sources(self, frame: pd.DataFrame) -> list[str]:
        """Published sources first, this study last: the reading order of original → reproduction → here."""
        found = self.order("source", frame)
        return [s for s in found if s != self.inputs.name] + [s for s in found if s == self.inputs.name]


def epochs_label(epochs: float) -> str:
    return "1 epoch" if epochs == 1 else f"{int(epochs)} epochs"


def slug(*parts: object) -> str:
    """An HTML id and a file name: lower-case letters, digits, dashes; whole floats lose their `.0`."""
    words = [str(int(part)) if isinstance(part, float) and part.is_integer() else str(part) for part in parts]
    return "-".join(filter(None, (re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words))) or "x"
