"""`renorm judge`: a study's folder and its claims → the tables of the judgement."""

from pathlib import Path

from renorm.analysis import (
    comparison,
    consistency,
    convergence,
    cost,
    ladder,
    ledger,
    norms,
    results,
    summary,
    superiority,
    timing,
    verdicts,
)
from renorm.analysis.audit import COLUMNS as AUDIT
from renorm.analysis.audit import audit as run_audit
from renorm.analysis.audit import rows as audit_rows
from renorm.analysis.inputs import Inputs, load
from renorm.analysis.tables import write_table
from renorm.analysis.values import gather

COLUMNS = {
    "results": results.COLUMNS,
    "verdicts": verdicts.COLUMNS,
    "comparison": comparison.COLUMNS,
    "consistency": consistency.COLUMNS,
    "timing": timing.COLUMNS,
    "ladder": ladder.COLUMNS,
    "superiority": superiority.COLUMNS,
    "norms": norms.COLUMNS,
    "convergence": convergence.COLUMNS,
    "ledger": ledger.COLUMNS,
    "audit": AUDIT,
    "summary": summary.COLUMNS,
}


def judge(study_dir: str | Path, claims_root: str | Path | None = None) -> list[Path]:
    """Judge the study in `study_dir`, write its tables there, and return their paths.

    Claims folders named in study.json are relative to `claims_root`, else to the working directory.
    """
    folder = Path(study_dir)
    return write(folder, judgement(load(folder, Path(claims_root) if claims_root else None)))


def write(folder: Path, tables: dict[str, list[dict]]) -> list[Path]:
    """Write the tables, each whole or not at all."""
    paths = [folder / f"{name}.csv" for name in tables]
    for path, (name, rows) in zip(paths, tables.items(), strict=True):
        write_table(path, COLUMNS[name], rows)
    return paths


def judgement(inputs: Inputs) -> dict[str, list[dict]]:
    """The rows of every table, nothing written."""
    own = inputs.narrowed()
    values = gather(inputs)
    pairs = verdicts.pairs(inputs, values)
    # Sentences speak of whole tables: all values count, of every source that has something to say here.
    speakers = {claims.source.name for claims in own.published}
    sentences = [row for row in ledger.rows(inputs, values, pairs) if row["statement_source"] in speakers]
    if own is not inputs:
        inputs, values = own, gather(own)
        pairs = verdicts.pairs(inputs, values)
    rungs = ladder.rows(inputs, values, pairs)
    tables = {
        "results": results.rows(inputs, values),
        "verdicts": verdicts.rows(pairs, inputs.settings, ladder.flags_by_claim(pairs, rungs)),
        "comparison": comparison.rows(inputs, values),
        "consistency": consistency.rows(pairs, inputs.settings),
        "timing": timing.rows(inputs, values),
        "ladder": rungs,
        "superiority": superiority.rows(inputs, values),
        "norms": norms.rows(inputs, values),
        "convergence": convergence.rows(inputs),
        "ledger": sentences,
        "audit": audited(inputs),
    }
    tables["summary"] = [
        *summary.completeness(inputs),
        *summary.verdicts(inputs, tables["verdicts"]),
        *summary.comparison(inputs, tables["comparison"]),
        *summary.consistency(inputs, tables["consistency"]),
        *summary.timing(inputs, tables["timing"]),
        *cost.summarise(inputs, values),
        *summary.ladder(inputs, rungs),
        *superiority.summarise(inputs, values, tables["superiority"]),
        *convergence.summarise(inputs, tables["convergence"]),
        *ledger.summarise(inputs, tables["ledger"]),
        *summary.audit(inputs, tables["audit"]),
    ]
    return tables


def audited(inputs: Inputs) -> list[dict]:
    """The findings in this study's own runs first, then in every published table it is held against."""
    runs = inputs.runs
    own = runs[(runs.selection == inputs.settings.selection) | (runs.metric == "seconds")]
    names = (inputs.settings.baseline, inputs.settings.method, inputs.labels)
    found = audit_rows(run_audit(own, inputs.originals, *names))
    papers = [claims for claims in inputs.originals if claims.source.name not in inputs.repeated]
    for claims in inputs.published:
        found += audit_rows(run_audit(claims.frame, papers, *names))
    return found
