"""Every count and range that a page prints, so that the report computes nothing."""

from collections import Counter
from typing import Any

from renorm.core.metrics import TINY
from renorm.core.table_specs import columns
from renorm.judging.audit import NOT_CHECKED, titled
from renorm.judging.comparison import outcome
from renorm.judging.comparisons import Comparison
from renorm.judging.inputs import STATUS, Inputs
from renorm.judging.pairing import NOT_JUDGED
from renorm.judging.runtime import geometric_mean
from renorm.study.claims import without_cell

Row = dict[str, Any]


def row(section: str, source: str, dataset: str, name: str, value: Any, of: Any, text: str) -> Row:
    """A row of summary.csv, of no comparison."""
    return dict(zip(columns("summary"), (section, source, dataset, "", name, value, of, text), strict=True))


def by_dataset(rows: list[Row]):
    """(source, dataset, rows) for every source: all of it first (dataset empty), then each data set."""
    for source in sorted({r["source"] for r in rows}):
        own = [r for r in rows if r["source"] == source]
        yield source, "", own
        for dataset in sorted({r["dataset"] for r in own}):
            yield source, dataset, [r for r in own if r["dataset"] == dataset]


def completeness(inputs: Inputs) -> list[Row]:
    """How much of the grid has run."""
    found = []
    cells = [{"source": inputs.study, **cell} for cell in inputs.cells]
    for source, dataset, part in by_dataset(cells):
        count = Counter(cell["status"] for cell in part)
        for status in STATUS:
            text = f"{count[status]} of {len(part)} cells {status}"
            found.append(row("completeness", source, dataset, status, count[status], len(part), text))
    return found


def claims(inputs: Inputs) -> list[Row]:
    """How many claims of each original source name no cell of the grid, with one of them; none is not said."""
    found = []
    for source in () if inputs.own_cells else inputs.originals:
        if lost := without_cell(source, inputs.grid):
            found.append(row("claims", source.source.name, "", "without_cell", lost.count, lost.of, lost.line))
    return found


def threshold_rule(inputs: Inputs, rows: list[Row]) -> list[Row]:
    """The counts behind the sentences of the published rule."""
    settings = inputs.settings
    limit = settings.threshold_text(settings.primary)
    found = []
    for source, dataset, part in by_dataset(rows):
        count = Counter(r["verdict"] for r in part)
        lower = "lower" if _all_higher(inputs, part) else "worse"
        count["reproduced"] = count["better"] + count["within"]
        count["equal"] = sum(r["change"] is not None and abs(r["change"]) <= 1e-9 for r in part)
        words = {
            "better": "better than claimed", "within": f"not better, {lower} by at most {limit}",
            "below": f"{lower} by more than {limit}", "diverged": "diverged in every run",
            "missing": "without a value",
            "reproduced": f"better, or {lower} by at most {limit}",
            "equal": "equal to the claim in every printed digit",
        }  # fmt: skip
        if count[NOT_JUDGED]:
            words[NOT_JUDGED] = "not judged: the claimed run diverged"
        for name, phrase in words.items():
            text = f"{inputs.source_label(source)}: {count[name]} of {len(part)} claimed values {phrase}"
            key = name.replace(" ", "_")
            found.append(row("threshold_rule", source, dataset, key, count[name], len(part), text))
    return found


def _all_higher(inputs: Inputs, rows: list[Row]) -> bool:
    """Whether more is better of every metric in the rows."""
    return all(inputs.settings.metrics[name].higher_is_better for name in {r["metric"] for r in rows})


def comparison(inputs: Inputs, rows: list[Row]) -> list[Row]:
    """In how many pairs the method beats the baseline, and by how much; each pair of cells counts once."""
    found = []
    for one in inputs.comparisons:
        own = _comparison(inputs, one, [r for r in rows if r["counted"] and r["comparison"] == one.name])
        found += [r | {"comparison": one.name} for r in own]
    return found


def _comparison(inputs: Inputs, one: Comparison, rows: list[Row]) -> list[Row]:
    found = []
    method, baseline = inputs.method(one), inputs.baseline(one)
    words = {
        "holds": f"{method} beats {baseline} in {{}} pairs",
        "fails": f"{method} does not beat {baseline} in {{}} pairs",
        "baseline_diverged": f"{baseline} diverged where {method} has a value in {{}} pairs",
        "missing": "{} pairs without a value",
    }
    for source, dataset, part in by_dataset(rows):
        label = inputs.source_label(source)
        count = Counter(outcome(r) for r in part)
        for name, phrase in words.items():
            text = f"{label}: {phrase.replace('{}', f'{count[name]} of {len(part)}')}"
            found.append(row("comparison", source, dataset, name, count[name], len(part), text))
        found.append(row("comparison", source, dataset, "measured", len(part) - count["missing"], len(part),
                         _measured(inputs, one, count, len(part), label)))  # fmt: skip
        words_of = inputs.settings.primary.difference_text
        # Where `order` is 0 or against it, the mean of one side's finished runs leaves out that more of them diverged.
        gains = [r["improvement"] for r in part if r["improvement"] is not None and (
            r["order"] or abs(r["improvement"]) <= TINY)]  # fmt: skip
        for name, value in _spread("improvement", gains):
            text = (
                f"{label}: {name.replace('_', ' ')} {words_of(value)} over {len(gains)} pair{'s' * (len(gains) != 1)}"
            )
            found.append(row("comparison", source, dataset, name, value, len(part), text))
    return found


def _measured(inputs: Inputs, one: Comparison, count: Counter, planned: int, label: str) -> str:
    """The central count over the pairs that have an answer, with what is still to come beside it."""
    method, baseline = inputs.method(one), inputs.baseline(one)
    measured = planned - count["missing"]
    rest = f" measured so far ({planned} planned)" if count["missing"] else ""
    if not measured:
        return f"no pair of {method} and {baseline} has been measured ({planned} planned) in {label}"
    holds, lost = count["holds"], count["baseline_diverged"]
    compared = measured - lost
    if not compared:
        share = "the one pair" if measured == 1 else f"all {measured} pairs"
        return f"{baseline} diverged and {method} did not in {share}{rest} in {label}: no pair has two values"
    share = {1: "the one pair", 2: "both of the 2 pairs"}.get(compared, f"all {compared} pairs")
    phrase = f"{holds} of {'the ' * bool(rest)}{compared} pair{'s' * (compared != 1)}"
    phrase = share if holds == compared else phrase
    more = f"; in {lost} more {baseline} diverged and {method} did not" if lost else ""
    comparative = inputs.settings.primary.comparative
    return f"{method} is {comparative} than {baseline} in {phrase}{rest} in {label}{more}"


def _spread(name: str, values: list[float]) -> list[tuple[str, float]]:
    if not values:
        return []
    return [
        (f"{name}_mean", sum(values) / len(values)),
        (f"{name}_minimum", min(values)),
        (f"{name}_maximum", max(values)),
    ]


def repeat_consistency(inputs: Inputs, rows: list[Row]) -> list[Row]:
    """The range of the squared deviations, as published per data set."""
    found = []
    for source, dataset, part in by_dataset(rows):
        known = [r for r in part if r["deviation"] is not None]
        if not known:
            continue
        low, high = min(r["deviation"] for r in known), max(r["deviation"] for r in known)
        bound = " (lower bounds: only averages are known)" if any(r["reported_as"] == "average" for r in known) else ""
        text = f"{inputs.source_label(source)}: squared deviation from {low:.2f} to {high:.2f}{bound}"
        found.append(row("repeat_consistency", source, dataset, "minimum", low, len(part), text))
        found.append(row("repeat_consistency", source, dataset, "maximum", high, len(part), text))
        good = sum(r["consistent"] for r in known)
        text = f"{inputs.source_label(source)}: {good} of {len(part)} values consistent (deviation below "
        text += f"{inputs.settings.consistency_threshold:g}), {len(part) - len(known)} with fewer than two runs or "
        text += "an unstated number of them"
        found.append(row("repeat_consistency", source, dataset, "consistent", good, len(part), text))
    return found


def runtime(inputs: Inputs, rows: list[Row]) -> list[Row]:
    """The cost of the method: geometric mean and range of the ratios of training time, all and per epochs."""
    found = []
    for one in inputs.comparisons:
        pairs = [r for r in rows if r["comparison"] == one.name and r["axis_value"] == one.method]
        for source, dataset, part in by_dataset(pairs):
            for epochs in ("", *sorted({r["epochs"] for r in part})):
                some = [r for r in part if epochs in ("", r["epochs"])]
                found += [r | {"comparison": one.name} for r in _ratios(inputs, one, source, dataset, epochs, some)]
    return found


def _ratios(inputs: Inputs, one: Comparison, source: str, dataset: str, epochs, part: list[Row]) -> list[Row]:
    """`known` counts the pairs with a ratio; `of` is the pairs expected, in every row."""
    ratios = [r["ratio"] for r in part if r["ratio"] is not None]
    tail, when = (f"_e{epochs}", f" at {epochs} epoch{'s' * (epochs != 1)}") if epochs else ("", "")
    head = f"{inputs.source_label(source)}: training time of {inputs.method(one)} over "
    head += f"{inputs.baseline(one)}{when}"
    numbers: dict[str, tuple[float | None, str]] = {"known": (len(ratios), "known")}
    if ratios:
        numbers |= {
            "ratio_geometric_mean": (geometric_mean(ratios), "geometric mean {:.2f}"),
            "ratio_minimum": (min(ratios), "at least {:.2f}"),
            "ratio_maximum": (max(ratios), "at most {:.2f}"),
            "slower": (sum(r > 1 for r in ratios), "longer in {}"),
        }
    over = f"({len(ratios)} of {len(part)} pairs)"
    return [
        row("runtime", source, dataset, name + tail, value, len(part), f"{head}: {phrase.format(value)} {over}")
        for name, (value, phrase) in numbers.items()
    ]


def equivalence(inputs: Inputs, rows: list[Row]) -> list[Row]:
    """The equivalence verdicts, what chance would give, and how many values carry a warning."""
    found = []
    for source, dataset, part in by_dataset(rows):
        label, count = inputs.source_label(source), Counter(r["verdict"] for r in part)
        verdicts = ["reproduced", "not reproduced", "inconclusive", "missing"]
        for verdict in verdicts + [NOT_JUDGED] * bool(count[NOT_JUDGED]):
            text = f"{label}: {count[verdict]} of {len(part)} claimed values {verdict}"
            name = verdict.replace(" ", "_")
            found.append(row("equivalence", source, dataset, name, count[verdict], len(part), text))
        found += _direction(inputs, source, dataset, part)
        found += _chance(inputs, source, dataset, part)
        size, shares = inputs.settings.threshold, [r for r in part if inputs.settings.metrics[r["metric"]].is_share]
        for name, limit, those in (("two_sided_relative", f"{size:.0%} of the claim", part),
                                   ("two_sided_absolute", f"{size * 100:g} points of accuracy", shares)):  # fmt: skip
            within = sum(r.get(name) is True for r in those)
            text = f"{label}: {within} of {len(those)} values within {limit} on either side"
            found += [row("equivalence", source, dataset, name, within, len(those), text)] if those else []
        for flag in sorted({flag for r in part for flag in r["flags"].split(";") if flag}):
            flagged = sum(flag in r["flags"].split(";") for r in part)
            text = f"{label}: {flagged} of {len(part)} values flagged {flag.replace('_', ' ')}"
            found.append(row("equivalence", source, dataset, f"flag_{flag}", flagged, len(part), text))
    return found


def _direction(inputs: Inputs, source: str, dataset: str, part: list[Row]) -> list[Row]:
    """Of the values that are not reproduced, how many are better than claimed: the colour rule calls them better."""
    off = [r for r in part if r["verdict"] == "not reproduced" and r.get("change") is not None]
    metrics = inputs.settings.metrics
    above = sum(metrics[r["metric"]].gain(r["change"], 0.0) > 0 for r in off)
    if not off:
        return []
    where = "above their claims" if _all_higher(inputs, off) else "better than claimed"
    text = (
        f"{inputs.source_label(source)}: of the {len(off)} values that are not reproduced {above} are {where}, which "
    )
    text += "the published rule calls better, since it is one-sided"
    return [row("equivalence", source, dataset, "not_reproduced_above", above, len(off), text)]


def _chance(inputs: Inputs, source: str, dataset: str, part: list[Row]) -> list[Row]:
    """How many verdicts of each kind are expected by chance alone, and what is left after Holm's adjustment."""
    alpha, label = inputs.settings.alpha, inputs.source_label(source)
    tested = [r for r in part if r.get("equivalence_p") is not None]
    if not tested:
        return []
    kept = sum(r["verdict"] == "reproduced" and r["equivalence_p_holm"] < alpha for r in tested)
    whole = f"{label}: of {len(tested)} tested claims, up to {alpha * len(tested):.1f} would be called reproduced by "
    whole += f"chance if every one were off by exactly its margin; {kept} are reproduced after Holm's adjustment"
    return [
        row("equivalence", source, dataset, "expected_by_chance", alpha * len(tested), len(tested), whole),
        row("equivalence", source, dataset, "reproduced_holm", kept, len(tested), whole),
    ]


def audit(inputs: Inputs, rows: list[Row]) -> list[Row]:
    """How many findings each audited table has; none is said too."""
    found = []
    for source in (inputs.study, *(c.source.name for c in inputs.published)):
        own = [r["kind"] for r in rows if r["source"] == source and r["kind"] != NOT_CHECKED]
        text = f"{inputs.source_label(source)}: audit: {titled(own) or 'nothing found'}"
        found.append(row("audit", source, "", "findings", len(own), None, text))
    return found
