"""Every table of the report, in the order in which the page shows them."""

from renorm.report.inputs import Inputs
from renorm.report.tables import comparison, completeness, consistency, extras, own, provenance, timing
from renorm.report.tables.model import Table

SUBJECTS = (extras, completeness, comparison, own, timing, consistency, provenance)


def build(inputs: Inputs) -> list[Table]:
    """All tables that the study's files can fill; one without rows is left out."""
    tables = [table for subject in SUBJECTS for table in subject.tables(inputs)]
    return [table for table in tables if table.groups]
