"""`renorm judge`: a study's folder and its claims → the tables of the judgement."""

from pathlib import Path

from renorm.analysis import comparison, consistency, convergence, ladder, summary, superiority, timing, verdicts
from renorm.analysis.inputs import Inputs, load
from renorm.analysis.tables import write_table
from renorm.analysis.values import gather

COLUMNS = {
    "verdicts": verdicts.COLUMNS,
    "comparison": comparison.COLUMNS,
    "consistency": consistency.COLUMNS,
    "timing": timing.COLUMNS,
    "ladder": ladder.COLUMNS,
    "superiority": superiority.COLUMNS,
    "convergence": convergence.COLUMNS,
    "summary": summary.COLUMNS,
}


def judge(study_dir: str | Path, claims_root: str | Path | None = None) -> dict[str, list[dict]]:
    """Judge the study in `study_dir`, write its tables there, and return their rows by name.

    Claims folders named in study.json are relative to `claims_root`, else to the working directory.
    """
    folder = Path(study_dir)
    tables = judgement(load(folder, Path(claims_root) if claims_root else None))
    for name, rows in tables.items():
        write_table(folder / f"{name}.csv", COLUMNS[name], rows)
    return tables


def judgement(inputs: Inputs) -> dict[str, list[dict]]:
    """The rows of every table, nothing written."""
    values = gather(inputs)
    pairs = verdicts.pairs(inputs, values)
    rungs = ladder.rows(inputs, values, pairs)
    tables = {
        "verdicts": verdicts.rows(pairs, inputs.settings, ladder.flags_by_claim(pairs, rungs)),
        "comparison": comparison.rows(inputs, values),
        "consistency": consistency.rows(pairs, inputs.settings),
        "timing": timing.rows(inputs, values),
        "ladder": rungs,
        "superiority": superiority.rows(inputs, values),
        "convergence": convergence.rows(inputs),
    }
    tables["summary"] = [
        *summary.completeness(inputs),
        *summary.verdicts(inputs, tables["verdicts"]),
        *summary.comparison(inputs, tables["comparison"]),
        *summary.consistency(inputs, tables["consistency"]),
        *summary.timing(inputs, tables["timing"]),
        *summary.ladder(inputs, rungs),
        *superiority.summarise(inputs, values, tables["superiority"]),
        *convergence.summarise(inputs, tables["convergence"]),
    ]
    return tables
