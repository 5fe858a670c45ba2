"""`renorm judge`: a study's folder and its claims → the tables of the judgement."""

from pathlib import Path

import pandas as pd

from renorm.core.metrics import SECONDS
from renorm.core.table_specs import CELL, GROUP, TABLES
from renorm.judging import (
    answers,
    comparison,
    convergence,
    cost,
    effects,
    equivalence,
    method_vs_baseline,
    normaliser_table,
    pairing,
    published_as,
    repeat_consistency,
    runtime,
    statements,
    study_means,
    summary,
)
from renorm.judging.audit import as_written
from renorm.judging.audit import audit as run_audit
from renorm.judging.audit import rows as audit_rows
from renorm.judging.inputs import Inputs, load
from renorm.judging.observations import Values, gather
from renorm.runs import made_from


def judge(study_dir: str | Path) -> list[Path]:
    """Judge the collected study in `study_dir`, write its tables there, and return their paths.

    Raises:
        RenormError: A table of the study or a folder of claims is not there or has mistakes, a line each.
    """
    folder = Path(study_dir)
    inputs = load(folder)
    paths = write(folder, judgement(inputs))
    collected = made_from.read(folder).get(made_from.COLLECT, "")
    made_from.note(folder, made_from.JUDGE, made_from.judged(collected, inputs.claims_folders))
    return paths


def write(folder: Path, tables: dict[str, list[dict]]) -> list[Path]:
    """Write the tables, each whole or not at all."""
    for name, rows in tables.items():
        TABLES[name].write(folder / TABLES[name].file, rows)
    return [folder / TABLES[name].file for name in tables]


def judgement(inputs: Inputs) -> dict[str, list[dict]]:
    """The rows of every table, nothing written."""
    own = inputs.narrowed()
    values = gather(inputs)
    pairs = pairing.pairs(inputs, values)
    # Sentences speak of whole tables: all values count, of every source that has something to say here.
    speakers = {claims.source.name for claims in own.published}
    sentences = [row for row in statements.rows(inputs, values, pairs) if row["statement_source"] in speakers]
    if own is not inputs:
        inputs, values = own, gather(own)
        pairs = pairing.pairs(inputs, values)
    equivalences = equivalence.rows(inputs, values, pairs)
    found = effects.of(inputs, values)
    tables = {
        "study_means": study_means.rows(inputs, values),
        "threshold_rule": pairing.rows(pairs, inputs.settings, equivalence.flags_by_claim(pairs, equivalences)),
        "comparison": comparison.rows(inputs, values),
        "repeat_consistency": repeat_consistency.rows(pairs, inputs.settings),
        "runtime": runtime.rows(inputs, values),
        "equivalence": equivalences,
        "published_as": published_as.rows(inputs, values),
        "method_vs_baseline": method_vs_baseline.rows(inputs, values),
        "effects": effects.rows(found, inputs.settings.level),
        "meta_analysis": effects.combined(inputs, found),
        "replications": effects.replications(inputs, found),
        "normalisers": normaliser_table.rows(inputs, values),
        "convergence": convergence.rows(inputs),
        "statements": sentences,
        "audit": audited(inputs),
    }
    tables["summary"] = summarised(inputs, values, tables)
    tables["answers"] = answers.rows(inputs, tables)
    return tables


def summarised(inputs: Inputs, values: Values, tables: dict[str, list[dict]]) -> list[dict]:
    """The rows of summary.csv: every count and sentence about the other tables."""
    return [
        *summary.completeness(inputs),
        *summary.claims(inputs),
        *summary.threshold_rule(inputs, tables["threshold_rule"]),
        *summary.comparison(inputs, tables["comparison"]),
        *summary.repeat_consistency(inputs, tables["repeat_consistency"]),
        *summary.runtime(inputs, tables["runtime"]),
        *cost.summarise(inputs, values),
        *summary.equivalence(inputs, tables["equivalence"]),
        *method_vs_baseline.summarise(inputs, values, tables["method_vs_baseline"]),
        *convergence.summarise(inputs, tables["convergence"]),
        *statements.summarise(inputs, tables["statements"]),
        *summary.audit(inputs, tables["audit"]),
    ]


def audited(inputs: Inputs) -> list[dict]:
    """The findings in this study's own runs first, then in every published table it is compared with."""
    runs = inputs.runs
    own = runs[(runs.selection == inputs.settings.selection) | (runs.metric == SECONDS)]
    names = (inputs.settings.baseline, inputs.settings.method, inputs.labels, inputs.settings.metrics)
    found = audit_rows(run_audit(_with_provenance(inputs, as_written(own)), inputs.originals, *names))
    papers = [claims for claims in inputs.originals if claims.source.name not in inputs.repeated]
    for claims in inputs.published:
        found += audit_rows(run_audit(as_written(claims.frame), papers, *names))
    return found


def _with_provenance(inputs: Inputs, runs: pd.DataFrame) -> pd.DataFrame:
    """The study's runs with what must be the same for all runs of a cell: parameters, code and data."""
    known = {tuple(str(cell[key]) for key in CELL): {"parameters": cell.get("parameters")} for cell in inputs.cells}
    for row in inputs.provenance:
        known.setdefault(tuple(row[key] for key in CELL), {}).update(
            {column: row.get(column) for column in ("code_sha256", "data_sha256")}
        )
    keys = runs[[*GROUP, "attempt"]].itertuples(index=False, name=None)
    found = [known.get(key, {}) for key in keys]
    names = ("parameters", "code_sha256", "data_sha256")
    return runs.assign(**{name: [facts.get(name) or "" for facts in found] for name in names})
