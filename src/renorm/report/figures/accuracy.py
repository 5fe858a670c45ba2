"""Claimed and found accuracy as grouped bars, one figure per dataset and source: the published Figures 2 and 3."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.patches import Patch

from renorm.report.figures.captions import words
from renorm.report.figures.style import Figure, legend, panels, plain, tidy
from renorm.report.inputs import Inputs
from renorm.report.labels import Answers, Names, epochs_label, slug
from renorm.report.palette import LIGHT, norm_colours


def figures(inputs: Inputs) -> Iterator[Figure]:
    for dataset, metric, answers in per_claims(inputs):
        for source in Names(inputs).sources(answers.rows):
            yield _figure(inputs, answers, dataset, metric, source)


def per_claims(inputs: Inputs) -> Iterator[tuple[str, str, Answers]]:
    """(dataset, metric, what was found about one source's claims) wherever there are values, in the study's order."""
    names, verdicts = Names(inputs), inputs["threshold_rule"]
    found = verdicts[verdicts["value"].notna()]
    for dataset in names.order("dataset", found):
        for metric in ("top1", "top5"):
            for answers in names.answers(found[(found["dataset"] == dataset) & (found["metric"] == metric)]):
                yield dataset, metric, answers


def _figure(inputs: Inputs, answers: Answers, dataset: str, metric: str, source: str) -> Figure:
    names, rows = Names(inputs), answers.rows[answers.rows["source"] == source]
    epochs = sorted(set(rows["epochs"]))
    pairs, norms = names.rows(rows), names.norms(rows)
    colours = {norm: LIGHT[name] for norm, name in norm_colours(norms, inputs.baseline, inputs.method).items()}
    wide = len(pairs) > 6
    canvas, axes = panels(len(epochs), 1 if wide else 3, 2.15 if wide else 2.6)
    for ax, setting in zip(axes, epochs, strict=True):
        _panel(ax, rows[rows["epochs"] == setting], pairs, norms, colours)
        labels = [plain(names.row_label(pair, rows)) for pair in pairs]
        ax.set_xticks(range(len(pairs)), labels, rotation=30 if max(map(len, labels)) > 14 else 0, ha="center")
        ax.set_title(epochs_label(setting))
    axes[0].set_ylabel("accuracy, %")
    original = names.source(rows["claim_source"].iloc[0])
    handles = []
    for norm in norms:
        handles.append(Patch(facecolor="none", edgecolor=colours[norm], label=plain(f"{names.norm(norm)}, {original}")))
        handles.append(Patch(facecolor=colours[norm], label=plain(f"{names.norm(norm)}, {names.source(source)}")))
    legend(canvas, handles)
    said = words(
        "accuracy", dataset=answers.of(names.dataset(dataset), with_source=False), source=names.source(source),
        original=original, norms=" and ".join(map(names.norm, norms)), epochs=", ".join(map(epochs_label, epochs)),
    )  # fmt: skip
    if rows["metric"].iloc[0] != "top1":
        said["title"] += f" ({names.label('metric', metric)})"
    name = slug("accuracy", dataset, metric, *answers.key, source)
    return Figure(name, **said, section="accuracy", dataset=dataset, canvas=canvas)


def _panel(ax, rows: pd.DataFrame, pairs: list, norms: list, colours: dict) -> None:
    width = 0.8 / (2 * len(norms))
    lookup = {(row["arch"], row["recipe"], row["norm"]): row for row in rows.to_dict("records")}
    for i, pair in enumerate(pairs):
        for j, norm in enumerate(norms):
            row = lookup.get((*pair, norm))
            if row is None:
                continue
            left = i - 0.4 + (2 * j + 0.5) * width
            bars = {"width": width * 0.86, "edgecolor": colours[norm], "linewidth": 0.9, "zorder": 2}
            ax.bar(left, 100 * row["claimed"], facecolor="none", **bars)
            ax.bar(left + width, 100 * row["value"], facecolor=colours[norm], **bars)
            if pd.notna(row["sd"]):
                spread = {"ecolor": LIGHT["ink"], "elinewidth": 0.9, "capsize": 0, "zorder": 3}
                ax.errorbar(left + width, 100 * row["value"], 100 * row["sd"], **spread)
    ax.set_xlim(-0.6, len(pairs) - 0.4)
    ax.set_ylim(0, 100)
    tidy(ax, "y")
