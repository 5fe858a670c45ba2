"""What partitions allow, so that no try of a cell asks for more than any of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from renorm.core.errors import RenormError
from renorm.execution.slurm.commands import ask, rows, words


@dataclass(frozen=True)
class Partition:
    """Time limit in minutes and memory of a job on one node in MB; None where there is no limit."""

    name: str
    minutes: int | None
    mem_mb: int | None


@dataclass
class Ceiling:
    """The largest request of a later try; what the first one asks for is not changed."""

    minutes: int | None = None
    mem_mb: int | None = None


# Of this process: the first job of a study is submitted after it was set, a retry is sized after that.
CEILING = Ceiling()


def capped(asked: int, first: int, ceiling: int | None) -> int:
    """`asked` by a later try, not above the larger of `ceiling` and what the `first` try asked for."""
    return asked if ceiling is None else min(asked, max(first, ceiling))


def partitions() -> dict[str, Partition]:
    """Name → limits, hidden ones too. Raises `RenormError` when the cluster does not answer."""
    answer = ask("scontrol", "--all", "--oneliner", "show", "partition")
    if answer.returncode:
        raise RenormError(f"executor slurm: the cluster does not answer: {words(answer.stderr)}: try again later, or "
                          "ask `scontrol show partition`")  # fmt: skip
    memory: dict[str, int] = {}
    for name, mem_mb in rows(ask("sinfo", "--all", "--noheader", "--Node", "--format=%R|%m").stdout, 2):
        if mem_mb.isdigit():
            memory[name] = max(memory.get(name, 0), int(mem_mb))
    found = {}
    for line in answer.stdout.splitlines():
        values = dict(re.findall(r"(\w+)=(\S*)", line))
        if "PartitionName" in values:
            name, most = values["PartitionName"], values.get("MaxMemPerNode", "")
            bounds = [int(most)] if most.isdigit() else []
            bounds += [memory[name]] if name in memory else []
            found[name] = Partition(name, minutes(values.get("MaxTime", "")), min(bounds, default=None))
    return found


def minutes(limit: str) -> int | None:
    """Slurm's `days-hours:minutes:seconds` (or less of it) in minutes; None for `infinite` and unknown forms."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit.strip())
    if not match:
        return None
    days, hours, mins, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + mins


def ceiling(chosen: Iterable[Partition]) -> Ceiling:
    """The most that one of the partitions takes."""
    chosen = list(chosen)
    bounds = {key: [getattr(one, key) for one in chosen] for key in ("minutes", "mem_mb")}
    return Ceiling(*(max(values) if values and None not in values else None for values in bounds.values()))
