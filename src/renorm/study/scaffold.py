"""`renorm new`: the folder of a study of one's own, outside the checkout, in which Snakemake works at once."""

import os
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.core.resources import bundled, scaffold
from renorm.core.tables import to_csv
from renorm.study import claims, config, grid
from renorm.study.cell import NAME

# Options that programs have, and what of a cell or recipe they mean.
OPTIONS = {
    "seed": "seed", "epochs": "epochs", "num_epochs": "epochs", "dataset": "dataset", "data": "dataset",
    "arch": "arch", "model": "arch", "norm": "norm", "optimizer": "norm", "method": "norm", "out": "out",
    "output": "out", "output_dir": "out", "out_dir": "out", "save_dir": "out", "batch_size": "batch_size",
    "lr": "optimizer.lr", "learning_rate": "optimizer.lr", "wd": "optimizer.weight_decay",
    "weight_decay": "optimizer.weight_decay", "momentum": "optimizer.momentum",
}  # fmt: skip
ARGUMENT = re.compile(r"""add_argument\(\s*(?:["']-\w["'],\s*)?["']--([\w-]+)["']""")
# Of the paper that the example study checks; nobody published them.
EXAMPLE = {"batch_norm": "88.00", "group_norm": "86.00", "sgd": "90.00", "momentum": "94.00"}


def new(folder: Path, source: Path | None, program: Path | None) -> list[Path]:
    """Write a study's folder.

    Args:
        folder: It must not exist, or be empty; its name is that of the study.
        source: A configuration to begin with, in place of the example.
        program: A program that trains the cells; one that does not exist is written, as an example.

    Returns:
        The files that were written.

    Raises:
        RenormError: The folder is not empty, its name is not a study's name, or a file cannot be read.
    """
    name = folder.resolve().name
    if not NAME.fullmatch(name):
        raise RenormError(f"new: '{name}' is not a name: use lower-case letters, digits and _ . - only")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RenormError(f"new: {folder} is there and not empty: choose another name")
    if source and program:
        raise RenormError("new: --from and --program make configurations of their own: give one of them")
    texts = _program(folder, name, program) if program else {"config.yaml": _configuration(folder, name, source)}
    texts |= {"Snakefile": _text("Snakefile"), ".gitignore": _text("gitignore")}
    texts |= {"README.md": _text("README.md").format(name=name)}
    texts["slurm/config.yaml"] = bundled("slurm/config.yaml").read_text(encoding="utf-8")
    _write(folder, texts)
    if source:
        _copy_plugins(folder, source)
    study = config.load(folder / "config.yaml")
    example = source is None and (program is None or not program.exists())
    _write(folder / "claims/paper", _claims(study, example))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def template(study: config.Study, source: str = "paper", example: bool = False) -> str:
    """A table of claims with a row per cell of the grid without its seed, as CSV; the values are to be filled in."""
    metric = study.judge.metric
    rows = []
    for cell, _ in groupby(
        grid.cells(study), key=lambda cell: (cell.dataset, cell.arch, cell.norm, cell.recipe, cell.epochs)
    ):
        dataset, arch, norm, recipe, epochs = cell
        rows.append({
            "source": source, "table": "Table 1", "page": "", "dataset": dataset, "arch": arch, "norm": norm,
            "recipe": recipe, "epochs": epochs, "metric": metric, "split": "test", "selection": "unstated",
            "value": EXAMPLE.get(norm, "") if example else "", "unit": "percent", "n": "",
            "note": "an example, not a published value" if example else "",
        })  # fmt: skip
    columns = tuple(column for column in claims.COLUMNS if rows and column in rows[0])
    return to_csv(columns, rows)


def _text(name: str) -> str:
    return scaffold(name).read_text(encoding="utf-8")


def _write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(folder / name, text)


def _claims(study: config.Study, example: bool) -> dict[str, str]:
    note = "The values of this example were made up." if example else '""'
    # A table without its values would be refused: it becomes one under its name.
    table = "table1.csv" if example else "table1.csv.template"
    return {
        "source.yaml": _text("source.yaml").replace("{note}", note), "statements.yaml": _text("statements.yaml"),
        table: template(study, example=example),
    }  # fmt: skip


def _configuration(folder: Path, name: str, source: Path | None) -> str:
    if source is None:
        return _text("config.yaml").format(name=name, docs="https://renorm.readthedocs.io/")
    config.load(source)  # its mistakes, before anything is written
    text = source.read_text(encoding="utf-8")
    for key in ("claims", "adopt", "only"):
        text = re.sub(rf"^{key}:.*\n(?:[ #].*\n|\n(?=[ ]))*", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"^study:.*$", f"study: {name}\nclaims: {{original: claims/paper}}", text, count=1, flags=re.MULTILINE
    )
    return re.sub(
        r"(\bdirectory: *)([^\s,}#]+)",
        lambda found: found[1] + os.path.relpath(source.parent / found[2], folder),
        text,
    )


def _copy_plugins(folder: Path, source: Path) -> None:
    for path in config.load(source).plugins:
        files.copy(path, folder / os.path.relpath(path, source.parent))


def _program(folder: Path, name: str, program: Path) -> dict[str, str]:
    """The configuration around a program, and the example program where there is none."""
    values = {"name": name, "docs": "https://renorm.readthedocs.io/"}
    if not program.exists():
        if program.name != str(program):
            raise RenormError(
                f"new: --program {program}: no such file: correct its path, or give a name for an example"
            )
        command = f"python {program} --optimizer {{norm}} --lr {{lr}} --seed {{seed}} --epochs {{epochs}} --out {{out}}"
        own = {"directory": ".", "command": command, "code": program.name, "history": "log.csv", "accuracy": "val_acc",
               "values": ", values: {lr: 0.1}"}  # fmt: skip
        return {"config.yaml": _text("program.yaml").format(**values, **own), program.name: _text("train.py")}
    found = list(_arguments(program))
    options = " ".join(f"--{option} {{{placeholder}}}" for option, placeholder in found)
    used = {placeholder for _, placeholder in found}
    own = {"directory": os.path.relpath(program.parent, folder), "command": f"python {program.name} {options}".strip(),
           "code": program.name, "history": "log.csv", "accuracy": "accuracy", "values": ""}  # fmt: skip
    text = _text("program.yaml").format(**values, **own)
    if "norm" not in used:  # nothing to compare yet
        text = text.replace("norm: [sgd, momentum]", "norm: [sgd]")
        text = re.sub(r"^comparisons:\n(  .*\n)+", "", text, flags=re.MULTILINE)
    if "seed" not in used:
        text = text.replace("seeds: [1, 2, 3]", "seeds: [1]")
    return {"config.yaml": text}


def _arguments(program: Path) -> Iterator[tuple[str, str]]:
    """The options of a Python program's argparse that renorm knows how to fill in, each placeholder once."""
    try:
        text = program.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RenormError(f"new: --program {program}: cannot be read: {error}") from None
    seen: set[str] = set()
    for option in ARGUMENT.findall(text):
        placeholder = OPTIONS.get(option.replace("-", "_"))
        if placeholder and placeholder not in seen:
            seen.add(placeholder)
            yield option, placeholder
