"""How much better the method is in every source, the sources combined, and each source that repeated another.

Only pairs that are counted (the study's metric, test split, selected epoch), and only sources whose spread is known: by
single runs, or by standard deviations and numbers of runs printed with the averages. The measures are those of
`replication`; none of them changes a verdict.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scipy import stats

from renorm.core.table_specs import GROUP
from renorm.judging import noise, replication
from renorm.judging.comparison import Couple, decides, head, matched
from renorm.judging.inputs import Inputs
from renorm.judging.observations import Values
from renorm.judging.replication import Effect
from renorm.judging.statistics import Difference

Row = dict[str, Any]
PAIR = ("comparison", "axis", *GROUP, "metric", "split", "baseline", "method")


@dataclass(frozen=True)
class Found:
    """A pair of one source and its effect, in the metric's unit."""

    couple: Couple
    effect: Effect
    basis: str  # the test's name, or `printed SD`

    @property
    def pair(self) -> tuple:
        """What the effects of several sources must share to be compared."""
        return self.couple.comparison.name, self.couple.method.group


def of(inputs: Inputs, values: Values) -> list[Found]:
    """The effects of all sources, in the order of the comparisons, pairs, and the reading order of the sources."""
    order = _order(inputs)
    made = [_found(couple, inputs.settings.level) for couple in matched(inputs, values)
            if decides(inputs, values, couple.method)]  # fmt: skip
    known = [one for one in made if one is not None]
    names = [comparison.name for comparison in inputs.comparisons]
    return sorted(known, key=lambda f: (names.index(f.pair[0]), f.pair[1], order.index(f.effect.source)))


def _order(inputs: Inputs) -> list[str]:
    return [*(claims.source.name for claims in inputs.published), inputs.study]


def _found(couple: Couple, level: float) -> Found | None:
    _, baseline, method = couple
    sign = 1 if method.measure.higher_is_better else -1
    if baseline.diverged or method.diverged:
        return None  # no mean of the runs that are left is the method's effect
    tested = noise.compare(method, baseline, level)
    if tested.difference is None:
        return None
    effect = _of_difference(method.source, tested.difference, sign, level)
    return None if effect is None else Found(couple, effect, tested.test)


def _of_difference(source: str, found: Difference, sign: int, level: float) -> Effect | None:
    """The standard error behind a t interval: its half-width over the t quantile."""
    if not math.isfinite(found.low) or not found.high > found.low:
        return None
    se = (found.high - found.low) / 2 / float(stats.t.ppf((1 + level) / 2, found.df))
    return Effect(source, sign * found.value, se, found.df)


def rows(found: list[Found], level: float) -> list[Row]:
    """The table effects.csv: one row a pair and source."""
    out = []
    for one in found:
        effect = one.effect
        half = float(stats.t.ppf((1 + level) / 2, effect.df)) * effect.se
        out.append(head(one.couple) | {
            "effect": effect.value, "se": effect.se, "df": effect.df, "low": effect.value - half,
            "high": effect.value + half, "n_baseline": one.couple.baseline.n, "n_method": one.couple.method.n,
            "basis": one.basis,
        })  # fmt: skip
    return out


def _by_pair(found: list[Found]) -> Iterator[tuple[Row, list[Found]]]:
    """(the pair's columns, its effects) of pairs with effects of two sources or more."""
    for pair in dict.fromkeys(one.pair for one in found):
        part = [one for one in found if one.pair == pair]
        if len(part) > 1:
            columns = head(part[0].couple)
            yield {key: columns[key] for key in PAIR}, part


def combined(inputs: Inputs, found: list[Found]) -> list[Row]:
    """The table meta_analysis.csv: the sources of every pair combined, under fixed and random effects."""
    out = []
    for columns, part in _by_pair(found):
        result = replication.combine([one.effect for one in part], inputs.settings.level)
        if result is None:
            continue
        numbers = {
            f"{model}{end}": number
            for model, three in (("fixed", result.fixed), ("random", result.random))
            for end, number in zip(("", "_low", "_high"), three, strict=True)
        }
        out.append(columns | numbers | {
            "sources": ";".join(one.effect.source for one in part), "k": result.k, "tau2": result.tau2, "q": result.q,
            "q_p": result.q_p, "i2": result.i2,
        })  # fmt: skip
    return out


def replications(inputs: Inputs, found: list[Found]) -> list[Row]:
    """The table replications.csv: every earlier source's effect and a later source's that set out to repeat it."""
    originals = [claims.source.name for claims in inputs.originals]
    repeaters = [claims.source.name for claims in inputs.reproductions]
    out = []
    for columns, part in _by_pair(found):
        for earlier in part:
            for later in part:
                names = earlier.effect.source, later.effect.source
                if _repeats(*names, originals, repeaters, inputs):
                    out.append(columns | _replication(earlier.effect, later.effect, inputs.settings.level))
    return out


def _repeats(earlier: str, later: str, originals: list[str], repeaters: list[str], inputs: Inputs) -> bool:
    """The study repeats every published source; a reproduction repeats the originals that are none themselves."""
    if earlier == later or earlier == inputs.study:
        return False
    return later == inputs.study or (later in repeaters and earlier in originals and earlier not in inputs.repeated)


def _replication(earlier: Effect, later: Effect, level: float) -> Row:
    low, high = replication.prediction(earlier, later, level)
    return {
        "earlier": earlier.source, "later": later.source, "earlier_effect": earlier.value, "earlier_se": earlier.se,
        "later_effect": later.value, "later_se": later.se, "prediction_low": low, "prediction_high": high,
        "inside_prediction": low <= later.value <= high, "sceptical_p": replication.sceptical_p(earlier, later),
        "sceptical_p_golden": replication.sceptical_p(earlier, later, golden=True),
    }  # fmt: skip
