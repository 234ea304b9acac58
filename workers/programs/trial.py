"""One run of a program from assignment to outcome: what it is given, what it reports, how it ends.

Its faults become a failed outcome: `crash: …`, `timeout: …`, `bad_report: …` or `nan_loss: …`, with the end of its log.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Decision, Outcome, Report
from workers.errors import InvalidInput
from workers.programs.assignment import ProgramAssignment
from workers.programs.places import program_file
from workers.programs.process import BadReport, ProgramProcess
from workers.programs.section import ProgramSpec

OnReport = Callable[[Report], Decision]
GRACE = 60.0
"""Seconds for a program to leave once it was told to stop or pause, or its time is over; then it is killed."""
LOG = "log.txt"
_NAMED = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_STATE, _FILES = "state.json", "files"
_METRIC = re.compile(r"[A-Za-z_]\w{0,199}")
_TAIL = 1500  # characters of the log in a reason
Status = Literal["completed", "stopped", "paused", "failed"]


class NotFinite(BadReport):
    """A number that is none, as of a training that diverged."""


@dataclass(frozen=True)
class ProgramBench:
    """What a worker runs programs with: where artifacts go, folders that the operator allows, cores for each."""

    artifacts: ArtifactStore
    folders: tuple[str, ...] = ()
    threads: int = 1


def run_program(given: ProgramAssignment, bench: ProgramBench, on_report: OnReport) -> Outcome:
    """Run a program once. A fault of it is not raised: the outcome is then `failed`."""
    with tempfile.TemporaryDirectory(prefix="peftsearch-program-", ignore_cleanup_errors=True) as scratch:
        try:
            return _Run(given, bench, Path(scratch), on_report).outcome()
        except InvalidInput as error:
            return _outcome(given, "failed", {}, reason=f"invalid_config: {error}")
        except Exception as error:  # whatever a program can provoke must end this trial and no other
            return _outcome(given, "failed", {}, reason=f"exception: {type(error).__name__}: {error}"[:_TAIL])


def placeholders(task: ProgramSpec) -> set[str]:
    """Parameters that the arguments name."""
    return {name for argument in task.arguments for name in _NAMED.findall(argument)}


def command_of(task: ProgramSpec, file: Path, config: Mapping[str, Any]) -> list[str]:
    """The program with its arguments, values in place of names; those without a value are left out."""
    filled = (
        _NAMED.sub(lambda found: str(config[found[1]]), argument)
        for argument in task.arguments
        if set(_NAMED.findall(argument)) <= config.keys()
    )
    if task.function is not None:  # by its name: nothing here imports the side of programs
        return [sys.executable, "-P", "-m", "peftsearch.program", str(file), task.function, *filled]
    return [*([sys.executable] if file.suffix == ".py" else []), str(file), *filled]


@dataclass
class _Run:
    given: ProgramAssignment
    bench: ProgramBench
    scratch: Path
    on_report: OnReport
    began: float = field(default_factory=time.monotonic)
    metrics: dict[str, float] = field(default_factory=dict)
    epoch: float = 0.0
    step: int = 0
    before: float = 0.0  # seconds up to the checkpoint that it continues from
    kept: Path | None = None  # the checkpoint that the last report named
    ending: Decision | None = None  # what a program that waits behind its report is still to hear

    def outcome(self) -> Outcome:
        """Run to an end."""
        file = program_file(self.given.task.program, self.bench.folders)
        self._prepare()
        command = command_of(self.given.task, file, self.given.config)
        where = {"program": hashlib.sha256(file.read_bytes()).hexdigest(), "threads": str(self.bench.threads)}
        variables = {"PEFTSEARCH_TRIAL": str(self.scratch / "trial.json")}
        process = ProgramProcess(command, self.scratch, self.bench.threads, variables)
        checkpoint = None
        try:
            status, reason = self._listen(process)
            if status == "paused":
                checkpoint = self._keep()
            self._leave(process)
        finally:
            process.close()
        if reason is not None:
            reason = f"{reason}\n{_tail(process.log())}".strip()
        adapter = self._export(process.log()) if status in ("completed", "stopped") else None
        metrics = self.metrics | {"train_seconds": self._seconds()}
        return _outcome(self.given, status, metrics, adapter, checkpoint, where, reason)

    def _prepare(self) -> None:
        """Lay out what the program finds, and go on counting where its checkpoint was taken."""
        (self.scratch / "output").mkdir()
        state: dict[str, float] = {"epoch": 0.0, "step": 0, "seconds": 0.0}
        checkpoint = None
        if self.given.checkpoint is not None:
            stored = self.bench.artifacts.extract(self.given.checkpoint.sha256, self.scratch / "checkpoint")
            state |= json.loads((stored / _STATE).read_text())
            checkpoint = stored / _FILES
            checkpoint.mkdir(exist_ok=True)  # a folder without files is none in a zip
        self.epoch, self.step, self.before = state["epoch"], int(state["step"]), state["seconds"]
        told = {
            "id": self.given.trial_id,
            "attempt": self.given.attempt,
            "config": self.given.config,
            "epochs": self.given.epochs,
            "epoch": self.epoch,
            "seed": self.given.seed,
            "output": str(self.scratch / "output"),
            "checkpoint": None if checkpoint is None else str(checkpoint),
        }
        (self.scratch / "trial.json").write_text(json.dumps(told))

    def _listen(self, process: ProgramProcess) -> tuple[Status, str | None]:
        """Hear the program until it or somebody else ends it: how it ended, and why where it failed."""
        deadline = self.began + self.given.task.timeout
        try:
            while (told := process.next_report(max(0.0, deadline - time.monotonic()))) is not None:
                waits, decision = told.get("answer") is True, self._heard(told)
                if decision != "continue":
                    self.ending = decision if waits else None
                    return ("paused" if decision == "pause" else "stopped"), None
                if waits:
                    process.answer("continue")
        except NotFinite as error:
            return "failed", f"nan_loss: {error}"
        except BadReport as error:
            return "failed", f"bad_report: {error}"
        if process.exit_status is None:
            return "failed", f"timeout: not over after {self.given.task.timeout:g} s (`task.timeout`)"
        if process.exit_status != 0:
            return "failed", f"crash: the program ended with {_cause(process.exit_status)}"
        if missing := [name for name in self.given.needed if name not in self.metrics]:
            return "failed", f"bad_report: the program ended without having reported {', '.join(missing)}"
        return "completed", None

    def _heard(self, told: Mapping[str, Any]) -> Decision:
        """Take a report in; what is to become of the trial."""
        before, self.epoch = self.epoch, _number(told, "epoch", self.epoch + 1)
        self.step = int(_number(told, "step", self.step + 1))
        if not before < self.epoch <= self.given.epochs + 1e-6:
            raise BadReport(f"epoch: found {self.epoch:g}; allowed: more than {before:g}, up to {self.given.epochs:g}")
        if not 0 <= self.step < 2**31:
            raise BadReport(f"step: found {self.step}; allowed: a count of at most {2**31 - 1}")
        measured = told.get("metrics")
        if not isinstance(measured, dict) or not measured or len(measured) > 100:
            raise BadReport(f"metrics: found {measured!r}; allowed: 1 to 100 numbers by name"[:300])
        for name in measured:
            if not _METRIC.fullmatch(name):
                raise BadReport(f"metrics: found the name {name[:50]!r}; allowed: letters, digits and _")
        found = {name: _number(measured, name) for name in measured}
        self.metrics |= found
        named = told.get("checkpoint")
        self.kept = None if named is None else self.scratch / str(named)
        if self.kept is not None and not self.kept.is_dir():
            raise BadReport(f"checkpoint: found {named!r}; allowed: a folder")
        every = self.given.pause_every
        if every is not None and self.kept is None and self.epoch < self.given.epochs:
            raise BadReport("checkpoint: none given; the job's scheduler pauses trials, so each report needs one")
        decision = self.on_report(self._report(found))
        due = every is not None and math.floor(self.epoch / every + 1e-9) > math.floor(before / every + 1e-9)
        return "pause" if decision == "continue" and due and self.epoch < self.given.epochs else decision

    def _report(self, found: dict[str, float]) -> Report:
        return Report(
            trial_id=self.given.trial_id,
            attempt=self.given.attempt,
            step=self.step,
            epoch=self.epoch,
            metrics=found,
            seconds=self._seconds(),
        )

    def _keep(self) -> Artifact | None:
        """Store what the program named as its checkpoint, while it waits to hear."""
        if self.kept is None:
            return None
        state = {"epoch": self.epoch, "step": self.step, "seconds": self._seconds()}
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            shutil.copytree(self.kept, Path(folder) / _FILES)
            (Path(folder) / _STATE).write_text(json.dumps(state))
            return self.bench.artifacts.put_folder(Path(folder))

    def _leave(self, process: ProgramProcess) -> None:
        """Let the program leave by itself where it hears that it should, then ask by signal; `close` does not ask."""
        if self.ending is not None:
            process.answer(self.ending)
            process.wait(GRACE)
        process.leave()
        process.wait(GRACE)

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def _export(self, log: bytes) -> Artifact:
        """Store what the program left in its output folder, with its log."""
        output = self.scratch / "output"
        if not (output / LOG).exists():
            (output / LOG).write_bytes(log)
        (output / "trial.json").write_text(
            json.dumps({"config": self.given.config, "seed": self.given.seed, "metrics": self.metrics}, indent=1)
        )
        return self.bench.artifacts.put_folder(output)


def _number(told: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = told.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadReport(f"{name}: found {value!r}; allowed: a number"[:300])
    if not math.isfinite(value):
        raise NotFinite(f"the program reported {name} as {value}")
    if abs(value) > 1e18:
        raise BadReport(f"{name}: found {value:g}; allowed: a number of at most 1e18")
    return float(value)


def _cause(status: int) -> str:
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name


def _tail(log: bytes) -> str:
    return log.decode(errors="replace")[-_TAIL:].replace("\0", "�").strip()


def _outcome(
    given: ProgramAssignment,
    status: Status,
    metrics: dict[str, float],
    adapter: Artifact | None = None,
    checkpoint: Artifact | None = None,
    environment: dict[str, str] | None = None,
    reason: str | None = None,
) -> Outcome:
    return Outcome(
        trial_id=given.trial_id,
        attempt=given.attempt,
        status=status,
        metrics=metrics,
        adapter=adapter,
        checkpoint=checkpoint,
        environment=environment or {},
        reason=reason,
    )
