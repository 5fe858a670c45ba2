"""What it took: seconds of training and testing, added up over every run that a source tells of."""

from typing import Any

from renorm.core.durations import duration
from renorm.core.metrics import SECONDS
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Values
from renorm.judging.summary import by_dataset, row

SPLITS = ("train", "test")
Part = dict[str, Any]


def summarise(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """Rows of summary.csv: seconds in all, `of` the runs that are behind them."""
    out = []
    for source, dataset, parts in by_dataset([*_own(inputs), *_published(inputs, values)]):
        totals = {split: [p for p in parts if p["split"] == split] for split in SPLITS}
        text = f"{inputs.source_label(source)}: {_sentence(totals)}"
        for split, total in totals.items():
            if total:
                out.append(row("cost", source, dataset, f"{split}_seconds", _seconds(total), _runs(total), text))
    return out


def _own(inputs: Inputs) -> list[Part]:
    """Every run of the study, diverged ones too: they cost as much."""
    frame = inputs.runs
    frame = frame[(frame.metric == SECONDS) & frame.value.notna()]
    return [
        {
            "source": inputs.study,
            "dataset": dataset,
            "split": split,
            "seconds": float(seconds),
            "runs": 1,
            "stated": True,
        }
        for dataset, split, seconds in zip(frame.dataset, frame.split, frame.value, strict=True)
    ]


def _published(inputs: Inputs, values: Values) -> list[Part]:
    """An average stands for as many runs as it is of; for one where nobody says."""
    known = [v for v in values if v.metric == SECONDS and v.source != inputs.study and v.mean is not None]
    return [
        {"source": v.source, "dataset": v.dataset, "split": v.split, "seconds": v.mean * (v.n or 1), "runs": v.n or 1,
         "stated": v.n is not None}
        for v in known
    ]  # fmt: skip


def _seconds(parts: list[Part]) -> float:
    # Sorted: the sum is the same to the last bit in whatever order the runs were read.
    return sum(sorted(part["seconds"] for part in parts))


def _runs(parts: list[Part]) -> int:
    return sum(part["runs"] for part in parts)


def _sentence(totals: dict[str, list[Part]]) -> str:
    return ", ".join(_total(f"{split}ing", parts) for split, parts in totals.items() if parts)


def _total(what: str, parts: list[Part]) -> str:
    if all(part["stated"] for part in parts):
        return f"{duration(_seconds(parts))} of {what} in {_runs(parts):,} runs"
    return f"at least {duration(_seconds(parts))} of {what} ({len(parts)} times, not all with their number of runs)"
