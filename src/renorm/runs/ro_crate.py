"""`renorm archive`: a study as one RO-Crate that somebody else can check, judge again and cite.

The crate keeps the layout of a working folder (results/<study>, results/runs, claims/, and the dropped-in files below
src/), so that `renorm judge` works in it, the links of the report lead somewhere, and `snakemake --configfile
results/<study>/config.json` continues the study where it is unpacked. The same study gives the same bytes.
"""

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from renorm import __version__
from renorm.core import code_digest, files, plugins
from renorm.core.errors import RenormError
from renorm.core.resources import bundled
from renorm.core.table_specs import SPECS, TABLES
from renorm.runs.adopt import ORIGIN
from renorm.runs.run_record import HISTORY, RECORD
from renorm.study import description
from renorm.study.cell import AXES, Cell
from renorm.study.config import Claims
from renorm.study.description import Description

CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://schema.org/sha256"}]
PROFILE = "https://w3id.org/ro/crate/1.1"
METADATA, SUMS = "ro-crate-metadata.json", "SHA256SUMS"
NEEDED = (description.FILE, "cells.csv", "runs.csv", "provenance.csv", "threshold_rule.csv", "summary.csv")
JUDGE = "collect and judge the study first"
LEFT_OUT = ("logs",)
AS_WRITTEN = "as_written"  # as the rule `study` calls the folder
HAND_OVER = ("config.json", description.FILE)
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the crate's bytes depend on the study, not on the time
FORMATS = {
    ".csv": "text/csv", ".json": "application/json", ".html": "text/html", ".svg": "image/svg+xml",
    ".md": "text/markdown", ".tex": "application/x-tex", ".txt": "text/plain", ".yaml": "application/yaml",
}  # fmt: skip
DESCRIPTIONS = {spec.file: spec.description for spec in SPECS} | {
    description.FILE: "The part of the configuration that the tables are judged and printed by",
    "config.json": "The study's whole configuration",
    "report.html": "The report, one page that needs nothing else",
    "requirements.txt": "The pinned Python packages",
    "run.json": "The record of one run, with its own checksum",
    SUMS: "SHA-256 of every other file, as `sha256sum --check` reads it",
}


@dataclass(frozen=True)
class Member:
    """One file of the crate: its path in it, and where its bytes come from: a file, or a text made for the crate."""

    path: str
    source: Path | None = None
    text: str = ""

    @property
    def data(self) -> bytes:
        return self.source.read_bytes() if self.source else self.text.encode()

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


def archive(study_dir: Path, out: Path | None = None, licence: str = "") -> Path:
    """Write the crate of the judged study and return its path: a zip file when `out` ends so (the default), else a
    folder.
    """
    folder = Path(study_dir)
    _refuse_unjudged(folder)
    out = Path(out) if out else folder.with_name(f"{folder.name}.crate.zip")
    study = description.read(folder)
    cells = _cells(folder)
    found = [
        *_tables(folder),
        *_runs(folder, cells),
        *_claims(folder, study.claims),
        *_dropped_in(cells),
        *_environment(),
    ]
    members = sorted({member.path: member for member in found}.values(), key=lambda m: m.path)
    sums = {member.path: hashlib.sha256(member.data).hexdigest() for member in members}
    text = "".join(f"{digest}  {path}\n" for path, digest in sums.items())
    made = {SUMS: text, METADATA: _metadata(folder, study, members, sums, licence)}
    (_write_zip if out.suffix == ".zip" else _write_folder)(out, members, made)
    return out


def _refuse_unjudged(folder: Path) -> None:
    missing = [name for name in NEEDED if not (folder / name).exists()]
    if missing:
        raise RenormError(f"{folder / missing[0]}: not there; {JUDGE}")


def _tables(folder: Path) -> list[Member]:
    """The study's own files: tables, report, figures, configuration."""
    found = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] not in LEFT_OUT and not any(part.startswith(".") for part in parts):
            found.append(Member(f"results/{folder.name}/{'/'.join(parts)}", path))
    return found


def _cells(folder: Path) -> list[Cell]:
    rows = TABLES["cells"].read(folder / "cells.csv", AXES)
    return [Cell.from_row(row) for row in rows]


def _runs(folder: Path, cells: list[Cell]) -> list[Member]:
    """The records of the study's runs, the manifests of their data, and its layer views, as far as they are there."""
    wanted = [f"runs/{cell.path}/{name}" for cell in cells for name in (RECORD, HISTORY, ORIGIN)]
    wanted += [f"data/{name}/manifest.json" for name in sorted({cell.dataset for cell in cells})]
    configuration = folder / "config.json"
    names = files.read_json(configuration, JUDGE).get("layer_views", {}) if configuration.exists() else {}
    wanted += [f"layer_views/{name}.json" for name in names]
    return [Member(f"results/{path}", folder.parent / path) for path in wanted if (folder.parent / path).is_file()]


def _claims(folder: Path, claims: Claims | None) -> list[Member]:
    """Every claims folder that the study is compared with; configuration and study.json as they must be for it."""
    found, places = [], {}
    for path in [*claims.original, *claims.reproductions] if claims else ():
        source = Path(os.path.normpath(folder / path))
        if not source.is_dir():
            raise RenormError(f"{source}: the claims folder is not there; run this where the study was judged")
        # In the crate, too, they are where the configuration says, unless that is outside of the working directory.
        outside = source.is_absolute() or ".." in source.parts
        inside = f"claims/{source.name}" if outside else source.as_posix()
        places[path] = os.path.relpath(inside, f"results/{folder.name}")
        found += [Member(f"{inside}/{file.name}", file) for file in source.iterdir() if file.is_file()]
    own, moved = _plugins(folder)
    found, places = [*found, *own, *_programs(folder)], places | moved
    return [*found, *(_relocated(folder / name, places) for name in HAND_OVER if (folder / name).exists())]


def _plugins(folder: Path) -> tuple[list[Member], dict[str, str]]:
    """The plugin files of the study with the modules beside them that they import, and their places in the crate."""
    configuration, found, places = folder / "config.json", [], {}
    given = files.read_json(configuration, JUDGE).get("plugins", []) if configuration.exists() else []
    for path in given:
        source = Path(os.path.normpath(folder / path))
        outside = source.is_absolute() or ".." in source.parts
        inside = PurePosixPath("plugins" if outside else source.parent.as_posix())
        places[path] = os.path.relpath(inside / source.name, f"results/{folder.name}")
        found += [
            Member(str(inside / os.path.relpath(file, source.parent)), file) for file in code_digest.own_modules(source)
        ]
    return found, places


def _programs(folder: Path) -> list[Member]:
    """The declared code of programs that are in the working directory; what is elsewhere is somebody else's clone."""
    configuration = folder / "config.json"
    given = files.read_json(configuration, JUDGE).get("programs", {}) if configuration.exists() else {}
    found = []
    for program in given.values():
        home = Path(os.path.normpath(folder / program["directory"]))
        if home.is_absolute() or ".." in home.parts:
            continue
        for path in (home / name for name in program["code"]):
            inside = sorted(path.rglob("*")) if path.is_dir() else [path]
            found += [Member(file.as_posix(), file) for file in inside
                      if file.is_file() and "__pycache__" not in file.parts]  # fmt: skip
    return found


def _relocated(path: Path, places: dict[str, str]) -> Member:
    """A file of the hand-over with the crate's own paths, and nothing adopted: the records are all there."""
    document = files.read_json(path, JUDGE)
    claims = document.get("claims") or {}
    changed = {}
    for key in ("original", "reproductions"):
        value = claims.get(key, [])
        changed[key] = places[value] if isinstance(value, str) else [places[one] for one in value]
    new = document | ({"claims": claims | changed} if claims else {}) | ({"adopt": []} if "adopt" in document else {})
    if document.get("plugins"):
        new = new | {"plugins": [places[one] for one in document["plugins"]]}
    inside = f"results/{path.parent.name}/{path.name}"
    return Member(inside, path) if new == document else Member(inside, None, json.dumps(new, indent=1) + "\n")


def _dropped_in(cells: list[Cell]) -> list[Member]:
    """The files that are not part of renorm and that define an architecture, normaliser or data set of the study."""
    names = {(axis, getattr(cell, axis)) for cell in cells for axis in plugins.PLUGIN_PACKAGES}
    return [
        Member(f"src/renorm/{path.relative_to(plugins.SOURCE).as_posix()}", path)
        for axis, name in sorted(names)
        if plugins.find(axis, name)
        for found in code_digest.dropped_in_files(axis, name)
        for path in (sorted(found.rglob("*")) if found.is_dir() else [found])
        if path.is_file() and path.is_relative_to(plugins.SOURCE)
    ]


def _environment() -> list[Member]:
    return [Member("environment/requirements.txt", bundled("envs/requirements.txt"))]


def _metadata(folder: Path, study: Description, members: list[Member], sums: dict[str, str], licence: str) -> str:
    """ro-crate-metadata.json: the descriptor, the root, one entity a file."""
    root = {
        "@id": "./", "@type": "Dataset", "name": study.heading,
        "description": study.description or f"Runs, tables and report of the study {study.study}",
        "datePublished": _date(folder / "provenance.csv"), "identifier": study.study,
        "hasPart": [{"@id": quote(path)} for path in [*(member.path for member in members), SUMS]],
        "mentions": {"@id": "#renorm"},
    }  # fmt: skip
    if licence:
        root["license"] = {"@id": licence}
    descriptor = {
        "@id": METADATA, "@type": "CreativeWork", "conformsTo": {"@id": PROFILE}, "about": {"@id": "./"},
    }  # fmt: skip
    software = {
        "@id": "#renorm", "@type": "SoftwareApplication", "name": "renorm", "softwareVersion": __version__,
    }  # fmt: skip
    graph = [descriptor, root, *(_entity(member, sums[member.path]) for member in members)]
    graph += [{"@id": SUMS, "@type": "File", "name": SUMS, "description": DESCRIPTIONS[SUMS],
               "encodingFormat": "text/plain"}, software]  # fmt: skip
    if licence:
        graph.append({"@id": licence, "@type": "CreativeWork", "name": licence})
    return json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def _entity(member: Member, digest: str) -> dict[str, Any]:
    entity = {
        "@id": quote(member.path), "@type": "File", "name": member.path, "sha256": digest,
        "contentSize": str(len(member.data)),
    }  # fmt: skip
    if f"/{AS_WRITTEN}/" in member.path:
        entity["description"] = "The configuration as its author wrote it; config.json has the paths of this crate"
    elif member.name in DESCRIPTIONS:
        entity["description"] = DESCRIPTIONS[member.name]
    if (suffix := PurePosixPath(member.path).suffix) in FORMATS:
        entity["encodingFormat"] = FORMATS[suffix]
    return entity


def _date(provenance: Path) -> str:
    """When the last run finished; today where none has."""
    finished = [row["finished"] for row in TABLES["provenance"].read(provenance, ("finished",))]
    return max(finished, default="") or datetime.now(UTC).date().isoformat()


def _write_zip(out: Path, members: list[Member], made: dict[str, str]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as crate:
        for path, text in made.items():
            crate.writestr(_info(path), text)
        for member in members:
            crate.writestr(_info(member.path), member.data)
    files.write_atomic(out, buffer.getvalue())


def _info(path: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, ZIP_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _write_folder(out: Path, members: list[Member], made: dict[str, str]) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RenormError(f"{out}: exists already: remove it or name another folder with --out")
    for member in members:
        files.write_atomic(out / member.path, member.data)
    for path, text in made.items():  # the metadata last: with it the crate is whole
        files.write_atomic(out / path, text)
