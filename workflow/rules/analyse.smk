rule study:
    output:
        PARTIAL_CONFIG,
    log:
        f"{STUDY_DIR}/logs/study.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        study=get_study_json(),
    message:
        "Configuration of {STUDY.study}"
    shell:
        "printf '%s\\n' {params.study:q} > {output} 2> {log}"


rule collect:
    input:
        RUN_RECORDS,
        study=rules.study.output,
    output:
        f"{STUDY_DIR}/cells.csv",
        f"{STUDY_DIR}/runs.csv",
        f"{STUDY_DIR}/histories.csv",
        f"{STUDY_DIR}/steps.csv",
        f"{STUDY_DIR}/provenance.csv",
        f"{STUDY_DIR}/study.json",
    log:
        f"{STUDY_DIR}/logs/collect.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "All runs of {STUDY.study} into tidy tables"
    shell:
        "renorm collect --config {input.study} > {log} 2>&1 || (cat {log} >&2; false)"


rule judge:
    input:
        rules.collect.output,
        get_claim_files(),
    output:
        results=f"{STUDY_DIR}/results.csv",
        verdicts=f"{STUDY_DIR}/verdicts.csv",
        comparison=f"{STUDY_DIR}/comparison.csv",
        consistency=f"{STUDY_DIR}/consistency.csv",
        timing=f"{STUDY_DIR}/timing.csv",
        ladder=f"{STUDY_DIR}/ladder.csv",
        superiority=f"{STUDY_DIR}/superiority.csv",
        convergence=f"{STUDY_DIR}/convergence.csv",
        ledger=f"{STUDY_DIR}/ledger.csv",
        audit=f"{STUDY_DIR}/audit.csv",
        summary=f"{STUDY_DIR}/summary.csv",
    log:
        f"{STUDY_DIR}/logs/judge.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Claims held against the runs of {STUDY.study}"
    shell:
        "renorm judge $(dirname {output.verdicts}) > {log} 2>&1 || (cat {log} >&2; false)"
