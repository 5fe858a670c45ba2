"""`renorm list`: every name that a configuration may use, with a line on each."""

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import EVERY_DAY, app
from renorm.core import plugins, zoo
from renorm.study import config, parts

# What people call them → the key of a configuration.
AXES = {"archs": "arch", "norms": "norm", "datasets": "dataset"}
PARTS = {"optimizers": "optimizer", "schedules": "schedule", "augmentations": "augment", "losses": "loss"}


class What(StrEnum):
    archs, norms, datasets = "archs", "norms", "datasets"
    optimizers, schedules, augmentations, losses = "optimizers", "schedules", "augmentations", "losses"
    metrics, checks, programs = "metrics", "checks", "programs"


@app.command("list", rich_help_panel=EVERY_DAY)
def list_names(
    what: Annotated[What, typer.Argument(help="What to list.")],
    study: Annotated[Path | None, typer.Option("--config", help="A study, whose own names are listed too.")] = None,
) -> None:
    """List the names that a configuration may use, with a line on each."""
    loaded = config.load(study) if study else None
    found = _listed(what, loaded)
    width = max((len(name) for name in found), default=0)
    for name, text in found.items():
        print(f"{name:<{width}}  {text}".rstrip())


def _listed(what: What, study: config.Study | None) -> dict[str, str]:
    if what in AXES:
        return _with_zoos({name: d.summary for name, d in sorted(plugins.definitions(AXES[what]).items())}, what)
    if what in PARTS:
        kind = PARTS[what]
        own = {name: d.summary for name, d in plugins.definitions(kind).items()}
        return {name: own.get(name) or _line(parts.settings_of(kind, name)) for name in parts.names(kind)}
    return {What.metrics: _metrics, What.checks: _checks, What.programs: _programs}[what](study)


def _with_zoos(found: dict[str, str], what: What) -> dict[str, str]:
    if what is What.archs:
        for package in zoo.ZOOS:
            for name in sorted(zoo.networks(package)):
                found[f"{package}/{name}"] = f"{package}'s {name}"
    return found


def _metrics(study: config.Study | None) -> dict[str, str]:
    from renorm.core.metrics import METRICS

    return {
        name: "; ".join([
            f"{m.label}{f', in {m.unit}' if m.unit else ''}",
            f"{'higher' if m.higher_is_better else 'lower'} is better",
            *([f"also written {', '.join(m.aliases)}"] if m.aliases else []),
        ])
        for name, m in (study.registry if study else METRICS).items()
    }  # fmt: skip


def _checks(study: config.Study | None) -> dict[str, str]:
    from renorm.judging.statement_checks import CHECKS

    return {name: f"{_line(check)} ({_parameters(check)})" for name, check in sorted(CHECKS.items())}


def _parameters(check: Callable) -> str:
    """What a check takes after the source: `name` where it must be given, `[name]` where not."""
    taken = list(inspect.signature(check).parameters.values())[1:]
    return ", ".join(p.name if p.default is p.empty else f"[{p.name}]" for p in taken)


def _programs(study: config.Study | None) -> dict[str, str]:
    own = study.programs if study else {}
    return {"built-in": "renorm's own trainer"} | {name: " ".join(p.command.split()) for name, p in own.items()}


def _line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").splitlines()[0]
