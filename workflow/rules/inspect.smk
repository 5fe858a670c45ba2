rule inspect:
    input:
        get_inspected,
    output:
        f"{RESULTS}/layer_views/{{view}}.json",
    log:
        f"{RESULTS}/layer_views/logs/{{view}}.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        runs=RUNS,
        plugins=PLUGINS,
        prepared=f"{RESULTS}/data",
    params:
        view=get_layer_view_json,
        hyper=get_inspected_hyperparameters,
    message:
        "Layer view {wildcards.view}"
    shell:
        "renorm inspect {params.view:q} --hyper {params.hyper:q} --runs {resources.runs:q} "
        "--prepared {resources.prepared:q} --threads {threads} {resources.plugins} --out {output} > {log} 2>&1 || (cat {log} >&2; false)"
