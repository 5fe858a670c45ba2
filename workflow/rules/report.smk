rule figures:
    input:
        when("figures", f"{REPORT_DIR}/figures/figures.json", rules.judge.output),
    output:
        f"{REPORT_DIR}/figures/figures.json",
    log:
        f"{REPORT_DIR}/logs/figures.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Figures of {wildcards.report}"
    shell:
        "renorm figures $(dirname $(dirname {output})) > {log} 2>&1 || (cat {log} >&2; false)"


rule report:
    input:
        when(
            "report",
            f"{REPORT_DIR}/report.html",
            rules.judge.output,
            rules.figures.output,
        ),
    output:
        f"{REPORT_DIR}/report.html",
    log:
        f"{REPORT_DIR}/logs/report.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Report of {wildcards.report}"
    shell:
        "renorm report $(dirname {output}) > {log} 2>&1 || (cat {log} >&2; false)"


# No output: it renders what exists whenever it is asked for, beside the finished report's folder.
rule report_partial:
    input:
        f"{RESULTS}/{STUDY.study}/config.json",
    log:
        f"{RESULTS}/{STUDY.study}/logs/report_partial.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Report of the runs that exist: {RESULTS}/{STUDY.study}.partial/report.html"
    shell:
        "renorm report --partial {input} > {log} 2>&1 || (cat {log} >&2; false)"
