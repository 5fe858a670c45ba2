"""Drawings as they were made → tidy rows: the numbers behind every picture of the report."""

from pathlib import Path

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.study import grid
from renorm.study.cell import AXES, Cell
from renorm.study.config import Drawing, Study

DRAWINGS = ("drawing", "kind", "title", *AXES, "trained", "layer", "path", "images", "features", "status", "error",
            "measure", "before", "after")  # fmt: skip
PICTURES = ("drawing", "picture", "channel", "row", "column", "value")
HISTOGRAMS = ("drawing", "series", "low", "high", "share")
AGAIN = "remove it and draw again"


def rows(study: Study, weights: dict[Cell, str], data: dict[str, str | None]) -> dict[str, list[dict]]:
    """The rows of drawings.csv, pictures.csv and histograms.csv.

    `weights`: the checksum of the final weights of each cell that has a record; `data`: that of each data set. What
    was drawn from others is not there.
    """
    out: dict[str, list[dict]] = {"drawings": [], "pictures": [], "histograms": []}
    for name, drawing in grid.drawings(study).items():
        frame = {"drawing": name, "kind": drawing.kind, "title": drawing.title or name, **drawing.of.as_dict(),
                 "trained": str(drawing.trained).lower(), "layer": drawing.layer}  # fmt: skip
        try:
            found = _read(study, name, drawing, weights.get(drawing.of), data.get(drawing.of.dataset))
        except RenormError as error:
            out["drawings"].append(frame | {"status": "missing", "error": str(error)})
            continue
        frame |= {key: found[key] for key in ("path", "images", "features")} | {"status": "drawn"}
        out["drawings"] += [frame | measure for measure in found["measures"]]
        out["pictures"] += [{"drawing": name, **row} for row in _pictures(found["pictures"])]
        out["histograms"] += [{"drawing": name, **row} for row in _histograms(found["histograms"])]
    return out


def path(study: Study, name: str) -> Path:
    return Path(study.results_dir) / "drawings" / f"{name}.json"


def _read(study: Study, name: str, drawing: Drawing, weights: str | None, data: str | None) -> dict:
    place = path(study, name)
    if not place.exists():
        raise RenormError("not drawn yet")
    found = files.read_sealed(place, AGAIN)
    asked = {"kind": drawing.kind, "cell": drawing.of.as_dict(), "trained": drawing.trained, "layer": drawing.layer,
             "hyperparameters": grid.hyperparameters(study, drawing.of),
             "weights_sha256": weights if drawing.trained else None}  # fmt: skip
    other = [key for key, value in asked.items() if found.get(key) != value]
    if data not in (None, found.get("data_sha256")):
        other.append("data_sha256")
    if other:
        raise RenormError(f"{place}: was drawn with another {other[0]}: {AGAIN}")
    return found


def _pictures(pictures: list[dict]):
    for picture in pictures:
        for row, values in enumerate(picture["values"]):
            for column, value in enumerate(values):
                yield {"picture": picture["picture"], "channel": picture["channel"], "row": row, "column": column,
                       "value": value}  # fmt: skip


def _histograms(histograms: list[dict]):
    for one in histograms:
        for low, high, share in zip(one["edges"][:-1], one["edges"][1:], one["shares"], strict=True):
            yield {"series": one["series"], "low": round(low, 6), "high": round(high, 6), "share": share}
