"""The tables of a study: every CSV that renorm writes, column by column. docs/tables.md is generated from here."""

from renorm.core.metrics import METRICS
from renorm.core.tables import Column, Kind, TableSpec

COLLECT, JUDGE, COMPARE = "renorm collect", "renorm judge", "renorm report --compare"
GROUP = ("dataset", "arch", "norm", "recipe", "epochs")  # a cell without its seed
CELL = (*GROUP, "seed")

# What a column means wherever it is: name → (type, may be empty, meaning).
_SHARED: dict[str, tuple[Kind, bool, str]] = {
    "dataset": ("text", False, "data set"),
    "arch": ("text", False, "architecture"),
    "norm": ("text", False, "normaliser"),
    "recipe": ("text", False, "the recipe's name in the study"),
    "epochs": ("count", False, "epochs planned"),
    "seed": ("count", False, "seed"),
    "source": ("text", False, "whose value: a claims folder's name, or the study's"),
    "claim_source": ("text", False, "who claimed it"),
    "table": ("text", True, "where it is printed (`Table 4`); empty for runs"),
    "page": ("text", True, "page or section of the document; empty for runs"),
    "attempt": ("count", True, "the seed of a run or the number of an attempt; empty for an average"),
    "metric": ("text", False, f"{', '.join(f'`{name}`' for name in METRICS)}, or one of the study's own"),
    "split": ("text", False, "`train`, `test`, `unstated`; `seconds` of `train` are the time spent training"),
    "selection": ("text", False, "`final` epoch, `best` epoch, `unstated`"),
    "value": ("number", True, "the mean"),
    "unit": ("text", False, "unit of the value"),
    "n": ("count", True, "number of runs behind the value"),
    "n_expected": ("count", True, "runs that should be behind it: missing, failed and diverged ones count"),
    "diverged": ("count", False, "runs that diverged"),
    "counted": ("bool", False, "whether the row decides its pair: `judge.metric`, test split, `judge.selection`"),
    "n_images": ("count", True, "images behind an accuracy or loss (runs only)"),
    "epochs_completed": ("count", True, "epochs the run finished"),
    "claimed": ("number", True, "the claimed value; empty for a run that diverged"),
    "reproduced_split": ("text", False, "split of the source's value"),
    "sd": ("number", True, "standard deviation of the runs (n - 1)"),
    "minimum": ("number", True, "least of the runs"),
    "maximum": ("number", True, "largest of the runs"),
    "change": ("number", True, "value - claimed"),
    "relative_change": ("number", True, "change / size of the claim"),
    "reason": ("text", True, "the reason in words"),
    "flags": ("text", True, "warnings joined by `;`: `above_claim`, `granularity`, `near_perfect`, "
    "`selection_differs`, "
              "`nearer_train`, `bistable`"),
    "comparison": ("text", True, "name of the comparison in the configuration"),
    "axis": ("text", False, "what is compared: `norm`, `recipe`, `arch`, or a setting that recipes vary"),
    "axis_value": ("text", True, "the cell's value on the comparison's axis"),
    "baseline": ("text", False, "the baseline's value on the axis"),
    "method": ("text", False, "the method's value on the axis"),
    "n_baseline": ("count", True, "runs of the baseline"),
    "n_method": ("count", True, "runs of the method"),
    "n_pairs": ("count", True, "pairs of runs with a common seed"),
    "test": ("text", True, "`paired t`, `partially paired t` (80 % of the seeds common), `Welch t`, or `none`"),
    "low": ("number", True, "lower end of the interval"),
    "high": ("number", True, "upper end of the interval"),
    "p": ("number", True, "p value"),
    "p_holm": ("number", True, "p value after Holm's adjustment"),
    "train_seconds": ("number", True, "seconds of training"),
    "test_seconds": ("number", True, "seconds of testing"),
    "ratio": ("number", True, "ratio of training times to the baseline's"),
    "ratio_low": ("number", True, "lower end of the ratio's interval; needs two runs on either side"),
    "ratio_high": ("number", True, "upper end of the ratio's interval"),
    "train_loss": ("number", True, "training loss"),
    "view": ("text", False, "name of the layer view"),
    "of": ("number", True, "the count's denominator"),
    "in": ("text", False, "`ab`, `a`, or `b`"),
}  # fmt: skip


def _columns(names: str, optional: str = "", /, **own: tuple[Kind, bool, str]) -> tuple[Column, ...]:
    """The columns of `names`, with the shared meaning or one of their own."""
    meanings = _SHARED | own
    made = []
    for name in names.split():
        kind, empty, meaning = meanings[name]
        made.append(Column(name, kind, meaning, empty, name in optional.split()))
    return tuple(made)


_CELL, _GROUP = " ".join(CELL), " ".join(GROUP)
_ATTEMPTS = "`attempts`, or `average` where only the average was published (the deviation is then a lower bound)"
# The columns of claims/{source}/*.csv and of runs.csv: published and own values compare without translation.
MEASUREMENTS = _columns(
    f"source table page {_GROUP} attempt metric split selection value unit n sd ci_low ci_high "
    "n_images epochs_completed status note",
    "attempt sd ci_low ci_high n_images epochs_completed status note",
    value=("number", True, "the number in `unit`; empty for a diverged run"),
    unit=("text", False, "accepted unit of the metric (`percent`, `fraction`, `nats`, `s`, ...)"),
    sd=("number", True, "standard deviation of those runs, in `unit`; averages only"),
    ci_low=("number", True, "95 % confidence interval of an average (a t interval over its `n` runs), in `unit`"),
    ci_high=("number", True, "its upper end"),
    status=("text", True, "`completed`, `diverged` (runs only)"),
    note=("text", True, "anything a reader must know about this number"),
)

SPECS = (
    TableSpec(
        "cells",
        COLLECT,
        "Every expected cell and its outcome",
        _columns(
            f"{_CELL} experiments status epochs_completed parameters error",
            experiments=("text", False, "the experiments that want it, joined by `;`"),
            status=("text", False, "`completed`, `diverged`, `failed`, `missing`"),
            parameters=("count", True, "learned parameters of the network"),
            error=("text", True, "why there is no record"),
        ),
        required=True,
    ),
    TableSpec("runs", COLLECT, "Every number of every run", MEASUREMENTS, required=True),
    TableSpec(
        "histories",
        COLLECT,
        "Training curves, epoch by epoch",
        _columns(
            f"{_CELL} epoch lr train_loss train_top1 train_top5 test_loss test_top1 test_top5 train_seconds "
            "test_seconds",
            epoch=("count", False, "epoch, from 1"),
            lr=("number", True, "learning rate at the epoch's end"),
            train_top1=("number", True, "training top-1 accuracy"),
            train_top5=("number", True, "training top-5 accuracy"),
            test_loss=("number", True, "test loss"),
            test_top1=("number", True, "test top-1 accuracy"),
            test_top5=("number", True, "test top-5 accuracy"),
        ),
        "Histories of programs may have further columns.",
        required=True,
    ),
    TableSpec(
        "steps",
        COLLECT,
        "Training loss of the first steps, where the recipe's `log_steps` asks for it",
        _columns(f"{_CELL} step train_loss", step=("count", False, "step, from 1")),
    ),
    TableSpec(
        "costs",
        COLLECT,
        "Hours of GPUs or CPU cores that the study has cost, by experiment",
        _columns(
            "experiment unit jobs hours lost_hours training_hours unknown budget",
            experiment=("text", False, "its name; `other`: what else a budget counts; `all`: each cell once"),
            unit=("text", False, "`GPU-hours`, or `CPU-hours` of a study with `gpu: 0`"),
            jobs=("count", False, "jobs submitted to a cluster"),
            hours=("number", False, "for which the devices were occupied, by all jobs, or by the runs without jobs"),
            lost_hours=("number", False, "of these, in jobs that did not complete"),
            training_hours=("number", False, "of these, of training and testing in the runs that count"),
            unknown=("count", False, "jobs whose end, and so hours, are not known"),
            budget=("number", True, "the budget's hours"),
        ),
        "A cell that several experiments share counts in each of them. Adopted runs have cost nothing here.",
    ),
    TableSpec(
        "provenance",
        COLLECT,
        "What every run was made with: device, versions, code, data",
        _columns(
            f"{_CELL} protocol commit dirty renorm python torch torchvision cuda cudnn device host_cpus threads "
            "precision "
            "deterministic data_sha256 code_sha256 runner adopted_from resumes started finished",
            **{
                name: ("text", True, meaning)
                for name, meaning in {
                    "protocol": "meaning of a run; other protocols do not mix",
                    "commit": "commit of the code",
                    "dirty": "whether the checkout had changes",
                    "renorm": "version of renorm",
                    "python": "version of Python",
                    "torch": "version of torch",
                    "torchvision": "version of torchvision",
                    "cuda": "version of CUDA",
                    "cudnn": "version of cuDNN",
                    "device": "GPU or CPU",
                    "host_cpus": "CPUs of the host",
                    "threads": "CPU threads of the run",
                    "precision": "float32, tf32 or bfloat16",
                    "deterministic": "deterministic kernels only",
                    "data_sha256": "checksum of the prepared data set",
                    "code_sha256": "digest of the code that made the numbers, renorm's or the program's, by meaning",
                    "runner": "built-in trainer, or the program with its commit",
                    "adopted_from": "where the record came from, if it was not made here",
                    "resumes": "how often it resumed",
                    "started": "start, UTC",
                    "finished": "end, UTC",
                }.items()
            },
        ),
        required=True,
    ),
    TableSpec(
        "layer_views",
        COLLECT,
        "Layer views: numbers before and after deconvolution",
        _columns(
            f"view kind title {_CELL} trained layer path images features status error measure before after",
            kind=("text", False, "`covariance`, `image`, `sparsity`"),
            title=("text", False, "heading in the report"),
            trained=("text", False, "`true`: final weights; `false`: initial ones"),
            layer=("count", False, "which convolution, in the order of definition"),
            path=("text", True, "the layer's name in the network"),
            images=("count", True, "images it was made from"),
            features=("count", True, "features of the layer's input"),
            status=("text", False, "`inspected` or `missing`"),
            error=("text", True, "why it is missing"),
            measure=(
                "text",
                True,
                "`off_diagonal`, `identity_distance` (covariance), `near_zero`, `kurtosis` (values)",
            ),
            before=("number", True, "the measure before deconvolution"),
            after=("number", True, "and after"),
        ),
    ),
    TableSpec(
        "layer_view_images",
        COLLECT,
        "Pixel values of every layer view",
        _columns(
            "view image channel row column value",
            image=("text", False, "which image of the view"),
            channel=("count", False, "channel, from 0"),
            row=("count", False, "row, from 0"),
            column=("count", False, "column, from 0"),
            value=("number", True, "the pixel's value"),
        ),
    ),
    TableSpec(
        "layer_view_histograms",
        COLLECT,
        "Histograms of the values of every layer view",
        _columns(
            "view series low high share",
            series=("text", False, "`before` or `after`"),
            low=("number", False, "lower edge, in root mean squares"),
            high=("number", False, "upper edge"),
            share=("number", False, "share of the values in between"),
        ),
    ),
    TableSpec(
        "study_means",
        JUDGE,
        "This study's own means, one row per cell (seed aside) × metric × split",
        _columns(f"source {_GROUP} metric split n n_expected diverged value sd minimum maximum"),
        "Accuracies at `judge.selection`, and `seconds`; a cell without a finished run has `n` 0 and no value.",
    ),
    TableSpec(
        "threshold_rule",
        JUDGE,
        "Every claim compared with every source by the published threshold rule",
        _columns(
            f"claim_source table page {_GROUP} metric split selection claimed source reproduced_split n "
            "n_expected value sd "
            "minimum maximum change relative_change verdict colour mark reason flags",
            verdict=(
                "text",
                False,
                "`better`, `within`, `below` (worse by more than the threshold), `diverged` (every run), `missing`, "
                "`not judged` (the claimed run diverged)",
            ),
            colour=("text", False, "`green`, `black`, `red`, `grey`"),
            mark=("text", False, "`▲`, `=`, `▼`, `✗`, `–`"),
        ),
        "`split` and `selection` are the claim's own. The study has a row for every claim whose cell (seed "
        "aside) is in its "
        "grid. A diverged run counts in `n_expected` and not in `n`.",
        required=True,
    ),
    TableSpec(
        "comparison",
        JUDGE,
        "Method against baseline within each source",
        _columns(
            f"comparison axis source {_GROUP} metric split baseline method baseline_value method_value improvement "
            "n_baseline n_method n_expected order holds counted reason",
            baseline_value=("number", True, "the baseline's mean"),
            method_value=("number", True, "the method's mean"),
            improvement=("number", True, "by how much the method is better, in the metric's unit"),
            order=(
                "number",
                True,
                "1 where the method is better, -1 where it is worse, 0 where neither is: equal, or the mean of the "
                "finished runs is better while more of that side's runs diverged",
            ),
            holds=("bool", True, "whether the method is better; empty when one side has no value"),
        ),
        "The cell is the method's. A side whose runs all diverged lost to one with a value.",
        required=True,
    ),
    TableSpec(
        "repeat_consistency",
        JUDGE,
        "Squared deviation of the repeats from the claim, as published",
        _columns(
            f"claim_source source {_GROUP} metric split selection claimed n reported_as deviation consistent",
            reported_as=("text", False, _ATTEMPTS),
            deviation=("number", True, "sum of squared deviations from the claim / (n - 1)"),
            consistent=("bool", True, "whether it is below `judge.consistency_threshold`"),
        ),
        required=True,
    ),
    TableSpec(
        "runtime",
        JUDGE,
        "Seconds of training and testing, and the ratio to the baseline",
        _columns(
            f"comparison source {_GROUP} n train_seconds test_seconds axis_value baseline_train_seconds ratio "
            "ratio_low "
            "ratio_high",
            baseline_train_seconds=("number", True, "the baseline's seconds of training"),
        ),
        "A cell has a row for each comparison that has its counterpart, and one without a comparison if none has. The "
        "ratio of a study's own runs is that of runs timed on one set-up: machine, threads, and the recording that "
        "brought them.",
        required=True,
    ),
    TableSpec(
        "equivalence",
        JUDGE,
        "Every claim compared with every source by the equivalence verdict",
        _columns(
            f"claim_source table page {_GROUP} metric split selection source reproduced_split verdict reason "
            "claimed claimed_sd claimed_n value n n_expected change relative_change error_change one_sided "
            "two_sided_relative two_sided_absolute sd spread spread_sd spread_df mean_low mean_high prediction_low "
            "prediction_high inside_prediction margin equivalence_low equivalence_high equivalence_p "
            "equivalence_p_holm seeds_needed settle_probability flags claim_nearer_split value_nearer_split",
            verdict=("text", False, "`reproduced`, `not reproduced`, `inconclusive`, `missing`, `not judged`"),
            error_change=(
                "number",
                True,
                "change of the error (how far it is from the best possible value), in parts of the claimed one",
            ),
            one_sided=("text", False, "the threshold rule's verdict"),
            two_sided_relative=("bool", True, "within the threshold times the claim, on either side"),
            two_sided_absolute=("bool", True, "within the threshold as a fraction, on either side"),
            claimed_sd=("number", True, "SD of the claim's own runs, where it is known"),
            claimed_n=("count", True, "how many runs the claim is the mean of"),
            spread=("text", True, "`own`, `moderated`, `borrowed` (one run), `claimed`, `floor`, `none`"),
            spread_sd=("number", True, "the SD that is used"),
            spread_df=("number", True, "its degrees of freedom"),
            mean_low=("number", True, "interval of the mean"),
            mean_high=("number", True, "interval of the mean"),
            prediction_low=("number", True, "where the claim lies if it is more such runs"),
            prediction_high=("number", True, "its upper end"),
            inside_prediction=("bool", True, "whether the claim lies in it"),
            margin=("number", False, "equivalence margin"),
            equivalence_low=("number", True, "interval of the test (1 - 2α)"),
            equivalence_high=("number", True, "its upper end"),
            equivalence_p=("number", True, "p value of the TOST"),
            equivalence_p_holm=("number", True, "after Holm's adjustment over the claims that the source answers"),
            settle_probability=("number", True, "probability that `seeds_needed` more runs settle the cell"),
            seeds_needed=("count", True, "runs to add to an inconclusive cell; empty: no number would settle it"),
            claim_nearer_split=(
                "text",
                True,
                "`train` or `test`: which of this study's accuracies the claim is nearer to",
            ),
            value_nearer_split=("text", True, "the same of the source's value"),
        ),
    ),
    TableSpec(
        "published_as",
        JUDGE,
        "Published values beside the cells that were run as them (experiments with `published_as`)",
        _columns(
            f"claim_source table page {_GROUP} metric split selection claimed run_dataset run_arch run_norm run_recipe "
            "as_published_value as_published_sd as_published_n as_published_verdict as_published_reason "
            "as_run_value as_run_sd as_run_n as_run_verdict as_run_reason finding",
            run_dataset=("text", False, "data set of the cell that was run"),
            run_arch=("text", False, "its architecture"),
            run_norm=("text", False, "its normaliser"),
            run_recipe=("text", False, "its recipe"),
            as_published_value=("number", True, "this study's mean of the cell as it was published"),
            as_published_sd=("number", True, "its standard deviation"),
            as_published_n=("count", True, "its finished runs"),
            as_published_verdict=("text", True, "its equivalence verdict; empty where it is not in the grid"),
            as_published_reason=("text", True, "why"),
            as_run_value=("number", True, "this study's mean of the cell that was run"),
            as_run_sd=("number", True, "its standard deviation"),
            as_run_n=("count", True, "its finished runs"),
            as_run_verdict=("text", False, "its equivalence verdict on the same published value"),
            as_run_reason=("text", False, "why"),
            finding=(
                "text",
                False,
                "which cell agrees: `as published`, `as run`, `both`, `neither`; only one ruled out: "
                "`not as published`, `not as run`; else `cannot say yet`",
            ),
        ),
        "None of it counts in a verdict on a claim, which is about the cell as it was published.",
    ),
    TableSpec(
        "method_vs_baseline",
        JUDGE,
        "Method against baseline tested pair by pair, where single runs are known",
        _columns(
            f"comparison axis source {_GROUP} metric split baseline method n_baseline n_method n_pairs test "
            "difference low high statistic df p p_holm outcome reason counted",
            difference=("number", True, "by how much the method is better, in the metric's unit"),
            statistic=("number", True, "t"),
            df=("number", True, "degrees of freedom"),
            outcome=("text", False, "`better`, `worse`, `undecided`, `missing`"),
        ),
        "The cell is the method's.",
    ),
    TableSpec(
        "effects",
        JUDGE,
        "How much better the method is in every source, with the standard error",
        _columns(
            f"comparison axis source {_GROUP} metric split baseline method effect se df low high n_baseline n_method "
            "basis",
            effect=("number", False, "improvement of the method over the baseline"),
            se=("number", False, "its standard error"),
            df=("number", False, "degrees of freedom behind it"),
            basis=("text", False, "the test it is from, or `printed SD`"),
        ),
        "Of counted pairs whose spread is known; none of a source's pair in which a run diverged.",
    ),
    TableSpec(
        "meta_analysis",
        JUDGE,
        "The effects of two sources or more combined, pair by pair",
        _columns(
            f"comparison axis {_GROUP} metric split baseline method sources k fixed fixed_low fixed_high random "
            "random_low random_high tau2 q q_p i2",
            sources=("text", False, "whose effects, joined by `;`"),
            k=("count", False, "number of sources"),
            fixed=("number", False, "estimate under one common effect"),
            fixed_low=("number", False, "its interval"),
            fixed_high=("number", False, "its interval"),
            random=("number", False, "estimate under effects that differ by source"),
            random_low=("number", False, "its interval (Hartung and Knapp)"),
            random_high=("number", False, "its interval"),
            tau2=("number", False, "variance between the sources (Paule and Mandel)"),
            q=("number", False, "Cochran's Q"),
            q_p=("number", False, "p value of Q"),
            i2=("number", False, "share of the variation that is not sampling"),
        ),
    ),
    TableSpec(
        "replications",
        JUDGE,
        "Every effect that was repeated, and how the repetition agrees with it",
        _columns(
            f"comparison axis {_GROUP} metric split baseline method earlier later earlier_effect earlier_se "
            "later_effect later_se prediction_low prediction_high inside_prediction sceptical_p sceptical_p_golden",
            earlier=("text", False, "the source that was repeated"),
            later=("text", False, "the source that repeated it"),
            earlier_effect=("number", False, "its effect"),
            earlier_se=("number", False, "and the standard error"),
            later_effect=("number", False, "its effect"),
            later_se=("number", False, "and the standard error"),
            prediction_low=("number", False, "where the later effect was to be expected"),
            prediction_high=("number", False, "its upper end"),
            inside_prediction=("bool", False, "whether it is there"),
            sceptical_p=("number", False, "one-sided sceptical p value (Held 2020)"),
            sceptical_p_golden=("number", False, "the same recalibrated, to be compared with 0.025"),
        ),
    ),
    TableSpec(
        "normalisers",
        JUDGE,
        "This study's normalisers side by side, where more than two share a setting",
        _columns(
            "source dataset arch recipe epochs norm n n_expected value sd delta_vs_baseline delta_vs_method "
            "epoch_seconds "
            "ratio pareto_optimal",
            delta_vs_baseline=("number", True, "value - that of the first compared norms' baseline"),
            delta_vs_method=("number", True, "value - that of their method"),
            epoch_seconds=("number", True, "training seconds per epoch"),
            pareto_optimal=("bool", True, "no other is at least as fast and as accurate; empty where one is not known"),
        ),
        "Test top-1 accuracy.",
    ),
    TableSpec(
        "convergence",
        JUDGE,
        "Epochs and seconds until a share of the baseline's final accuracy is reached",
        _columns(
            f"comparison source {_GROUP} axis_value level target n n_reached epochs_needed seconds_needed "
            "baseline_n baseline_n_reached baseline_seconds_needed ratio",
            level=("number", False, "share of the baseline's final test accuracy"),
            target=("number", False, "that accuracy"),
            n_reached=("count", False, "runs that reached it"),
            baseline_n=("count", False, "runs of the baseline"),
            baseline_n_reached=("count", False, "of which reached it"),
            epochs_needed=("number", True, "mean epochs over these"),
            seconds_needed=("number", True, "mean seconds"),
            baseline_seconds_needed=("number", True, "the baseline's mean seconds"),
        ),
        "Diverged runs count in `n`.",
    ),
    TableSpec(
        "statements",
        JUDGE,
        "Every published sentence and whether it holds, by source",
        _columns(
            "statement_source id place text check role source outcome counted of found note comparison quote headline",
            statement_source=("text", False, "who wrote it"),
            id=("text", False, "its key"),
            place=("text", False, "where it is printed"),
            text=("text", False, "the sentence"),
            check=("text", False, "name of the check"),
            role=("text", False, "`own` (the paper's own tables), `reproduction`, `study`"),
            outcome=("text", False, "`holds`, `holds within noise`, `fails within noise`, `fails`, `not testable`"),
            counted=("number", True, "the count behind it"),
            found=("text", False, "the finding in words"),
            note=("text", True, "a note on the sentence"),
            quote=("bool", False, "whether `text` is the source's own wording"),
            headline=("bool", False, "whether the study's first answer is about it"),
        ),
    ),
    TableSpec(
        "audit",
        JUDGE,
        "Findings of the automatic checks in runs and published tables",
        _columns(
            "kind source dataset arch norm recipe epochs rows sentence",
            kind=("text", False, "what is wrong (docs/judging.md lists the kinds), or `not_checked`"),
            source=("text", True, "whose table"),
            dataset=("text", True, "data set"),
            arch=("text", True, "architecture"),
            norm=("text", True, "normaliser"),
            recipe=("text", True, "recipe"),
            epochs=("count", True, "epochs planned"),
            rows=("text", False, "line numbers of runs.csv (claims: `file:line`), joined by blanks"),
            sentence=("text", False, "the finding in words"),
        ),
    ),
    TableSpec(
        "summary",
        JUDGE,
        "Every count and range that a page prints",
        _columns(
            "section source dataset comparison name value of text",
            section=("text", False, "the table that it summarises, or `cost`"),
            source=("text", True, "whose"),
            dataset=("text", True, "data set; empty: all of them"),
            name=("text", False, "which count"),
            value=("number", True, "the count or range"),
            text=("text", False, "the sentence to print"),
        ),
        required=True,
    ),
    TableSpec(
        "answers",
        JUDGE,
        "The four questions of a study, each with its verdict in words; those about a comparison for each",
        _columns(
            "comparison question verdict count measured planned text",
            question=("text", False, "`holds`, `sure`, `complete`, `cost`"),
            verdict=(
                "text",
                False,
                "`holds`, `holds mostly`, `fails`, `cannot say yet`; words of their own for "
                "`complete` and `cost`: docs/judging.md",
            ),
            count=("number", True, "pairs for the method, better pairs, completed cells, or the ratio of times"),
            measured=("count", False, "pairs or cells with an answer"),
            planned=("count", False, "pairs or cells that are to have one"),
            text=("text", False, "the sentence"),
        ),
        required=True,
    ),
)
_OF_EACH_STUDY: tuple[tuple[str, Kind, str], ...] = (
    ("n", "count", "runs"),
    ("n_expected", "count", "expected runs"),
    ("value", "number", "mean"),
    ("sd", "number", "standard deviation"),
    ("seconds", "number", "training seconds"),
)
COMPARED = (
    TableSpec(
        "compare-A-B",
        COMPARE,
        "Every cell (seed aside) of either study, test top-1 and training seconds",
        _columns(
            f"{_GROUP} metric split in n_a n_expected_a value_a sd_a n_b n_expected_b value_b sd_b test n_pairs "
            "difference low "
            "high p p_holm seconds_a seconds_b ratio ratio_low ratio_high",
            difference=("number", True, "B - A"),
            ratio=("number", True, "training time of B over A"),
            **{
                f"{name}_{side}": (kind, True, f"{meaning} of {side.upper()}")
                for side in "ab"
                for name, kind, meaning in _OF_EACH_STUDY
            },
        ),
    ),
    TableSpec(
        "compare-A-B-verdicts",
        COMPARE,
        "Claims on which the two studies' own values are judged differently",
        _columns(
            f"{_GROUP} metric claim_source rule verdict_a verdict_b",
            rule=("text", False, "`published` (threshold_rule.csv) or `rigorous` (equivalence.csv)"),
            verdict_a=("text", False, "verdict on A"),
            verdict_b=("text", False, "verdict on B"),
        ),
    ),
)
TABLES = {spec.name: spec for spec in SPECS}
COLLECTED = tuple(spec for spec in SPECS if spec.writer == COLLECT)
JUDGED = tuple(spec for spec in SPECS if spec.writer == JUDGE)


def columns(name: str) -> tuple[str, ...]:
    """The column names of the table `name`."""
    return TABLES[name].names
