rule draw:
    input:
        unpack(get_drawn_from),
    output:
        f"{RESULTS}/drawings/{{drawing}}.json",
    log:
        f"{RESULTS}/drawings/logs/{{drawing}}.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        runs=RUNS,
    params:
        drawing=get_drawing_json,
        hyper=get_drawn_hyperparameters,
    message:
        "Drawing {wildcards.drawing}"
    shell:
        "renorm draw {params.drawing:q} --hyper {params.hyper:q} --runs {resources.runs:q} "
        "--prepared $(dirname $(dirname {input.manifest})) --threads {threads} --out {output} > {log} 2>&1 || (cat {log} >&2; false)"
