rule dataset:
    input:
        when_data_are_of_other_code,
    output:
        train=f"{RESULTS}/data/{{dataset}}/train.npz",
        test=f"{RESULTS}/data/{{dataset}}/test.npz",
        manifest=f"{RESULTS}/data/{{dataset}}/manifest.json",
    log:
        f"{RESULTS}/data/{{dataset}}/log.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        plugins=PLUGINS,
    params:
        options=get_image_options,
        download="--download" if STUDY.download else "--no-download",
    message:
        "Data set {wildcards.dataset}: checksums, then one file per split"
    shell:
        "renorm prepare {wildcards.dataset} {params.options} {params.download} {resources.plugins} "
        "--out $(dirname {output.manifest}) > {log} 2>&1 || (cat {log} >&2; false)"
