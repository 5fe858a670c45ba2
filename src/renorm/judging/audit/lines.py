"""The lines that a finding names, as a reader writes them."""

import re


def places(rows: str) -> str:
    """`file:line` after `file:line`, or lines alone, as a list of each file's lines: neighbours become a range."""
    files: dict[str, list[int]] = {}
    # A file's name may hold blanks.
    for file, line in re.findall(r"(?:(\S.*?):)?(\d+)(?= |$)", rows):
        files.setdefault(file, []).append(int(line))
    listed = (", ".join(f"{a}–{b}" if a < b else str(a) for a, b in _ranges(sorted(lines))) for lines in files.values())
    return "; ".join(f"{file}: {lines}" if file else lines for file, lines in zip(files, listed, strict=True))


def _ranges(lines: list[int]) -> list[tuple[int, int]]:
    """(first, last) of every run of neighbours."""
    found: list[tuple[int, int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1] = (found[-1][0], line)
        else:
            found.append((line, line))
    return found
