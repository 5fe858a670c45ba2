"""A program as a runner: its command in a working directory of the cell, watched to its end, its results read.

The working directory holds links to the program's files, so that programs which write to fixed paths do not overwrite
each other's results. When a run fails, it is kept for inspection; a run that only could not be read is read
again without being repeated once the configuration says how.
"""

import fnmatch
import json
import os
import shlex
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from renorm.core import files, machine, signals
from renorm.core.errors import RenormError
from renorm.core.locks import locked
from renorm.execution import gpu_slots
from renorm.execution.runners.environment import search_path, shell_command
from renorm.execution.runners.process import End, kill, run
from renorm.execution.runners.request import Request
from renorm.runs import finished, program_results, run_record
from renorm.study.programs import Program, insert, unusable
from renorm.training.run_log import RunLogger

WORK, OUTPUT, ATTEMPT, KEPT = "work", "output.txt", "attempt.json", "program"
# Names of a program's folder that are not linked into working directories.
NOT_LINKED = frozenset({".git", "__pycache__"})


@dataclass(frozen=True)
class Attempt:
    """A run so far: kept beside the record until that is written.

    Attributes:
        identity: The cell's hyper-parameters.
        reading: How results and exit code are read, as text; another reading is tried before the run is repeated.
        started: When the first process started, ISO 8601 in UTC.
        resumes: How often the run was resumed.
        seconds: Wall-clock seconds of all processes.
        exit_code: Of a program that ended by itself; None while it runs, and when it was stopped.
        last_line: The last line that the program printed.
    """

    identity: dict[str, Any]
    reading: str
    started: str
    resumes: int = 0
    seconds: float = 0.0
    exit_code: int | None = None
    last_line: str = ""


def train(request: Request) -> run_record.Record:
    """Run the program for a cell and write the cell's record.

    Raises:
        RenormError: The program failed, ran too long, or did not write what it must; one line that says what.
        SystemExit: With 128 + the signal's number after SIGTERM or SIGINT, when the program has ended.
    """
    program = request.program
    assert program is not None
    _check(request, program)
    with locked(request.out / ".lock", f"cell {request.cell}", request.wait_seconds):
        files.remove_parts(request.out)
        log = RunLogger(request.out / "log.txt", request.quiet)
        try:
            seen = finished.look(request.out, finished.Identity(request.cell, request.hyper, {}, None))
            if seen.record:
                log.info(f"{request.cell}: was finished {seen.record.finished}: nothing to train")
                return seen.record
            if seen.problem:
                log.info(f"{request.cell}: set aside as {finished.set_aside(request.out)}: {seen.problem}")
            groups: list[int] = []
            with signals.collected(lambda: kill(*groups)) as caught:
                return _Run(request, program, log, caught, groups).record()
        finally:
            log.close()


def _check(request: Request, program: Program) -> None:
    lines = list(unusable("program", program)) if isinstance(program.code, dict) else []
    if lines:
        raise RenormError(*lines)
    if request.hyper["program"]["code"] != program.digests():
        raise RenormError(f"{program.directory}: its code was changed after the workflow had started: start it again")
    if request.device == "cuda" and not gpu_slots.devices():
        raise RenormError("device: cuda: this machine has no GPU: set device: cpu, or run it where there is one")
    if request.keep_weights:
        raise RenormError(f"{request.cell}: keep-weights: a program's weights are its own: leave it out")


class _Run:
    """One cell's run: prepare, run, read, record."""

    def __init__(self, request: Request, program: Program, log: RunLogger, caught: list[int], groups: list[int]):
        self.request, self.program, self.log, self.caught, self.groups = request, program, log, caught, groups
        self.out = request.out
        self.work, self.output = self.out / WORK, self.out / OUTPUT
        self.cell = request.cell

    def record(self) -> run_record.Record:
        attempt = self._left()
        if attempt and attempt.exit_code is not None and attempt.reading != self._reading:
            self.log.start(f"{self.cell}: reads again what the program left, as the configuration now says")
            attempt = replace(attempt, reading=self._reading, identity=self.request.hyper)
        else:
            attempt = self._execute(attempt if attempt and attempt.exit_code is None else None)
        self._save(attempt)
        return self._read(attempt)

    @property
    def _reading(self) -> str:
        return json.dumps([self.request.hyper["program"]["results"], self.program.exit_codes], sort_keys=True)

    def _left(self) -> Attempt | None:
        """What an earlier process left, if it is of the same cell, command and code."""
        try:
            left = Attempt(**json.loads((self.out / ATTEMPT).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        same = _without_results(left.identity) == _without_results(self.request.hyper)
        return left if same and self.work.is_dir() else None

    def _save(self, attempt: Attempt) -> None:
        files.write_json(self.out / ATTEMPT, asdict(attempt))

    def _execute(self, left: Attempt | None) -> Attempt:
        """Run the command to its end; a stopped run is resumed if the program can do that."""
        checkpoint = self._checkpoint() if left else None
        if left and checkpoint:
            attempt = replace(left, resumes=left.resumes + 1, reading=self._reading, identity=self.request.hyper)
            self.log.start(f"{self.cell}: resumed from {checkpoint} (resume {attempt.resumes})")
        else:
            attempt = Attempt(self.request.hyper, self._reading, run_record.now())
            self._fresh()
            self.log.start(f"{self.cell}: {self._command()} in {self.work}")
        self._save(attempt)
        begun = time.perf_counter()
        end = run(
            shell_command(self._command(checkpoint), self.program.environment, self._binds()),
            cwd=self.work, env=self._environment(), output=self.output, log=self.log,
            stopping=lambda: bool(self.caught), grace_seconds=self.program.grace_seconds,
            timeout_seconds=None if self.program.timeout_minutes is None else 60 * self.program.timeout_minutes,
            progress=_Progress(self).say, started=self.groups.append,
        )  # fmt: skip
        self.groups.clear()
        attempt = replace(attempt, seconds=attempt.seconds + time.perf_counter() - begun, last_line=end.last_line)
        self._refuse_stopped(end, attempt)
        return replace(attempt, exit_code=end.exit_code)

    def _refuse_stopped(self, end: End, attempt: Attempt) -> None:
        if end.left:
            self.log.warning(f"{self.cell}: ended {end.left} processes that the program had left running")
        if end.stopped == "timeout":
            self._save(attempt)
            raise RenormError(f"{self.out / 'log.txt'}: timeout_minutes: the program ran longer than "
                              f"{self.program.timeout_minutes:g} and was ended: raise it, or find why it hangs"
                              )  # fmt: skip
        if end.stopped == "signal":
            self._save(attempt)
            can = " it resumes" if self._checkpoint() else " it starts again: no checkpoint"
            self.log.info(f"{self.cell}: stopped by signal {self.caught[0]};{can}")
            raise SystemExit(128 + self.caught[0])

    def _read(self, attempt: Attempt) -> run_record.Record:
        """The record of a program that ended, or one line of what is wrong with it."""
        code, resumed = attempt.exit_code or 0, attempt.resumes > 0
        problem = ""
        try:
            found = program_results.read(self.program.results, self.work, self.output, self.cell.epochs, resumed)
        except RenormError as error:
            problem = str(error)
        if code not in self.program.exit_codes:
            codes = sorted({*self.program.exit_codes, code})
            accepts = f"; its numbers are complete, and `exit_codes: {codes}` accepts them" if code > 0 else ""
            raise RenormError(f"{self.out / 'log.txt'}: program {_ended(code)}: {attempt.last_line[:200]}"
                              f"{'' if problem else accepts}")  # fmt: skip
        if problem:
            raise RenormError(problem)
        if self.request.hyper["program"]["code"] != self.program.digests():
            raise RenormError(f"{self.program.directory}: its code was changed while it ran: train the cell again")
        return self._write(attempt, found)

    def _write(self, attempt: Attempt, found: program_results.Found) -> run_record.Record:
        history = run_record.history_csv(found.rows)
        commit, dirty = machine.commit_of(Path(self.program.directory))
        code = machine.code_version()
        written = run_record.Record(
            cell=self.cell,
            protocol=self.request.hyper["protocol"],
            hyperparameters=self.request.hyper,
            runner=run_record.Program(
                command=insert(self.program.command, self.request.hyper["program"]["values"]),
                code_sha256=self.request.hyper["program"]["code"], commit=commit, dirty=dirty,
            ),
            status="completed",
            epochs_completed=self.cell.epochs,
            metrics=run_record.Metrics(
                final=run_record.measured(found.rows[-1], {}),
                best=program_results.best(self.program.results, found.rows),
            ),
            provenance=run_record.Provenance(
                renorm=code["renorm"], commit=code["commit"], dirty=code["dirty"], device=self._device(),
                host_cpus=os.cpu_count(), threads=self.request.threads,
            ),
            seconds=_seconds(attempt.seconds, program_results.seconds(found.rows)),
            usage=run_record.Usage(**machine.usage()),
            resumes=attempt.resumes,
            started=attempt.started,
            finished=run_record.now(),
            history_sha256=run_record.digest(history),
        )  # fmt: skip
        self._keep(found.files)
        path = run_record.write(self.out, written, history)
        shutil.rmtree(self.work, ignore_errors=True)
        files.remove(self.output, self.out / ATTEMPT)
        self.log.info(f"{self.cell}: {program_results.text(found.rows[-1], self.program.results)} after epoch "
                      f"{self.cell.epochs}, {attempt.seconds:.1f} s")  # fmt: skip
        return run_record.read(path)

    def _keep(self, read: list[Path]) -> None:
        """The files that the numbers were read from stay beside the record; everything else of the run goes."""
        kept = self.out / KEPT
        shutil.rmtree(kept, ignore_errors=True)
        for path in read:
            inside = path.relative_to(self.work) if path.is_relative_to(self.work) else Path(path.name)
            files.copy(path, kept / inside)

    def _fresh(self) -> None:
        """An empty working directory with links to what is in the program's folder."""
        shutil.rmtree(self.work, ignore_errors=True)
        files.remove(self.output)
        with files.writing(self.work):
            self.work.mkdir(parents=True)
            directory = Path(self.program.directory).absolute()
            own = NOT_LINKED | self._written_to() | self.program.links.keys()
            for entry in sorted(directory.iterdir()):
                if entry.name not in own:
                    (self.work / entry.name).symlink_to(entry)
            for name, target in self.program.links.items():
                path = insert(target, {"data_dir": str(self.request.data_root)})
                (self.work / name).symlink_to(Path(path).absolute())

    def _written_to(self) -> set[str]:
        """First parts of the paths that the program writes to: a link there would lead out of the working directory."""
        results = self.program.results
        paths = [source.file for source in (*results.history, *results.final) if source.file]
        paths += [self.program.resume.checkpoint] if self.program.resume else []
        # `**` may be any path: what is found behind a link is not read (program_results).
        first = {PurePosixPath(path).parts[0] for path in paths} - {"**"}
        names = os.listdir(self.program.directory)
        return {name for pattern in first for name in fnmatch.filter(names, pattern)}

    def _checkpoint(self) -> str | None:
        """The newest checkpoint in the working directory, relative to it."""
        resume = self.program.resume
        found = program_results.matching(self.work, resume.checkpoint) if resume else []
        return str(found[-1].relative_to(self.work)) if found else None

    def _command(self, checkpoint: str | None = None) -> str:
        start = self._at_start()
        # Words may have placeholders that are filled in at the start.
        values = {key: insert(text, start) for key, text in self.request.hyper["program"]["values"].items()}
        command = insert(self.program.command, values | start)
        if checkpoint and self.program.resume:
            command += " " + insert(self.program.resume.argument, {"checkpoint": shlex.quote(checkpoint)})
        return command

    def _at_start(self) -> dict[str, str]:
        request = self.request
        device = "cpu" if request.device == "cpu" or not gpu_slots.devices() else "cuda"
        return {
            "out": shlex.quote(str(self.work.absolute())), "data_dir": shlex.quote(str(request.data_root.absolute())),
            "device": device, "threads": str(request.threads),
        }  # fmt: skip

    def _environment(self) -> Mapping[str, str]:
        threads = str(self.request.threads)
        own = {name: threads for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        if self.request.device == "cpu":
            own[gpu_slots.VISIBLE] = ""
        # Compiled files would be written beside the program's code, which several cells share.
        own |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        own["PATH"] = search_path(self.program.environment, os.environ.get("PATH", os.defpath))
        return os.environ | own

    def _binds(self) -> list[str]:
        """Folders that a container must see."""
        targets = [insert(t, {"data_dir": str(self.request.data_root)}) for t in self.program.links.values()]
        paths = [self.work, Path(self.program.directory), self.request.data_root, *map(Path, targets)]
        return [str(path.absolute()) for path in paths if path.exists()]

    def _device(self) -> str:
        on_cpu = self.request.device == "cpu" or not gpu_slots.devices()
        return machine.cpu_name() if on_cpu else ", ".join(sorted(machine.gpu_names())) or "cuda"


class _Progress:
    """A line in the log for every new epoch that the program reports."""

    def __init__(self, run: _Run):
        self.run, self.epoch = run, 0

    def say(self) -> None:
        with suppress(OSError):
            row = program_results.progress(self.run.program.results, self.run.work, self.run.output)
            if row and row["epoch"] > self.epoch:
                self.epoch = int(row["epoch"])
                text = program_results.text(row, self.run.program.results)
                self.run.log.info(f"{self.run.cell}: epoch {self.epoch} of {self.run.cell.epochs}: {text}")


def _without_results(hyper: dict[str, Any]) -> dict[str, Any]:
    program = hyper.get("program")
    return {**hyper, "program": {**program, "results": None}} if isinstance(program, dict) else hyper


def _seconds(total: float, parts: dict[str, float]) -> run_record.Seconds:
    """What the program reports of training and testing; the rest of the time that it took counts as set-up."""
    return run_record.Seconds(
        setup=round(max(total - sum(parts.values()), 0.0), 3), train=parts.get("train"), test=parts.get("test")
    )


def _ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
