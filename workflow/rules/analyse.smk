rule study:
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
    message:
        "Configuration of {wildcards.report}"
    shell:
        "printf '%s\\n' {params.study:q} > {output} 2> {log}"


rule collect:
    input:
        get_run_records,
        get_report_layer_views,
        study=rules.study.output,
    output:
        f"{REPORT_DIR}/cells.csv",
        f"{REPORT_DIR}/runs.csv",
        f"{REPORT_DIR}/histories.csv",
        f"{REPORT_DIR}/steps.csv",
        f"{REPORT_DIR}/provenance.csv",
        f"{REPORT_DIR}/layer_views.csv",
        f"{REPORT_DIR}/layer_view_images.csv",
        f"{REPORT_DIR}/layer_view_histograms.csv",
        f"{REPORT_DIR}/study.json",
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
        "renorm collect --config {input.study} > {log} 2>&1 || (cat {log} >&2; false)"


rule judge:
    input:
        rules.collect.output,
        get_claim_files(),
    output:
        results=f"{REPORT_DIR}/study_means.csv",
        verdicts=f"{REPORT_DIR}/threshold_rule.csv",
        comparison=f"{REPORT_DIR}/comparison.csv",
        consistency=f"{REPORT_DIR}/repeat_consistency.csv",
        timing=f"{REPORT_DIR}/runtime.csv",
        equivalence=f"{REPORT_DIR}/equivalence.csv",
        superiority=f"{REPORT_DIR}/method_vs_baseline.csv",
        norms=f"{REPORT_DIR}/normalisers.csv",
        convergence=f"{REPORT_DIR}/convergence.csv",
        statements=f"{REPORT_DIR}/statements.csv",
        audit=f"{REPORT_DIR}/audit.csv",
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
        "renorm judge $(dirname {output.verdicts}) > {log} 2>&1 || (cat {log} >&2; false)"
