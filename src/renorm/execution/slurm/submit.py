"""Submission that waits while the queue is full, avoids nodes, and reads the job's number among a site's greetings."""

import re
import shlex
import subprocess
import threading
import time
from collections.abc import Callable

PAUSE = 10  # seconds between two tries at a full queue or an absent controller
# What sbatch says when it would take the same job later. Everything else is final: Slurm prints "job submit limit" for
# every limit of an account, so only the codes tell a full queue from a request that is too large.
LATER = re.compile(
    r"(?:QOS|Assoc)\w*Submit\w*|Unable to contact slurm controller|Socket timed out|Connection refused"
    r"|[Tt]emporarily unable[^\n]*|Resource temporarily unavailable"
)
JOB_ID = re.compile(r"\d+(;\S+)?")
# Slurm signals every process of a job. A shell that died of it would end the job before the trainer has saved.
KEEP_SHELL = "trap '' TERM; "


class Submissions:
    """sbatch, called by the plugin's threads. `avoid` of a thread: nodes where its next job is not to run."""

    def __init__(self, say: Callable[[str], None], give_up_seconds: float):
        self.say, self.give_up_seconds = say, give_up_seconds
        self.stopped = threading.Event()
        self.thread = threading.local()
        self._lock, self._full = threading.Lock(), False

    def popen(self, call: str, **_) -> "Submission":
        """In the place of `subprocess.Popen`, as far as the plugin uses it for a submission."""
        return Submission(self, call, getattr(self.thread, "avoid", ()))

    def run(self, call: str, avoid, script: str | None) -> subprocess.CompletedProcess:
        """Run the shell command `call` until the queue takes the job or refuses it for good.

        Args:
            call: As the plugin composed it.
            avoid: Nodes; disregarded when Slurm has no others for the job.
            script: Standard input of sbatch.
        """
        call = call.replace(' --wrap="', f' --wrap="{KEEP_SHELL}', 1)
        tried, begun, waited = without_nodes(call, avoid), time.monotonic(), False
        while not self.stopped.is_set():
            done = subprocess.run(tried, shell=True, capture_output=True, text=True, input=script or "")
            if not done.returncode:
                if waited:  # one that began before another was refused says nothing of the queue now
                    self._full_now(False, "the queue takes jobs again")
                return subprocess.CompletedProcess(tried, 0, number(done.stdout), done.stderr)
            later = LATER.search(done.stderr)
            if not later and tried != call:
                tried = call
                continue
            if not later or time.monotonic() - begun > self.give_up_seconds:
                return done
            waited = True
            self._full_now(True, f"the queue takes no more jobs ({later[0].strip()}): asking again every {PAUSE} s")
            self.stopped.wait(PAUSE)
        return subprocess.CompletedProcess(tried, 1, "", "not submitted: Snakemake is ending")

    def _full_now(self, full: bool, line: str) -> None:
        """Say so when that has changed, once for all submissions that wait."""
        with self._lock:
            changed, self._full = self._full != full, full
        if changed:
            self.say(line)


class Submission:
    """What the plugin expects of a process."""

    def __init__(self, submissions: Submissions, call: str, avoid):
        self.submissions, self.call, self.avoid, self.returncode = submissions, call, avoid, 0

    def communicate(self, input: str | None = None) -> tuple[str, str]:
        done = self.submissions.run(self.call, self.avoid, input)
        self.returncode = done.returncode
        return done.stdout, done.stderr


def without_nodes(call: str, avoid) -> str:
    """The command with `avoid` beside the nodes that it excludes already: sbatch takes the last --exclude only."""
    if not avoid:
        return call
    head, wrap, script = call.partition(" --wrap=")
    own = re.findall(r"(?:^| )(?:--exclude[= ]|-x ?)(\S+)", head)
    return f"{head} --exclude={shlex.quote(','.join([*own, *sorted(avoid)]))}{wrap}{script}"


def number(output: str) -> str:
    """The job's number in what `sbatch --parsable` prints; all of the output when no line is one."""
    found = [line for line in map(str.strip, output.splitlines()) if JOB_ID.fullmatch(line)]
    return found[-1] if found else output
