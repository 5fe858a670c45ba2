"""From claim to result: a tick where the claim stands, a mark where each source ended, a line between them."""

from collections.abc import Iterator

import pandas as pd

from renorm.report import formatting
from renorm.report.figures.captions import words
from renorm.report.figures.style import HEAD, Figure, bands, legend, mark, panels, plain, rows_axis, sample, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Answers, Names, epochs_label, slug
from renorm.report.palette import LIGHT, norm_colours

MARKERS = "Dosv^P"  # this study is the filled diamond; published sources are open


def figures(inputs: Inputs) -> Iterator[Figure]:
    for dataset, metric, answers in per_claims(inputs):
        yield _figure(inputs, answers, dataset, metric)


def per_claims(inputs: Inputs) -> Iterator[tuple[str, str, Answers]]:
    """(dataset, metric, what was found about one source's claims) wherever there are values, in the study's order."""
    names, verdicts = Names(inputs), inputs["threshold_rule"]
    found = verdicts[verdicts["value"].notna() & verdicts["claimed"].notna()]
    for dataset in names.order("dataset", found):
        for metric in names.metrics(found):
            for answers in names.answers(found[(found["dataset"] == dataset) & (found["metric"] == metric)]):
                yield dataset, metric, answers


def _figure(inputs: Inputs, answers: Answers, dataset: str, metric: str) -> Figure:
    names, rows = Names(inputs), answers.rows
    epochs, pairs, norms = sorted(set(rows["epochs"])), names.rows(rows), names.norms(rows)
    colours = {norm: LIGHT[name] for norm, name in norm_colours(norms, inputs.baseline, inputs.method).items()}
    looks = _looks(inputs, names.sources(rows))
    canvas, axes = panels(len(epochs), 3, HEAD + 0.27 * len(pairs))
    for i, (ax, setting) in enumerate(zip(axes, epochs, strict=True)):
        _panel(ax, names, rows[rows["epochs"] == setting], pairs, norms, colours, looks)
        bands(ax, len(pairs))
        ax.set_title(epochs_label(setting))
        ax.set_xlabel(plain(names.metric(metric).axis))
        rows_axis(ax, [names.row_label(pair, rows) for pair in pairs], show=i == 0)
    keys = [*(("source", source) for source in looks), *(("norm", norm) for norm in norms)]
    legend(canvas, _handles(names, norms, colours, looks), keys)
    said = words(
        "dumbbell", **names.terms(metric), dataset=answers.of(names.dataset(dataset)),
        original=names.source(rows["claim_source"].iloc[0]),
        norms=" and ".join(map(names.norm, norms)), epochs=", ".join(map(epochs_label, epochs)),
        markers=", ".join(f"{shape[2]}: {names.source(source)}" for source, shape in looks.items()),
    )  # fmt: skip
    if metric != inputs.primary.name:
        said["title"] += f" ({names.label('metric', metric)})"
    name = slug("dumbbell", dataset, metric, *answers.key)
    own = inputs.name in set(rows["source"])
    return Figure(
        name,
        **said,
        section="comparison",
        dataset=dataset,
        canvas=canvas,
        own=own,
        collapsed=metric != inputs.primary.name,
    )


def _looks(inputs: Inputs, sources: list[str]) -> dict[str, tuple[str, bool, str]]:
    """source → marker, filled or open, and what that is called in the caption."""
    words = {"D": "filled diamond", "o": "circle", "s": "square", "v": "triangle", "^": "triangle up", "P": "plus"}
    published = iter(MARKERS[1:] * 9)
    looks = {}
    for source in sources:
        marker = MARKERS[0] if source == inputs.name else next(published)
        looks[source] = (marker, source == inputs.name, words[marker])
    return looks


def _panel(ax, names: Names, rows: pd.DataFrame, pairs: list, norms: list, colours: dict, looks: dict) -> None:
    scale = names.metric(rows["metric"].iloc[0]).scale if len(rows) else 1.0
    step = 0.62 / max(1, len(norms) * len(looks) - 1)
    for row in rows.to_dict("records"):
        track = norms.index(row["norm"]) * len(looks) + list(looks).index(row["source"])
        y = pairs.index((row["arch"], row["recipe"])) - 0.31 + track * step
        colour, (marker, filled, _) = colours[row["norm"]], looks[row["source"]]
        claimed, value = scale * row["claimed"], scale * row["value"]
        about = {key: row[key] for key in ("arch", "norm", "recipe", "verdict", "source")}
        drawn = ax.plot([claimed, value], [y, y], color=colour, linewidth=1.1, zorder=2)
        drawn += ax.plot([claimed], [y], marker="|", markersize=6, color=LIGHT["claim"], markeredgewidth=1.3, zorder=3)
        if pd.notna(row["sd"]):
            spread = ax.errorbar(
                value, y, xerr=scale * row["sd"], ecolor=LIGHT["ink"], elinewidth=0.8, capsize=1.5, zorder=3
            )
            drawn += [*spread.lines[1], *spread.lines[2]]
        for artist in drawn:
            mark(artist, **about)
        face = colour if filled else LIGHT["ground"]
        (point,) = ax.plot([value], [y], marker=marker, markersize=4, color=colour, markerfacecolor=face, zorder=4)
        mark(point, _said(names, row), **about)
    tidy(ax)


def _said(names: Names, row: dict) -> str:
    """One value in words, as whoever points at it reads it."""
    cell = f"{names.arch(row['arch'])}, {names.norm(row['norm'])}, {epochs_label(row['epochs'])}"
    metric = names.metric(row["metric"])
    unit = f" {metric.printed}".rstrip()
    spread = f" ± {formatting.measure(metric, row['sd'])}" if pd.notna(row["sd"]) else ""
    return (
        f"{cell}, {names.source(row['source'])}: {formatting.measure(metric, row['value'])}{spread}{unit}, "
        f"claimed {formatting.measure(metric, row['claimed'])}{unit} ({row['verdict']})"
    )


def _handles(names: Names, norms: list, colours: dict, looks: dict) -> list:
    claim = {"marker": "|", "linestyle": "", "color": LIGHT["claim"], "markeredgewidth": 1.3}
    handles = [sample("claim", **claim)]
    for source, (marker, filled, _) in looks.items():
        face = LIGHT["soft"] if filled else LIGHT["ground"]
        look = {"marker": marker, "linestyle": "", "color": LIGHT["soft"], "markerfacecolor": face, "markersize": 4.5}
        handles.append(sample(names.source(source), **look))
    return handles + [sample(names.norm(n), color=colours[n], linewidth=2.2) for n in norms]
