"""Layer views → tidy rows: the numbers behind their figures in the report."""

from pathlib import Path

from renorm.core import files
from renorm.core.errors import RenormError
from renorm.runs.run_record import Record
from renorm.study import grid
from renorm.study.cell import Cell
from renorm.study.config import LayerView, Study
from renorm.study.data_manifest import data_checksum

AGAIN = "remove it and run `renorm inspect` again"


def rows(study: Study, weights: dict[Cell, str | None], data: dict[str, str | None]) -> dict[str, list[dict]]:
    """The rows of layer_views.csv, layer_view_images.csv and layer_view_histograms.csv.

    `weights`: the checksum of the final weights of each cell that has a record; `data`: that of each data set. A
    view made from others is missing.
    """
    out: dict[str, list[dict]] = {"layer_views": [], "layer_view_images": [], "layer_view_histograms": []}
    for name, view in grid.layer_views(study).items():
        frame = {"view": name, "kind": view.kind, "title": view.title or name, **view.of.as_dict(),
                 "trained": str(view.trained).lower(), "layer": view.layer}  # fmt: skip
        try:
            found = _read(study, name, view, weights.get(view.of), data.get(view.of.dataset))
        except RenormError as error:
            out["layer_views"].append(frame | {"status": "missing", "error": str(error)})
            continue
        frame |= {key: found[key] for key in ("path", "images", "features")} | {"status": "inspected"}
        out["layer_views"] += [frame | measure for measure in found["measures"]]
        out["layer_view_images"] += [{"view": name, **row} for row in _image_rows(found["layer_view_images"])]
        out["layer_view_histograms"] += [
            {"view": name, **row} for row in _histogram_rows(found["layer_view_histograms"])
        ]
    return out


def path(study: Study, name: str) -> Path:
    return Path(study.results_dir) / "layer_views" / f"{name}.json"


def is_current(study: Study, name: str, record: Record | None) -> bool:
    """Whether the view exists for the current cell, weights and data; `record`: that of its cell."""
    view = study.layer_views[name]
    data = data_checksum(study, view.of.dataset)
    try:
        _read(study, name, view, record.weights_sha256 if record else None, data)
    except RenormError:
        return False
    return True


def _read(study: Study, name: str, view: LayerView, weights: str | None, data: str | None) -> dict:
    place = path(study, name)
    if not place.exists():
        raise RenormError("not made yet")
    found = files.read_sealed(place, AGAIN)
    asked = {"kind": view.kind, "cell": view.of.as_dict(), "trained": view.trained, "layer": view.layer,
             "hyperparameters": grid.hyperparameters(study, view.of),
             "weights_sha256": weights if view.trained else None}  # fmt: skip
    other = [key for key, value in asked.items() if found.get(key) != value]
    if data not in (None, found.get("data_sha256")):
        other.append("data_sha256")
    if other:
        raise RenormError(f"{place}: was made with another {other[0]}: {AGAIN}")
    return found


def _image_rows(images: list[dict]):
    for image in images:
        for row, values in enumerate(image["values"]):
            for column, value in enumerate(values):
                yield {"image": image["image"], "channel": image["channel"], "row": row, "column": column,
                       "value": value}  # fmt: skip


def _histogram_rows(histograms: list[dict]):
    for one in histograms:
        for low, high, share in zip(one["edges"][:-1], one["edges"][1:], one["shares"], strict=True):
            yield {"series": one["series"], "low": round(low, 6), "high": round(high, 6), "share": share}
