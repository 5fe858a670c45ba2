rule train:
    input:
        # Prepared again, the same data are the same bytes, and Snakemake compares those of small files. Not ancient():
        # after a kill during `dataset`, Snakemake 9.27 would then rerun that job and forget all that depends on it.
        f"{RESULTS}/data/{{dataset}}/manifest.json",
    output:
        record=f"{RUNS}/{{dataset}}/{{arch}}/{{norm}}/{{recipe}}/e{{epochs}}/s{{seed}}/run.json",
        history=f"{RUNS}/{{dataset}}/{{arch}}/{{norm}}/{{recipe}}/e{{epochs}}/s{{seed}}/history.csv",
    log:
        f"{RUNS}/{{dataset}}/{{arch}}/{{norm}}/{{recipe}}/e{{epochs}}/s{{seed}}/log.txt",
    conda:
        "../../envs/renorm.yaml"
    threads: STUDY.threads
    resources:
        gpu=STUDY.gpu,
        mem_mb=get_mem_mb,
        runtime=get_runtime,
        # Not in params: where and how often to save changes no number.
        device=STUDY.device,
        checkpoint_minutes=str(STUDY.checkpoint_minutes),
        # Processes that share every batch; on a CPU one, whatever the cluster gives.
        processes=STUDY.gpu if STUDY.device != "cpu" else 1,
        gpu_slots=STUDY.gpu_slots if STUDY.gpu == 1 else 0,
        # A killed Snakemake leaves its jobs running: the next one waits for their results instead of failing.
        wait=3600,
    params:
        hyper=get_hyperparameters,
    message:
        "Cell {wildcards.dataset}/{wildcards.arch}/{wildcards.norm}/{wildcards.recipe}/e{wildcards.epochs}/s{wildcards.seed}"
    shell:
        "renorm train --dataset {wildcards.dataset} --arch {wildcards.arch} --norm {wildcards.norm} "
        "--recipe {wildcards.recipe} --epochs {wildcards.epochs} --seed {wildcards.seed} "
        "--hyper {params.hyper:q} --out $(dirname {output.record}) --prepared $(dirname $(dirname {input})) "
        "--device {resources.device} --threads {threads} --checkpoint-minutes {resources.checkpoint_minutes} "
        "--gpus {resources.processes} --gpu-slots {resources.gpu_slots} --wait {resources.wait} --quiet 2>> {log} || (tail -n 2 {log} >&2; false)"
