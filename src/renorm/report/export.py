"""The page's tables as files: CSV to compute with, LaTeX (booktabs) to print, Markdown to paste."""

import csv
import io
from pathlib import Path

from renorm.core import files
from renorm.core.tables import cell_text
from renorm.report.inputs import load
from renorm.report.tables import build
from renorm.report.tables.model import Cell, Table

LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"},
    **{">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "\u00a0": "~"},
    **{
        "“": "``",
        "”": "''",
        "‘": "`",
        "’": "'",
        "–": "--",
        "—": "---",
        "…": r"\dots{}",
        "§": r"\S{}",
        "°": r"$^\circ$",
    },
    **{"±": r"$\pm$", "×": r"$\times$", "−": "$-$", "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "·": r"$\cdot$"},
    **{
        "²": "$^2$",
        "→": r"$\rightarrow$",
        "Δ": r"$\Delta$",
        "¬": r"$\neg$",
        "α": r"$\alpha$",
        "σ": r"$\sigma$",
        "μ": r"$\mu$",
    },
    **{"¬": r"$\neg$", "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$", "✓": r"$\checkmark$", "✗": r"$\otimes$"},
    **{"✕": r"$\times$", "⚑": r"$\dagger$", "■": r"$\blacksquare$", "●": r"$\bullet$", "○": r"$\circ$"},
}
LETTERS = range(0xC0, 0x180)  # letters with accents, which LaTeX reads as they are


def write_tables(study_dir: Path) -> list[Path]:
    """Every table of the report under `study_dir`/tables/, in three formats; tables of an older report go."""
    folder = Path(study_dir) / "tables"
    paths = []
    for table in build(load(Path(study_dir))):
        for ending, write in (("csv", to_csv), ("tex", to_latex), ("md", to_markdown)):
            path = folder / f"{table.id}.{ending}"
            files.write_atomic(path, write(table))
            paths.append(path)
    files.remove(*{path for ending in ("csv", "tex", "md") for path in folder.glob(f"*.{ending}")} - set(paths))
    return paths


def grid(table: Table) -> tuple[list[str], list[list[str]]]:
    """One heading per column and one text per cell; the mark goes with the value."""
    body = [table.full_stubs(index) + [cell.plain for cell in row.cells] for index, row in enumerate(table.rows)]
    return table.stubs + table.columns, body


def to_csv(table: Table) -> str:
    """Numbers alone, in the tables' units (fractions, seconds); what is printed beside them has columns of its own."""
    beside = [_beside([row.cells[place] for row in table.rows]) for place in range(len(table.columns))]
    heads = list(table.stubs)
    for title, parts in zip(table.columns, beside, strict=True):
        heads += [title, *(f"{title} ({part})" for part in parts)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for index, row in enumerate(table.rows):
        fields = table.full_stubs(index)
        for cell, parts in zip(row.cells, beside, strict=True):
            fields += [_number(cell), *(_text(cell, part) for part in parts)]
        writer.writerow(fields)
    return text.getvalue()


def _beside(cells: list[Cell]) -> list[str]:
    """Which parts of a column's cells are not numbers: the verdict's word and mark, the runs, the second line."""
    return [part for part in ("verdict", "mark", "runs", "note") if any(_text(cell, part) for cell in cells)]


def _text(cell: Cell, part: str) -> str:
    if part == "verdict":
        return cell.tone if cell.kind != "text" and cell.tone != "claim" else ""
    return {"mark": cell.mark, "runs": cell.partial, "note": cell.below}[part]


def _number(cell: Cell) -> str:
    if cell.kind in ("text", "dots"):
        return cell.text
    return cell_text(cell.sort) if isinstance(cell.sort, int | float) else ""


def to_markdown(table: Table) -> str:
    heads, body = grid(table)
    stubs = len(table.stubs)
    rule = [":--" if i < stubs else "--:" for i in range(len(heads))]
    lines = [_markdown_row(row) for row in ([_md(h) for h in heads], rule, *([_md(c) for c in row] for row in body))]
    return f"### {_md(table.title)}\n\n" + "\n".join(lines) + "\n"


def _markdown_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md(text: str) -> str:
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{char}" if char in "\\|*_`[]" else char for char in text)


def to_latex(table: Table) -> str:
    """A booktabs tabular with the page's grouped headings; needs the packages booktabs and amssymb."""
    align = "l" * len(table.stubs) + "r" * len(table.columns)
    lines = [f"% {latex(table.title)}; needs booktabs and amssymb", rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += _latex_heads(table)
    lines.append(r"\midrule")
    for group in table.groups:
        for row in group.rows:
            cells = [latex(stub or "") for stub in row.stub] + [latex(cell.plain) for cell in row.cells]
            lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_heads(table: Table) -> list[str]:
    if len(table.heads) == 1:
        return [" & ".join(latex(head.text) for head in table.heads[0]) + r" \\"]
    top, low = table.heads
    stubs = len(table.stubs)
    first = [latex(head.text) for head in top[:stubs]]
    rules, column = [], stubs + 1
    for head in top[stubs:]:
        first.append(rf"\multicolumn{{{head.span}}}{{c}}{{{latex(head.text)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + head.span - 1}}}")
        column += head.span
    second = [""] * stubs + [latex(head.text) for head in low]
    return [" & ".join(first) + r" \\", " ".join(rules), " & ".join(second) + r" \\"]


def latex(text: str) -> str:
    """Text for LaTeX with booktabs and amssymb; a character that it cannot print is named by its code."""
    return "".join(map(_latex_char, text))


def _latex_char(char: str) -> str:
    if char.isspace() and char != "\u00a0":
        return " "
    known = char.isascii() or ord(char) in LETTERS
    return LATEX.get(char, char if known else f"[U+{ord(char):04X}]")
