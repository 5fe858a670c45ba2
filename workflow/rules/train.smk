NAME = "[a-z0-9_.-]+"
RUN = f"{RUNS}/{{dataset}}/{{arch}}/{{norm}}/{{recipe}}/e{{epochs}}/s{{seed}}"
# Without GPUs in the study its cells are planned as work of a CPU, as many at once as it has cores: on a GPU that
# happens to be there nothing would limit them.
DEVICE = "cpu" if workload.kind(STUDY) == "cpu" else STUDY.device


rule train:
    input:
        # Prepared again, the same data are the same bytes, and Snakemake compares those of small files. Not ancient():
        # after a kill during `dataset`, Snakemake 9.27 would then rerun that job and forget all that depends on it.
        f"{RESULTS}/data/{{dataset}}/manifest.json",
    output:
        record=f"{RUN}/run.json",
        history=f"{RUN}/history.csv",
    log:
        f"{RUN}/log.txt",
    wildcard_constraints:
        # The name, of a path that is none of those of `train_keep`.
        dataset=f"(?!({KEPT})/){NAME}" if KEPT else NAME,
    conda:
        "../../envs/renorm.yaml"
    threads: STUDY.threads
    resources:
        gpu=STUDY.gpu,
        mem_mb=get_mem_mb,
        runtime=get_runtime,
        # Not in params: where and how often to save changes no number.
        device=DEVICE,
        checkpoint_minutes=str(STUDY.checkpoint_minutes),
        # Processes that share every batch; on a CPU one, whatever the cluster gives.
        processes=STUDY.gpu if DEVICE != "cpu" else 1,
        keep=get_keep,
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
        "--hyper {params.hyper:q} --out $(dirname {output.record}) --prepared $(dirname $(dirname {input})) "
        "--device {resources.device} --threads {threads} --checkpoint-minutes {resources.checkpoint_minutes} "
        "--gpus {resources.processes} --gpu-slots {resources.gpu_slots} {resources.keep} --wait {resources.wait} --quiet 2>> {log} || (tail -n 2 {log} >&2; false)"


# The same for a cell from whose weights a layer view is made. A view that is added to a finished study trains its cell
# once more; one that is taken out again trains nothing.
use rule train as train_keep with:
    output:
        record=f"{RUN}/run.json",
        history=f"{RUN}/history.csv",
        weights=f"{RUN}/weights.pt",
    wildcard_constraints:
        dataset=f"(?=({KEPT})/){NAME}" if KEPT else "-",
