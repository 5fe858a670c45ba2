"""Write docs/reliability.md from the tally of `make torture`: python -m tests.faults.reliability TALLY PAGE."""

import json
import platform
import subprocess
import sys
from pathlib import Path

from renorm.core.machine import cpu_name

HEAD = """# What was tried, and what survived

Written by `make torture`; do not edit. Commit {commit}, Python {python}, {machine}.

| what | tried | survived | lost | |
|---|---|---|---|---|
"""


def page(lines: list[dict]) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    rows = (f"| {r['what']} | {r['tried']:,} | {r['survived']:,} | {r['tried'] - r['survived']:,} | {r['note']} |\n"
            for r in lines)  # fmt: skip
    return HEAD.format(commit=commit, python=platform.python_version(), machine=cpu_name()) + "".join(rows)


if __name__ == "__main__":
    tally, target = map(Path, sys.argv[1:])
    target.write_text(page([json.loads(line) for line in tally.read_text().splitlines()]))
