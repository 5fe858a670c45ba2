"""Statement checks: every published sentence against the paper's own tables, other reproductions, and this study."""

from collections import Counter
from typing import Any

from renorm.core.errors import suggest
from renorm.judging import statement_checks, summary
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Value, Values
from renorm.judging.pairing import Pair
from renorm.judging.statement_checks import Outcome
from renorm.study.claims import Statement

ROLES = ("own", "reproduction", "study")


def rows(inputs: Inputs, values: Values, pairs: list[Pair]) -> list[dict[str, Any]]:
    """The table statements.csv: statement x source, in the order of the claims folders and their statements."""
    found = []
    # Sentences about claims are about the papers' own: nobody wrote of what another reproduction printed.
    pairs = [pair for pair in pairs if pair.claim.source not in inputs.repeated and _speaks(pair)]
    for claims in inputs.published:
        statement_cells = frozenset(v.group for v in values.of(claims.source.name))
        for statement in claims.statements:
            for role, source in _sources(inputs, statement):
                own_pairs = [pair for pair in pairs if pair.value.source == source]
                seen = _seen(inputs, values, source)
                if role != "own" and statement_cells:
                    seen = [value for value in seen if value.group in statement_cells]
                    own_pairs = [pair for pair in own_pairs if pair.value.group in statement_cells]
                curves = inputs.histories if role == "study" else None
                view = statement_checks.View(
                    source, role == "own", inputs.settings, seen, own_pairs, statement_cells, curves,
                    next((one for one in inputs.comparisons if one.name == statement.comparison), None),
                )  # fmt: skip
                found.append(_row(inputs, statement, role, view))
    return found


def _speaks(pair: Pair) -> bool:
    """Whether sentences about reproduced values are about this one: how good predictions are, not what they took."""
    return pair.claim.value is not None and pair.claim.measure.is_quality


def _sources(inputs: Inputs, statement: Statement) -> list[tuple[str, str]]:
    """(role, source): the paper itself, every other published reproduction, this study.

    A sentence of scope `own` is about its source's own runs: nobody else can answer it.
    """
    own = statement.source
    if statement.scope == "own":
        return [("own", own)]
    others = [c.source.name for c in inputs.reproductions if c.source.name != own]
    return [("own", own), *(("reproduction", name) for name in others), ("study", inputs.study)]


def _seen(inputs: Inputs, values: Values, source: str) -> list[Value]:
    """A source's values as its readers see them: of each cell and metric one, never a quality on training data."""
    found = {}
    for value in values.of(source):
        answer = values.find(source, value.group, value.metric, value.measure.split, inputs.settings.selection)
        if answer is not None:
            found[value.group, value.metric] = answer
    return list(found.values())


def _row(inputs: Inputs, statement: Statement, role: str, view: statement_checks.View) -> dict[str, Any]:
    where = f"claims of {statement.source}: statements.yaml: {statement.id}"
    outcome = _outcome(inputs, statement, view, where)
    return {
        "statement_source": statement.source, "id": statement.id, "place": statement.place, "text": statement.text,
        "check": statement.check, "role": role, "source": view.source, "outcome": outcome.outcome,
        "counted": outcome.counted, "of": outcome.of, "found": outcome.found, "note": statement.note,
        "comparison": statement.comparison, "quote": statement.quote, "headline": statement.headline,
    }  # fmt: skip


def _outcome(inputs: Inputs, statement: Statement, view: statement_checks.View, where: str) -> Outcome:
    if not statement.comparison:
        return statement_checks.run(statement.check, view, statement.parameters, where)
    statement_checks.check_comparison(statement.check, where)
    if view.comparison is None:
        statement_checks.validate(statement.check, statement.parameters, where)
        names = [one.name for one in inputs.comparisons]
        text = f"the study has no comparison '{statement.comparison}': {suggest(statement.comparison, names)}"
        return Outcome(statement_checks.OPEN, None, None, text)
    return statement_checks.run(statement.check, view, statement.parameters, where)


def summarise(inputs: Inputs, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of summary.csv: how many sentences hold, by who was asked (the source) and by role."""
    out = []
    words = {outcome: outcome.replace(" ", "_") for outcome in statement_checks.OUTCOMES}
    for role in ROLES:
        part = [r for r in found if r["role"] == role]
        count = Counter(r["outcome"] for r in part)
        asked = {
            "own": "the papers' own tables",
            "reproduction": "other published reproductions",
            "study": "this study",
        }
        for outcome, name in words.items() if part else ():
            text = f"{count[outcome]} of {len(part)} statements: {outcome}, by {asked[role]}"
            source = inputs.study if role == "study" else ""
            out.append(summary.row("statements", source, "", f"{role}_{name}", count[outcome], len(part), text))
    return out
