"""The metric over an axis that recipes vary: mean and standard deviation at every value, a line a normaliser."""

from collections.abc import Iterator

import pandas as pd

from renorm.report.figures.captions import words
from renorm.report.figures.style import Figure, legend, panels, plain, sample, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Names, epochs_label, slug
from renorm.report.palette import LIGHT, norm_colours, norm_markers
from renorm.study.recipe_axes import Place


def figures(inputs: Inputs) -> Iterator[Figure]:
    """One for each family of recipes, axis and data set with two values or more of the axis in one setting."""
    places = inputs.study.recipe_axes
    metric = inputs.primary.name
    means = inputs["study_means"] if inputs.has("study_means") else None
    if not places or means is None:
        return
    rows = means[(means["metric"] == metric) & (means["split"] == "test") & means["value"].notna()]
    families = {place.family: list(place.axes) for place in places.values()}
    for family, axes in families.items():
        for axis in axes:
            found = _placed(rows, places, family, axis)
            for dataset in Names(inputs).order("dataset", found):
                here = found[found["dataset"] == dataset]
                kept = here[here.groupby(["line"])["at"].transform("nunique") > 1]
                if len(kept):
                    yield _figure(inputs, (family, axis, metric), dataset, kept)


def _placed(rows: pd.DataFrame, places: dict[str, Place], family: str, axis: str) -> pd.DataFrame:
    """The rows of a family's recipes: `at` is the value on `axis`, `rest` the values on its other axes."""
    rows = rows[[recipe in places and places[recipe].family == family for recipe in rows["recipe"]]].copy()
    rows["at"] = [places[recipe].axes[axis] for recipe in rows["recipe"]]
    rows["rest"] = [
        ", ".join(f"{key} {value}" for key, value in places[recipe].axes.items() if key != axis)
        for recipe in rows["recipe"]
    ]
    rows["line"] = list(zip(rows["arch"], rows["epochs"], rows["rest"], rows["norm"], strict=True))
    return rows


def _figure(inputs: Inputs, what: tuple[str, str, str], dataset: str, rows: pd.DataFrame) -> Figure:
    (family, axis, metric), names = what, Names(inputs)
    norms, values = names.norms(rows), _values(inputs, family, axis, set(rows["at"]))
    colours = {norm: LIGHT[name] for norm, name in norm_colours(norms, inputs.baseline, inputs.method).items()}
    markers = norm_markers(norms, inputs.baseline, inputs.method)
    order = names.order("arch", rows)
    settings = sorted({line[:3] for line in rows["line"]}, key=lambda s: (order.index(s[0]), *s[1:]))
    canvas, axes = panels(len(settings), 3, 1.9)
    several = len({setting[1] for setting in settings}) > 1
    for ax, (arch, epochs, rest) in zip(axes, settings, strict=True):
        here = rows[(rows["arch"] == arch) & (rows["epochs"] == epochs) & (rows["rest"] == rest)]
        for norm in norms:
            _line(ax, here[here["norm"] == norm], values, (colours[norm], markers[norm]), inputs.primary.scale)
        title = [names.arch(arch), epochs_label(epochs) if several else "", rest]
        ax.set_title(plain(", ".join(filter(None, title))))
        ax.set_xticks(range(len(values)), values)
        ax.set_xlabel(plain(names.label("axis", axis)))
        tidy(ax, "both")
    for ax in axes[::3]:
        ax.set_ylabel(plain(inputs.primary.axis))
    legend(canvas, [
        sample(names.norm(n), color=colours[n], marker=markers[n], markersize=4) for n in norms
    ])  # fmt: skip
    said = words(
        "along_axis", **names.terms(), dataset=names.dataset(dataset), axis=names.label("axis", axis),
        values=", ".join(values),
        metric=names.label("metric", metric), norms=" and ".join(map(names.norm, norms)),
        epochs=", ".join(map(epochs_label, sorted(set(rows["epochs"])))),
    )  # fmt: skip
    return Figure(slug("axis", dataset, family, axis), **said, section="axes", dataset=dataset, canvas=canvas)


def _values(inputs: Inputs, family: str, axis: str, found: set[str]) -> list[str]:
    """The values on the axis: numbers by size, words in the order of the study's recipes."""
    places = inputs.study.recipe_axes.values()
    known = list(dict.fromkeys(place.axes[axis] for place in places if place.family == family))
    try:
        return sorted((value for value in known if value in found), key=float)
    except ValueError:
        return [value for value in known if value in found]


def _line(ax, rows: pd.DataFrame, values: list[str], look: tuple[str, str], scale: float) -> None:
    colour, marker = look
    rows = rows.assign(x=[values.index(at) for at in rows["at"]]).sort_values("x")
    spread = scale * rows["sd"].fillna(0)
    ax.errorbar(
        rows["x"], scale * rows["value"], yerr=spread, color=colour, marker=marker, markersize=4, linewidth=1.1,
        elinewidth=0.8, capsize=1.5,
    )  # fmt: skip
