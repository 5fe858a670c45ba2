"""What it took: seconds of training and testing of every run that a source reports, and the hours of a study's jobs."""

from typing import Any

from renorm.core.durations import duration
from renorm.core.metrics import SECONDS
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Values
from renorm.judging.summary import by_dataset, row

SPLITS = ("train", "test")
Part = dict[str, Any]


def summarise(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """Rows of summary.csv: seconds in all, `of` the runs that are behind them; hours, `of` the budget."""
    out = []
    for source, dataset, parts in by_dataset([*_own(inputs), *_published(inputs, values)]):
        totals = {split: [p for p in parts if p["split"] == split] for split in SPLITS}
        text = f"{inputs.source_label(source)}: {_sentence(totals)}"
        for split, total in totals.items():
            if total:
                out.append(row("cost", source, dataset, f"{split}_seconds", _seconds(total), _runs(total), text))
    return out + _occupied(inputs)


def _occupied(inputs: Inputs) -> list[dict[str, Any]]:
    """What the study's jobs have cost, and how much of a budget that is; nothing where there is neither."""
    found = []
    for total in (one for one in inputs.costs if one["experiment"] == "all"):
        hours, budget, jobs = float(total["hours"]), total["budget"], int(total["jobs"])
        if not (budget or jobs):
            continue
        text = f"spent {hours:,.2f}{f' of {float(budget):g}' if budget else ''} {total['unit']}"
        if jobs:
            text += f" in {jobs:,} jobs, {float(total['lost_hours']):,.2f} of them in jobs that did not complete"
        if unknown := int(total["unknown"]):
            text += f"; the hours of {unknown} jobs are not known"
        lacking = sum(cell["status"] in ("missing", "failed") for cell in inputs.cells)
        if budget and lacking:
            text += f"; {lacking} of {len(inputs.cells)} cells have no result"
        text = f"{inputs.source_label(inputs.study)}: {text}"
        found.append(row("cost", inputs.study, "", "device_hours", hours, float(budget) if budget else "", text))
    return found


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
    """An average counts as its number of runs; as one where that is not stated."""
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
