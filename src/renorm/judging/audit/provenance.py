"""Runs of one cell that were not the same experiment: other parameters, code or data."""

from collections.abc import Iterator

from renorm.judging.audit.loader import Finding, Table, counted

NAMES = {
    "parameters": ("mixed_parameters", "number of parameters"),
    "code_sha256": ("mixed_code", "version of the code"),
    "commit": ("mixed_code", "version of the code"),
    "data_sha256": ("mixed_data", "version of the data"),
}


def mixed_provenance(table: Table) -> Iterator[Finding]:
    """Cells whose runs have different numbers of parameters, or another version of the code or the data."""
    for cell, columns in table.provenance.items():
        for column, values in columns.items():
            if len(values) > 1:
                kind, what = NAMES[column]
                shown = ", ".join(value if column == "parameters" else value[:7] for value in sorted(values))
                rows = [row for found in values.values() for row in found]
                sentence = f"its runs have {counted(len(values), f'different {what}', _plural(what))}: {shown}"
                yield table.finding(kind, rows, cell, sentence)


def _plural(what: str) -> str:
    noun, _, rest = what.partition(" ")
    return f"different {noun}s {rest}"
