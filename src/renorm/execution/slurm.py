"""Around the Slurm executor: what is asked before the first job is submitted, patience with a busy or absent
controller, and the way back after Snakemake itself was killed.

Imports nothing but the standard library, since every submission starts it (`python -m renorm.execution.slurm`).
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from renorm.core.errors import RenormError, suggest

PROFILE = "slurm/config.yaml"
PAUSE = 10  # seconds between two tries at a busy or absent controller
LOOK_EVERY = 60  # seconds between two looks at the jobs, at most; the plugin would go up to 180
# What sbatch says when it would take the same job later. Everything else is an error at once.
LATER = (
    "Unable to contact slurm controller", "Socket timed out", "Connection refused", "temporarily unable",
    "Resource temporarily unavailable", "MaxSubmitJob", "job submit limit", "QOSMaxSubmit", "AssocMaxSubmit",
)  # fmt: skip
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
        one = Request(
            *(str(get(key)) if get(key) else None for key in ("slurm_partition", "slurm_account", "constraint")),
            str(get("slurm_extra") or ""), int(get("gpu") or 0), int(job.threads),
            int(get("mem_mb") or 0), int(get("runtime") or 0),
        )  # fmt: skip
        key = (one.partition, one.account, one.constraint, one.extra, one.gpu)
        most = largest.get(key, one)
        largest[key] = replace(one, cpus=max(one.cpus, most.cpus), mem_mb=max(one.mem_mb, most.mem_mb),
                               minutes=max(one.minutes, most.minutes))  # fmt: skip
    return list(largest.values())


def check(wanted: Iterable[Request]) -> None:
    """Raise `RenormError` when the cluster would take one of the requests never; nothing is submitted."""
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


def _ask(*command: str) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "no answer within 60 s")


def _partitions() -> dict[str, int | None]:
    """Name → time limit in minutes, None when it has none."""
    answer = _ask("sinfo", "--noheader", "--format=%R|%l")
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
    answer = _ask("sacctmgr", "-nP", "show", "associations", f"user={_user()}", "format=account")
    return {line.strip().lower() for line in answer.stdout.splitlines() if line.strip()}


def _user() -> str:
    import getpass

    return getpass.getuser()


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
    answer = _ask("sbatch", "--test-only", *request.options(), "--output=/dev/null", "--wrap=true")
    for words, hint in NEVER.items():
        if answer.returncode and words.lower() in answer.stderr.lower():
            raise RenormError(f"{PROFILE}: the cluster would never run {request}: {words}; {hint}")


def has_accounting() -> bool:
    """Whether sacct has a database to ask."""
    found = re.search(r"^AccountingStorageType\s*=\s*(\S+)", _ask("scontrol", "show", "config").stdout, re.M)
    return bool(found) and found[1].endswith("slurmdbd") and shutil.which("sacct") is not None


def prepare(workflow) -> None:
    """For Snakemake's `onstart` under the Slurm executor: check every request, then teach the executor patience."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    if not jobs:
        return
    check(requests(jobs))
    be_patient(workflow.executor_settings)
    left = leftovers(Path.cwd(), workflow.executor_settings.jobname_prefix or "")
    if left:
        print(f"renorm: {len(left)} jobs of an earlier start are still in the queue; cells that they train are waited "
              "for. `renorm resume-study` clears them first.", file=sys.stderr)  # fmt: skip


@dataclass
class Looks:
    """What the last look at the queue was like: whether Slurm answered, which jobs we asked for and which of them it
    did not list."""

    answered: bool = True
    expected: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()


def be_patient(settings) -> None:
    """Repairs of snakemake-executor-plugin-slurm 2.8: it forgets its jobs when Slurm does not answer, and never misses
    one that Slurm has forgotten (then it waits for ever), and it fails a job when the queue is full.

    `sacct` is asked where there is accounting, else `squeue`.
    """
    import snakemake_executor_plugin_slurm as plugin

    accounting = has_accounting()
    settings.status_command = "sacct" if accounting else "squeue"
    if not accounting:
        # The plugin would change to sacct by itself, which has nothing to ask.
        plugin.is_query_tool_available = lambda tool: tool == "squeue"
    age = plugin.get_min_job_age()
    # Asked before each look, and then, too, there may be no answer.
    plugin.get_min_job_age = lambda: age
    looks = Looks()
    plugin.query_job_status = _missing(plugin.query_job_status, looks)
    plugin.Executor.check_active_jobs = _keeping(plugin.Executor.check_active_jobs, looks)
    command, me = plugin.get_submit_command, os.getpid()
    plugin.get_submit_command = lambda *a, **k: f"{sys.executable} -m renorm.execution.slurm {me} {command(*a, **k)}"


def _missing(query: Callable, looks: Looks) -> Callable:
    """Job states as the plugin asks for them. A job that squeue did not list twice has ended (UNKNOWN), and Snakemake
    then finds its output or does not."""

    async def look(command, logger):
        states, duration = await query(command, logger)
        looks.answered = states is not None
        if states is None:
            logger.warning("Slurm does not answer; jobs go on, asking again.")
            return None, None
        if command.startswith("squeue"):
            absent = looks.expected - states.keys()
            states |= dict.fromkeys(absent & looks.absent, "UNKNOWN")
            looks.absent = absent
        return states, duration

    return look


def _keeping(check_active_jobs: Callable, looks: Looks) -> Callable:
    """All jobs stay active when Slurm did not answer; the plugin would drop them. And looks do not get too rare."""

    async def look(self, active_jobs):
        looks.expected = frozenset(job.external_jobid for job in active_jobs)
        still = [job async for job in check_active_jobs(self, active_jobs)]
        for job in still if looks.answered else active_jobs:
            yield job
        self.next_seconds_between_status_checks = min(self.next_seconds_between_status_checks, LOOK_EVERY)

    return look


def submit(snakemake: int, command: list[str]) -> int:
    """Run sbatch until the queue takes the job; ends without it when the Snakemake process is gone."""
    while True:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if not done.returncode or not any(words in done.stderr for words in LATER) or not _alive(snakemake):
            sys.stdout.write(done.stdout)
            sys.stderr.write(done.stderr)
            return done.returncode
        time.sleep(PAUSE)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@dataclass(frozen=True)
class QueueJob:
    """A job of ours in the queue."""

    id: str
    state: str
    comment: str

    @property
    def pending(self) -> bool:
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")


def leftovers(folder: Path, prefix: str) -> list[QueueJob]:
    """Jobs in the queue that a Snakemake in `folder` submitted; empty where there is no Slurm or it is silent."""
    if not shutil.which("squeue"):
        return []
    try:
        answer = subprocess.run(
            ["squeue", "--noheader", f"--user={_user()}", "--format=%i|%T|%Z|%j|%k"],
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return []
    found = []
    for line in answer.stdout.splitlines():
        number, state, where, name, comment = line.split("|", 4)
        if name.startswith(prefix) and "rule_train" in comment and Path(where) == folder:
            found.append(QueueJob(number, state, comment))
    return found


def clear(folder: Path, prefix: str, cancel: bool, say: Callable[[str], None], pause: float = 5) -> None:
    """Until no job of an earlier start is left: waiting ones are cancelled, running ones waited for, or cancelled too
    (they save on the way out)."""
    told = None
    while left := leftovers(folder, prefix):
        ending = [job.id for job in left if cancel or job.pending]
        if ending:
            _ask("scancel", *ending)
        running = len([job for job in left if not job.pending])
        if running != told:
            say(f"{len(ending)} jobs cancelled, {running} running: {'they save and end' if cancel else 'waiting'}")
            told = running
        time.sleep(pause if running and not cancel else 1)


def resume(folder: Path, prefix: str, cancel: bool, arguments: list[str]) -> int:
    """Clear the queue of an earlier start's jobs, then run Snakemake with `arguments`; its exit code."""
    clear(folder, prefix, cancel, lambda line: print(f"renorm: {line}", file=sys.stderr))
    command = [sys.executable, "-m", "snakemake"]
    if any((folder / ".snakemake/locks").glob("*")):
        # Of the killed Snakemake, where the profile has locks at all.
        subprocess.run([*command, *arguments, "--unlock"], check=False)
    return subprocess.run([*command, *arguments]).returncode


if __name__ == "__main__":
    sys.exit(submit(int(sys.argv[1]), sys.argv[2:]))
