"""Published values beside the cells that their authors ran: experiments that say so with `published_as`."""

from collections.abc import Iterable
from typing import Any

from renorm.core.table_specs import GROUP
from renorm.judging import equivalence
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values
from renorm.judging.pairing import Claim, Pair, answer, claims_of, columns_of

SIDES = ("as_published", "as_run")
CANNOT_SAY = "cannot say yet"
# (the verdict on the cell as it was published, the one on the cell that was run) → which of the two agrees
FINDINGS = {
    ("reproduced", "reproduced"): "both",
    ("reproduced", "not reproduced"): "as published",
    ("not reproduced", "reproduced"): "as run",
    ("not reproduced", "not reproduced"): "neither",
}


def rows(inputs: Inputs, values: Values) -> list[dict[str, Any]]:
    """The table published_as.csv: every published quality of a cell for which this study has the one that was run.

    Both cells get the equivalence verdict on the same published value. Values of every source count, reproductions
    included: they ran the same code.
    """
    cases = list(_cases(inputs, values))
    pairs = [Pair(claim, value) for claim, *found in cases for value in found if value]
    verdicts = iter(equivalence.rows(inputs, values, pairs))
    return [_row(claim, other, [next(verdicts) if v else {} for v in (value, other)]) for claim, value, other in cases]


def finding(published: str, run: str) -> str:
    """Which of two cells agrees with a published value.

    Args:
        published: equivalence verdict on the cell as it was published; empty where the study does not have it.
        run: that on the cell that was run.

    Returns:
        `as published`, `as run`, `both`, `neither`; `not as published` or `not as run` where one is ruled out and
        nothing is known of the other; else `cannot say yet`.
    """
    if (published, run) in FINDINGS:
        return FINDINGS[published, run]
    if "not reproduced" in (published, run):
        return "not as published" if published == "not reproduced" else "not as run"
    return CANNOT_SAY


def _cases(inputs: Inputs, values: Values) -> Iterable[tuple[Claim, Value | None, Value]]:
    """(published value, this study's of the cell as published, that of each cell that was run as it)."""
    run = _run_as(inputs)
    for claim in claims_of(inputs, inputs.published):
        if claim.measure.is_quality and claim.value is not None:
            for group in run.get(claim.group, ()):
                other = answer(inputs, values, claim, inputs.study, group)
                if other and (other.mean is not None or other.all_diverged):
                    yield claim, answer(inputs, values, claim, inputs.study, claim.group), other


def _run_as(inputs: Inputs) -> dict[tuple, list[tuple]]:
    """Cell as published → the cells of the grid that were run as it; cells without their seeds."""
    found: dict[tuple, dict[tuple, None]] = {}
    for cell in inputs.cells:
        for name in (cell.get("experiments") or "").split(";"):
            if changes := inputs.published_as.get(name):
                published = tuple(changes.get(axis, cell[axis]) for axis in GROUP)
                found.setdefault(published, {})[tuple(cell[axis] for axis in GROUP)] = None
    return {published: list(groups) for published, groups in found.items()}


def _row(claim: Claim, other: Value, verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    row = columns_of(claim) | {f"run_{axis}": getattr(other, axis) for axis in GROUP if axis != "epochs"}
    for side, verdict in zip(SIDES, verdicts, strict=True):
        row |= {f"{side}_{key}": verdict.get(key) for key in ("value", "sd", "n", "verdict", "reason")}
    return row | {"finding": finding(*(verdict.get("verdict", "") for verdict in verdicts))}
