RUN = f"{RUNS}/{{dataset}}/{{arch}}/{{norm}}/{{recipe}}/e{{epochs}}/s{{seed}}"
# Without GPUs in the study its cells are planned as work of a CPU, as many at once as it has cores: on a GPU that
# happens to be there nothing would limit them.
DEVICE = "cpu" if workload.kind(STUDY) == "cpu" else STUDY.device


rule train:
    input:
        get_prepared,
    output:
        # Not removed before the job starts: a concurrent job of the cell may finish it while this one is in a queue.
        update(f"{RUN}/run.json"),
    log:
        f"{RUN}/log.txt",
    priority: get_priority
    conda:
        "../../envs/renorm.yaml"
    threads: STUDY.threads
    resources:
        gpu=STUDY.gpu,
        mem_mb=get_mem_mb,
        runtime=get_runtime,
        # Not in params: where and how often to save changes no number.
        device=DEVICE,
        prepared=f"{RESULTS}/data",
        # For the submission scripts of workflow/profiles.
        results=RESULTS,
        checkpoint_minutes=str(STUDY.checkpoint_minutes),
        # Processes that share every batch; on a CPU one, whatever the cluster gives.
        processes=STUDY.gpu if DEVICE != "cpu" else 1,
        keep=get_keep,
        runner=get_runner,
        plugins=PLUGINS,
        gpu_slots=STUDY.gpu_slots if STUDY.gpu == 1 else 0,
        # A killed Snakemake leaves its jobs running: the next one's wait for their results instead of failing.
        wait=get_wait,
    params:
        hyper=get_hyperparameters,
    message:
        "Cell {wildcards.dataset}/{wildcards.arch}/{wildcards.norm}/{wildcards.recipe}/e{wildcards.epochs}/s{wildcards.seed}"
    shell:
        "renorm train --dataset {wildcards.dataset} --arch {wildcards.arch} --norm {wildcards.norm} "
        "--recipe {wildcards.recipe} --epochs {wildcards.epochs} --seed {wildcards.seed} "
        "--hyper {params.hyper:q} --out $(dirname {output}) --prepared {resources.prepared:q} "
        "--device {resources.device} --threads {threads} --checkpoint-minutes {resources.checkpoint_minutes} "
        "--gpus {resources.processes} --gpu-slots {resources.gpu_slots} {resources.keep} {resources.runner} {resources.plugins} --wait {resources.wait} --quiet 2>> {log} || (tail -n 2 {log} >&2; false)"
