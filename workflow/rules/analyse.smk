rule study:
    input:
        # Written with every collection: a job without input would be left alone as long as its output is there.
        when("collect", f"{REPORT_DIR}/config.json"),
    output:
        f"{REPORT_DIR}/config.json",
    log:
        f"{REPORT_DIR}/logs/study.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        study=get_study_json,
        # As its author wrote it, comments and all: for readers; config.json is what the steps read.
        written=[os.path.relpath(file) for file in workflow.configfiles],
        folder=lambda wildcards: f"{REPORT_DIR}/as_written".format(**wildcards),
    message:
        "Configuration of {wildcards.report}"
    shell:
        # In a loop: there may be no file (a module with values of its own), or two of one name, of which the last counts.
        '(mkdir -p {params.folder:q} && for file in {params.written:q}; do cp -f -- "$file" {params.folder:q}/ || exit 1; done'
        " && printf '%s\\n' {params.study:q} > {output}) 2> {log}"


rule collect:
    input:
        when(
            "collect",
            f"{REPORT_DIR}/cells.csv",
            get_records_to_come,
            get_layer_views_to_come,
            f"{REPORT_DIR}/config.json",
        ),
    output:
        [f"{REPORT_DIR}/{table.file}" for table in table_specs.COLLECTED],
        study=f"{REPORT_DIR}/study.json",
    log:
        f"{REPORT_DIR}/logs/collect.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "The runs of {wildcards.report} into tidy tables"
    shell:
        "renorm collect --config $(dirname {output.study})/config.json > {log} 2>&1 || (cat {log} >&2; false)"


rule judge:
    input:
        when("judge", f"{REPORT_DIR}/summary.csv", rules.collect.output),
    output:
        [
            f"{REPORT_DIR}/{table.file}"
            for table in table_specs.JUDGED
            if table.name != "summary"
        ],
        summary=f"{REPORT_DIR}/summary.csv",
    log:
        f"{REPORT_DIR}/logs/judge.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Claims compared with the runs of {wildcards.report}"
    shell:
        "renorm judge $(dirname {output.summary}) > {log} 2>&1 || (cat {log} >&2; false)"
