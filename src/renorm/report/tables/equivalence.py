"""The rigorous verdict per cell, beside the published rule: intervals, equivalence, how many more seeds are needed."""

from renorm.judging.pairing import NOT_JUDGED
from renorm.report import formatting
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.tables.comparison import CLAIM, of_expected, per_claims, pivot
from renorm.report.tables.model import Cell, Table

# verdict → (mark, tone); "missing" needs neither
LOOKS = {"reproduced": ("✓", "better"), "not reproduced": ("✗", "below"), "inconclusive": ("?", "within")}


def tables(inputs: Inputs) -> list[Table]:
    if not inputs.has("equivalence"):
        return []
    names, frame = Names(inputs), inputs["equivalence"]
    return [
        pivot(names, answers, _cell, id="equivalence", spec="equivalence", value="change")
        for answers in per_claims(names, frame)
    ]


def _cell(names: Names, row: dict | None) -> Cell:
    if row is None:
        return Cell("")
    mark, tone = LOOKS.get(row["verdict"], ("", "missing"))
    absent = "diverged" if row["one_sided"] == "diverged" else "missing"
    text = _change(names, row) if formatting.known(row["change"]) else absent
    text = row["verdict"] if row["verdict"] == NOT_JUDGED else text
    cell = Cell(text, mark=mark + ("⚑" if row["flags"] else ""), tone=tone, card=_card(names, row))
    cell.id = slug("equivalence", *(row[axis] for axis in CLAIM), row["source"])
    cell.sort = row["change"] if formatting.known(row["change"]) else ""
    cell.small = f"n {of_expected(row['n'], row['n_expected'])}"
    return cell


def _change(names: Names, row: dict) -> str:
    """Of time the ratio: a difference of seconds says nothing without their size."""
    metric = names.metric(row["metric"])
    if metric.is_time and formatting.known(row["relative_change"]):
        return formatting.ratio(1 + row["relative_change"])
    return formatting.difference(metric, row["change"])


def _card(names: Names, row: dict) -> list[tuple[str, str]]:
    where = f"{names.arch(row['arch'])}, {names.norm(row['norm'])}, {epochs_label(row['epochs'])}"
    card = [("cell", f"{names.dataset(row['dataset'])}: {where}"), ("source", names.source(row["source"]))]
    metric = names.metric(row["metric"])
    card += [("verdict", row["verdict"]), ("why", formatting.sentence(row["reason"]))]
    if formatting.known(row["claimed"]):
        card.append(("claimed", formatting.measure(metric, row["claimed"])))
    if formatting.known(row["value"]):
        card.append(("found", formatting.measure(metric, row["value"])))
    for key, title in (("mean", "mean lies"), ("prediction", "one run lies"), ("equivalence", "equivalence")):
        low, high = row[f"{key}_low"], row[f"{key}_high"]
        ends = f"{formatting.measure(metric, low)} to {formatting.measure(metric, high)}"
        card += [(title, ends)] if formatting.known(low) else []
    card.append(("n", of_expected(row["n"], row["n_expected"])))
    if formatting.known(row["seeds_needed"]):
        sure = f"with probability {row['settle_probability']:.2f}"
        card.append(("to settle", f"{formatting.count(row['seeds_needed'])} more runs, {sure}"))
    if formatting.known(row["equivalence_p_holm"]):
        card.append(("p (Holm)", f"{row['equivalence_p_holm']:.2g}"))
    card += [("flags", formatting.flags(row["flags"]))] if row["flags"] else []
    return card + ([("value nearer", row["value_nearer_split"])] if row["value_nearer_split"] else [])
