from snakemake.utils import min_version

min_version("9.0")

# `--configfile` replaces config.yaml instead of being merged into it: two studies do not mix.
if "study" not in config:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    study,
    dataset,
    collect,
    judge,
    figures,
    report,
    report_partial,


# Every cell stands here beside the report: Snakemake reruns a deleted run only when it is itself a target.
rule all:
    default_target: True
    input:
        RUN_RECORDS,
        f"{STUDY_DIR}/report.html",


onsuccess:
    print(f"\nReport: {Path(STUDY_DIR, 'report.html').resolve()}")


onerror:
    # What exists is worth reading, also when some cells failed.
    shell("renorm report --partial {PARTIAL_CONFIG:q} >&2 || true")
