from snakemake.utils import min_version

min_version("9.27")  # as pyproject.toml

# `--configfile` replaces config.yaml instead of being merged into it: two studies do not mix.
if "study" not in config:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/inspect.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    study,
    dataset,
    inspect,
    collect,
    judge,
    figures,
    report,
    report_partial,


rule all:
    default_target: True
    input:
        f"{RESULTS}/{STUDY.study}/report.html",


onsuccess:
    for page in map(Path, get_reports()):
        study = PENDING.reports[page.parent.name]
        print("", *or_end(announce.closing_lines, study, page), sep="\n")


onerror:
    # A report of what exists, also if some cells failed.
    for page in get_reports():
        study_json = Path(page).with_name("config.json")
        shell("renorm report --partial {study_json:q} >&2 || true")
        study = PENDING.reports[study_json.parent.name]
        print(or_end(announce.closing_line, study), file=sys.stderr)


call_handlers_of_a_module()
