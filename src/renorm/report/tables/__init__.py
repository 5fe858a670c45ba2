"""Every table of the report, in the order in which the page shows them."""

from renorm.report.inputs import Inputs
from renorm.report.tables import (
    audit,
    comparison,
    comparisons,
    completeness,
    consistency,
    convergence,
    costs,
    equivalence,
    layer_views,
    method_vs_baseline,
    normalisers,
    provenance,
    published_as,
    replication,
    runtime,
    sources,
    statements,
    this_study,
)  # fmt: skip
from renorm.report.tables.model import Table

SUBJECTS = (
    *(
        this_study,
        comparisons,
        method_vs_baseline,
        comparison,
        equivalence,
        published_as,
        replication,
        statements,
        runtime,
        costs,
        normalisers,
    ),
    *(completeness, audit),
    *(consistency, convergence),
    *(layer_views, provenance, sources),
)


def build(inputs: Inputs) -> list[Table]:
    """All tables that the study's files can fill; one without rows is left out."""
    tables = [table for subject in SUBJECTS for table in subject.tables(inputs)]
    return [table for table in tables if table.groups]
