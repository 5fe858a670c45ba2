"""What is asked of the cluster before the first job is submitted: does it accept every kind of job of the study?"""

import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from renorm.core.errors import RenormError, suggest
from renorm.execution.slurm.commands import ask, user
from renorm.execution.slurm.plugin_patches import patch_slurm_plugin
from renorm.execution.slurm.queue import orphaned_jobs

PROFILE = "slurm/config.yaml"
# What sbatch says when it would never take it, and what to do about it.
NEVER = {
    "Invalid partition": "sinfo -s lists the partitions",
    "Invalid account": "sacctmgr show associations user=$USER lists yours",
    "Invalid qos": "sacctmgr show associations user=$USER format=qos lists yours",
    "Invalid feature": "`sinfo -o '%P %f'` lists what can stand after --constraint",
    "Invalid generic resource": "`sinfo -o '%P %G'` lists the GPUs",
    "Requested node configuration is not available": "`sinfo -o '%P %G %c %m'` lists GPUs, cores and memory",
    "Requested time limit is invalid": "`sinfo -o '%P %l'` lists the time limits",
    "Requested partition configuration not available": "`sinfo -o '%P %l'` lists the limits",
}


@dataclass(frozen=True)
class Request:
    """What the jobs of one partition and account ask for, at most."""

    partition: str | None
    account: str | None
    constraint: str | None
    extra: str
    gpu: int
    cpus: int
    mem_mb: int
    minutes: int

    def options(self) -> list[str]:
        """As sbatch takes them."""
        values = {"--partition": self.partition, "--account": self.account, "--constraint": self.constraint,
                  "--gpus": self.gpu, "--mem": self.mem_mb, "--time": self.minutes}  # fmt: skip
        out = [f"{key}={value}" for key, value in values.items() if value]
        return [*out, "--nodes=1", "--ntasks=1", f"--cpus-per-task={self.cpus}", *self.extra.split()]

    def __str__(self) -> str:
        where = f"partition '{self.partition}'" if self.partition else "the default partition"
        account = f", account '{self.account}'" if self.account else ""
        more = "".join(f", {word}" for word in (self.constraint, self.extra) if word)
        return f"{where}{account}{more}: {self.gpu} GPU, {self.cpus} CPU, {self.mem_mb} MB, {self.minutes} minutes"


def requests(jobs: Iterable) -> list[Request]:
    """Of Snakemake's `jobs` the largest request per partition, account, constraint and number of GPUs."""
    largest: dict[tuple, Request] = {}
    for job in jobs:
        get = job.resources.get
        partition, account, constraint = (
            str(get(key)) if get(key) else None for key in ("slurm_partition", "slurm_account", "constraint")
        )
        one = Request(
            partition, account, constraint, str(get("slurm_extra") or ""), int(get("gpu") or 0), int(job.threads),
            int(get("mem_mb") or 0), int(get("runtime") or 0),
        )  # fmt: skip
        key = (one.partition, one.account, one.constraint, one.extra, one.gpu)
        most = largest.get(key, one)
        largest[key] = replace(one, cpus=max(one.cpus, most.cpus), mem_mb=max(one.mem_mb, most.mem_mb),
                               minutes=max(one.minutes, most.minutes))  # fmt: skip
    return list(largest.values())


def check(wanted: Iterable[Request]) -> None:
    """Raise `RenormError` when the cluster would never accept one of the requests; nothing is submitted."""
    for program in ("sbatch", "squeue", "sinfo", "scancel"):
        if not shutil.which(program):
            raise RenormError(
                f"executor slurm: there is no '{program}' on the PATH: start where Slurm's commands are (a login node, "
                "perhaps after `module load slurm`), or use --profile workflow/profiles/gpu"
            )
    partitions = _partitions()
    accounts = _accounts()
    for request in wanted:
        _check_partition(request, partitions)
        if request.account and accounts and request.account.lower() not in accounts:
            known = ", ".join(sorted(accounts))
            raise RenormError(f"{PROFILE}: account '{request.account}' is not yours; yours: {known}")
        _check_request(request)


def _partitions() -> dict[str, int | None]:
    """Name → time limit in minutes, None when it has none."""
    answer = ask("sinfo", "--noheader", "--format=%R|%l")
    if answer.returncode:
        problem = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RenormError(f"executor slurm: the cluster does not answer: {problem}: try again later, or ask `sinfo`")
    return {name: minutes(limit) for name, limit in (line.split("|") for line in answer.stdout.splitlines())}


def minutes(limit: str) -> int | None:
    """Slurm's `days-hours:minutes:seconds` (or less of it) in minutes; None for `infinite` and unknown forms."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit.strip())
    if not match:
        return None
    days, hours, mins, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + mins


def _accounts() -> set[str]:
    """The user's accounts, lower case; empty where there is no accounting."""
    if not shutil.which("sacctmgr"):
        return set()
    answer = ask("sacctmgr", "-nP", "show", "associations", f"user={user()}", "format=account")
    return {line.strip().lower() for line in answer.stdout.splitlines() if line.strip()}


def _check_partition(request: Request, partitions: dict[str, int | None]) -> None:
    # Slurm takes several partitions, separated by commas.
    for name in request.partition.split(",") if request.partition else ():
        if name not in partitions:
            known = ", ".join(sorted(partitions))
            hint = suggest(name, partitions) if len(partitions) > 8 else ""
            raise RenormError(
                f"{PROFILE}: partition '{name}' does not exist; this cluster has: {known}{hint and '; '}{hint}"
            )
        limit = partitions[name]
        if limit and request.minutes > limit:
            raise RenormError(
                f"{PROFILE}: partition '{name}' allows {limit} minutes and the longest job asks for {request.minutes}: "
                f"take another partition, or let jobs be stopped and resumed: --set-resources train:runtime={limit}"
            )


def _check_request(request: Request) -> None:
    answer = ask("sbatch", "--test-only", *request.options(), "--output=/dev/null", "--wrap=true")
    for words, hint in NEVER.items():
        if answer.returncode and words.lower() in answer.stderr.lower():
            raise RenormError(f"{PROFILE}: the cluster would never run {request}: {words}; {hint}")


def has_accounting() -> bool:
    """Whether sacct has a database to ask."""
    found = re.search(r"^AccountingStorageType\s*=\s*(\S+)", ask("scontrol", "show", "config").stdout, re.M)
    return found is not None and found[1].endswith("slurmdbd") and shutil.which("sacct") is not None


def prepare_executor(workflow) -> None:
    """For Snakemake's `onstart` under the Slurm executor: check every request, then patch the plugin.

    Raises `RenormError` when the cluster would never run one of the jobs, or the plugin is not what the patches expect.
    """
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    if not jobs:
        return
    check(requests(jobs))
    patch_slurm_plugin(workflow.executor_settings, has_accounting())
    left = orphaned_jobs(Path.cwd(), workflow.executor_settings.jobname_prefix or "")
    if left:
        print(f"renorm: {len(left)} jobs of a previous run are still in the queue; cells that they train "
              "are waited for. `renorm resume-study` drains the queue first.", file=sys.stderr)  # fmt: skip
