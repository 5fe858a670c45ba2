"""What others take from a study or bring to it: audit, archive, schemas."""

import json
from pathlib import Path
from typing import Annotated

import typer

from renorm.cli.options import HAND_ON, app
from renorm.core import files
from renorm.core.errors import RenormError, suggest


@app.command(rich_help_panel=HAND_ON)
def audit(
    runs: Annotated[Path, typer.Argument(help="A CSV with a row per run or average; docs/judging.md has its columns.")],
    claims: Annotated[list[Path] | None, typer.Option(help="Claims folder(s) to compare its level with.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Its name in the column `norm`; default batch_norm.")] = None,
    method: Annotated[str | None, typer.Option(help="Its name in the column `norm`; default deconv.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check any table of runs for impossible, duplicate and mixed-up values.

    Exit codes: 0 nothing found, 1 findings, 2 the table cannot be read. A check that could not be made does not count.
    """
    from renorm.judging.audit import BASELINE, METHOD, NOT_CHECKED, load_runs_csv, places, rows, titled
    from renorm.judging.audit import audit as run
    from renorm.study.claims import load_claims

    frame = load_runs_csv(runs)
    for option, norm in (("--baseline", baseline), ("--method", method)):
        if norm is not None and norm not in set(frame["norm"]):
            raise RenormError(f"audit: {option}: '{norm}' is in no row of {runs}: {suggest(norm, set(frame['norm']))}")
    baseline, method = baseline or BASELINE, method or METHOD
    if claims:  # which know both by their usual names
        frame["norm"] = frame["norm"].replace({baseline: BASELINE, method: METHOD})
        baseline, method = BASELINE, METHOD
    found = rows(run(frame, [load_claims(folder) for folder in claims or ()], baseline, method))
    accused = [row["kind"] for row in found if row["kind"] != NOT_CHECKED]
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for row in found:
            mark = "not checked: " if row["kind"] == NOT_CHECKED else ""
            print(f"{mark}{row['sentence']} [lines {places(row['rows'])}]")
        print(f"{runs}: {titled(accused) or 'nothing found'} in {len(frame):,} row{'s' * (len(frame) != 1)}")
    raise typer.Exit(1 if accused else 0)


@app.command(rich_help_panel=HAND_ON)
def archive(
    folder: Annotated[Path, typer.Argument(help="The study's folder; it must have been judged.")],
    out: Annotated[Path | None, typer.Option(help="A .zip or a new folder; default <folder>.crate.zip.")] = None,
    licence: Annotated[str, typer.Option("--license", help="The results' licence, as a URL.")] = "",
) -> None:
    """Pack the study as an RO-Crate: tables, report, run records, claims, environment, checksums."""
    from renorm.runs.ro_crate import archive as run

    print(run(folder, out, licence))


@app.command(rich_help_panel=HAND_ON)
def article(
    folder: Annotated[Path, typer.Argument(help="The study's folder; it must have been judged.")],
    out: Annotated[Path | None, typer.Option(help="A new folder; default <folder>/article.")] = None,
) -> None:
    """Write the skeleton of a ReScience C article: metadata, abstract of figures, LaTeX with the tables."""
    from renorm.report.article import write_article

    for path in write_article(folder, out):
        print(path)


@app.command(rich_help_panel=HAND_ON)
def schema(
    name: Annotated[str, typer.Argument(help="config, run, source, claims (a row), or statements.")] = "config",
    write: Annotated[Path | None, typer.Option(help="Folder to write all of them to.")] = None,
) -> None:
    """Print the JSON schema of a configuration, a run record, or a file of a claims folder."""
    from renorm.cli.json_schemas import schemas

    known = {file.split(".")[0]: (file, document) for file, document in schemas().items()}
    if name not in known:
        raise RenormError(f"schema: unknown '{name}': {suggest(name, known)}")
    if write is None:
        print(json.dumps(known[name][1], indent=1))
        return
    for file, document in known.values():
        files.write_json(write / file, document)


@app.command(rich_help_panel=HAND_ON)
def snakefile() -> None:
    """Print the installed Snakefile: `snakemake --snakefile $(renorm snakefile) --configfile STUDY.yaml`."""
    from renorm.core.resources import bundled

    print(bundled("Snakefile"))
