"""The four questions of a study, each answered in a word and a sentence: what the page and `renorm verdict` print.

Three of them are asked of every comparison; the leading one's answers come first.

Thresholds of the words: docs/judging.md.
"""

from collections import Counter
from typing import Any

from renorm.core.table_specs import GROUP, columns
from renorm.judging import statistics
from renorm.judging.audit import RUNTIME
from renorm.judging.comparison import outcome
from renorm.judging.comparisons import Comparison
from renorm.judging.inputs import Inputs

Row = dict[str, Any]
HOLDS, MOSTLY, FAILS, OPEN = "holds", "holds mostly", "fails", "cannot say yet"
QUESTIONS = ("holds", "sure", "complete", "cost")
MOST = 0.9  # the share of the measured pairs, or of the planned cells, from which on it is (nearly) all of them
ENOUGH = 0.5  # the share of the planned pairs that must have been measured
SLOWER = 1.05  # the ratio of training times from which on the method is slower; its inverse: faster


def rows(inputs: Inputs, tables: dict[str, list[Row]]) -> list[Row]:
    """The table answers.csv; pairs count where a claim is about one of their cells, each once."""
    found = [row for one in inputs.comparisons for row in _of(inputs, tables, one)]
    if not found:
        text = "the study compares nothing: name what with what in `comparisons`"
        found = [answer(question, OPEN, None, 0, 0, text) for question in ("holds", "sure", "cost")]
    complete = _complete(inputs) if inputs.answering == inputs.study else _compared(inputs, tables)
    return [*found[:2], complete, *found[2:]]


def _of(inputs: Inputs, tables: dict[str, list[Row]], one: Comparison) -> list[Row]:
    pairs, tests = (_claimed(inputs, one, tables, name) for name in ("comparison", "method_vs_baseline"))
    rows = [_holds(inputs, one, tables, pairs), _sure(inputs, one, pairs, tests), _cost(inputs, one, tables)]
    return [row | {"comparison": one.name} for row in rows]


def _claimed(inputs: Inputs, one: Comparison, tables: dict[str, list[Row]], name: str) -> list[Row]:
    """The deciding pairs of the source that answers, with a cell that somebody made a claim about."""
    claimed = {_group(row) for row in tables["threshold_rule"] if row["source"] == inputs.answering}
    own = _own(inputs, one, tables[name])
    return [row for row in own if claimed & {_group(row), one.counterpart(_group(row))}]


def _own(inputs: Inputs, one: Comparison, found: list[Row]) -> list[Row]:
    answering = (row for row in found if row["source"] == inputs.answering and row["counted"])
    return [row for row in answering if row["comparison"] == one.name]


def _group(row: Row) -> tuple:
    return tuple(row[key] for key in GROUP)


def answer(question: str, verdict: str, count: float | None, measured: int, planned: int, text: str) -> Row:
    """A row of answers.csv, of no comparison."""
    return dict(zip(columns("answers"), ("", question, verdict, count, measured, planned, text), strict=True))


def _holds(inputs: Inputs, one: Comparison, tables: dict[str, list[Row]], pairs: list[Row]) -> Row:
    """By the sentences that the checked papers' `statements.yaml` marks as the headline, else by the pairs."""
    checked = {claims.source.name for claims in inputs.originals}
    asked = [row for row in tables["statements"] if row["headline"] and row["source"] == inputs.answering]
    asked = [row for row in asked if row["statement_source"] in checked]
    leads = one is inputs.comparisons[0]
    return _headline(asked) if leads and asked and pairs else _by_pairs(inputs, one, tables, pairs)


def _headline(asked: list[Row]) -> Row:
    """What the headline sentences are together; one that holds or fails within noise alone decides nothing for sure."""
    count = Counter(row["outcome"] for row in asked)
    holds, fails = count["holds"] + count["holds within noise"], count["fails"] + count["fails within noise"]
    tested = holds + fails
    if tested < ENOUGH * len(asked) or not tested:
        verdict = OPEN
    elif holds >= MOST * tested:
        verdict = HOLDS if count["holds"] >= MOST * tested else MOSTLY
    elif holds > fails:
        verdict = MOSTLY
    else:
        verdict = FAILS if count["fails"] > ENOUGH * fails else OPEN
    said = "; ".join(f"“{row['text'].rstrip('.')}”: {row['outcome']} ({row['found']})" for row in asked)
    return answer("holds", verdict, holds, tested, len(asked), said)


def _by_pairs(inputs: Inputs, one: Comparison, tables: dict[str, list[Row]], pairs: list[Row]) -> Row:
    if not pairs:
        return answer("holds", OPEN, None, 0, 0, _unclaimed(inputs, one, _own(inputs, one, tables["comparison"])))
    found = Counter(map(outcome, pairs))
    wins, measured = found["holds"], len(pairs) - found["missing"]
    text = _share(inputs, one, pairs)
    compared = measured - found["baseline_diverged"]
    if measured < ENOUGH * len(pairs) or not compared:
        return answer("holds", OPEN, wins, measured, len(pairs), text)
    share = wins / compared
    verdict = HOLDS if share >= MOST else MOSTLY if share > 0.5 else FAILS
    return answer("holds", verdict, wins, measured, len(pairs), text)


def _unclaimed(inputs: Inputs, one: Comparison, own: list[Row]) -> str:
    """A study whose cells nobody made a claim about says what it found, and that this tests no claim."""
    measured = any(row["holds"] is not None for row in own)
    text = "no claim is about a cell of this study"
    return f"{text}; here {_share(inputs, one, own)}" if measured else text


def _share(inputs: Inputs, one: Comparison, pairs: list[Row]) -> str:
    """In how many pairs the method is better; those whose baseline diverged have no two values to compare."""
    method, baseline = inputs.method(one), inputs.baseline(one)
    found, planned = Counter(map(outcome, pairs)), len(pairs)
    wins, lost, measured = found["holds"], found["baseline_diverged"], planned - found["missing"]
    compared = measured - lost
    if not measured:
        return f"no pair of {method} and {baseline} has been measured ({planned} planned)"
    whole = f" of {planned} planned so far" if measured < planned else ""
    if not compared:
        return f"{baseline} diverged and {method} did not in {_pairs(measured)}{whole}: no pair has two values"
    said = f"all {compared}" if wins == compared > 1 else f"{wins} of {compared}"
    better = f"{method} is {inputs.settings.primary.comparative} than {baseline}"
    more = f"; in {lost} more {baseline} diverged and {method} did not" if lost else ""
    return f"{better} in {said} measured pair{'s' * (compared != 1)}{whole}{more}"


def _pairs(count: int) -> str:
    return "the one measured pair" if count == 1 else f"all {count} measured pairs"


def _sure(inputs: Inputs, one: Comparison, pairs: list[Row], tests: list[Row]) -> Row:
    # A pair of which one side diverged in every run is decided, but by no test: it is in the sign test alone.
    found = Counter(row["outcome"] for row in tests if row["p_holm"] is not None)
    better, worse, tested = found["better"], found["worse"], sum(found.values())
    measured = sum(row["outcome"] != "missing" for row in tests)
    order = Counter(row["order"] for row in pairs)
    wins, losses = order[1], order[-1]
    if not measured:
        text = "no pair with a claim has been tested" if pairs else "no claim is about a cell of this study"
        return answer("sure", OPEN, None, 0, len(tests), text)
    p = statistics.sign_test(wins, losses)
    clear = p < inputs.settings.alpha
    if worse > better or (clear and losses > wins):
        verdict = FAILS
    elif not worse and better >= ENOUGH * measured:
        verdict = HOLDS
    else:
        verdict = MOSTLY if clear and wins > losses else OPEN
    text = "no pair has the runs for a test"
    if tested:
        text = f"tested pair by pair, {inputs.method(one)} is better in {better} of {tested} pairs, worse in {worse} "
        text += f"and undecided in {tested - better - worse}"
    text += f" ({measured - tested} without a test)" if 0 < tested < measured else ""
    text += f"; over all pairs, {wins} for and {losses} against"
    text += f", sign test p = {p:.2g}" if wins + losses else ""
    return answer("sure", verdict, better, measured, len(tests), text)


def _complete(inputs: Inputs) -> Row:
    count = Counter(cell["status"] for cell in inputs.cells)
    planned, done = len(inputs.cells), count["completed"] + count["diverged"]
    share = done / planned if planned else 0
    if not planned or not (done or count["failed"]):
        verdict = "nothing has run"
    else:
        verdict = "complete" if share == 1 else "mostly complete" if share >= MOST else "incomplete"
    rest = [f"{count[status]} {status}" for status in ("diverged", "failed", "missing") if count[status]]
    text = f"{count['completed']} of {planned} planned cells were trained to the end"
    return answer("complete", verdict, count["completed"], done, planned, text + "".join(f", {part}" for part in rest))


def _compared(inputs: Inputs, tables: dict[str, list[Row]]) -> Row:
    """Of a study that trains nothing: how many of the claimed values the reproduction has."""
    claimed = [row for row in tables["threshold_rule"] if row["source"] == inputs.answering]
    known = sum(row["verdict"] != "missing" for row in claimed)
    share = known / len(claimed) if claimed else 0
    verdict = (
        "nothing has run"
        if not known
        else "complete"
        if share == 1
        else "mostly complete"
        if share >= MOST
        else "incomplete"
    )
    label = inputs.source_label(inputs.answering)
    text = f"the study trains nothing; {known} of {len(claimed)} claimed values have one in {label}"
    return answer("complete", verdict, known, known, len(claimed), text)


def _cost(inputs: Inputs, one: Comparison, tables: dict[str, list[Row]]) -> Row:
    found = {
        row["name"]: row
        for row in tables["summary"]
        if (row["section"], row["source"], row["dataset"], row["comparison"])
        == ("runtime", inputs.answering, "", one.name)
    }
    if "ratio_geometric_mean" not in found:
        planned = int(found["known"]["of"]) if found else 0
        apart = " on one set-up" * _both_timed(inputs, one)
        return answer("cost", OPEN, None, 0, planned, f"no pair has been timed{apart}")
    mean, low, high = (found[f"ratio_{name}"]["value"] for name in ("geometric_mean", "minimum", "maximum"))
    known, planned = int(found["known"]["value"]), int(found["known"]["of"])
    verdict = "slower" if mean >= SLOWER else "faster" if mean <= 1 / SLOWER else "as fast"
    pairs = f"{known} pair{'s' * (known != 1)}" + (f" of {planned} planned" if known < planned else "")
    text = (
        f"{inputs.method(one)} takes {mean:.2f} times the training time of {inputs.baseline(one)} (geometric mean of "
        f"{pairs}, "
        f"from {low:.2f} to {high:.2f})"
    )
    return answer("cost", verdict, mean, known, planned, text + _doubts_of_time(inputs, one, tables))


def _doubts_of_time(inputs: Inputs, one: Comparison, tables: dict[str, list[Row]]) -> str:
    """On how many set-ups the runs were timed, and how many of the times the audit questions."""
    places = _set_ups(inputs, one)
    text = ""
    if len(places) > 1:
        named = ", ".join(sorted({f"{device}, {threads} threads" for device, _, threads, _ in places})[:3])
        text += f"; the runs were timed on {len(places)} set-ups ({named}), and only times of one are compared"
    found = sum(row["source"] == inputs.answering and row["kind"] in RUNTIME for row in tables["audit"])
    return text + (f"; the audit questions {found} of the times" if found else "")


def _set_ups(inputs: Inputs, one: Comparison) -> set[tuple]:
    """Where the runs of either side were timed; empty where those of another source answer."""
    if inputs.answering != inputs.study:
        return set()
    sides = (one.baseline, one.method)
    return {place for (group, _), place in inputs.set_ups.items() if one.value(group) in sides}


def _both_timed(inputs: Inputs, one: Comparison) -> bool:
    """Whether both sides of any pair were timed, wherever that was."""
    sides: dict[tuple, set[str]] = {}
    for group, _ in inputs.set_ups:
        if (side := one.value(group)) in (one.baseline, one.method):
            sides.setdefault(one.setting(group), set()).add(side)
    return any(len(found) == 2 for found in sides.values())
