"""Runs optimizers, and what concludes from a plan's trials, in a process of their own, one request at a time, and
survives their crashes and hangs."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from optimizers.problem import History
from service.conductor.proposing.replay import to_json
from service.jobs.plan import Conclusion, Measured

PATIENCE = 180.0  # seconds that a proposal may take before its process is replaced
CONCLUDING = 10  # times that patience for a conclusion, which fits a regression to each loss
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Request:
    """What to ask the optimizer `optimizer(**options)` of a job; `spec` is its JobSpec as JSON."""

    job_id: str
    spec: Mapping[str, Any]
    optimizer: str
    options: Mapping[str, Any]
    history: History
    n: int
    seed: int


@dataclass(frozen=True)
class Conclude:
    """What to conclude: trials of a job that follows a plan, all over, and what is known from an earlier stage; `spec`
    is its JobSpec as JSON."""

    job_id: str
    spec: Mapping[str, Any]
    trials: tuple[Measured, ...]
    known: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reply:
    """The answer to `request`: configurations and notes, or a conclusion, or the `error` that kept it from coming."""

    request: Request | Conclude
    configs: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    conclusion: Conclusion | None = None


@dataclass
class _Child:
    process: subprocess.Popen[str]
    lines: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    def listen(self, source: IO[str]) -> None:
        for line in source:
            self.lines.put(line)


class Proposer:
    """A queue of requests in front of one process. `submit` and `poll` never wait.

    The process is started by `warm` or with the first request, its threads limited to one, and replaced after a crash
    or when a proposal takes longer than `patience` seconds; the request that met with it is answered with an error. One
    that dies with nothing to do is replaced without that.
    """

    def __init__(self, patience: float = PATIENCE, environment: Mapping[str, str] | None = None) -> None:
        self._patience = patience
        self._environment = {**os.environ, **ONE_THREAD, "CUDA_VISIBLE_DEVICES": "", **(environment or {})}
        self._waiting: deque[tuple[Request | Conclude, str | None]] = deque()  # with the trace of each
        self._current: tuple[Request | Conclude, float] | None = None  # with the time it was sent
        self._child: _Child | None = None

    def warm(self) -> None:
        """Have the process ready before the first request: what it imports takes seconds."""
        self._child = self._child or _start(self._environment)

    def submit(self, request: Request | Conclude, trace: str | None = None) -> None:
        """Put a request at the end of the queue; `trace` is the W3C traceparent that its work belongs to."""
        self._waiting.append((request, trace))
        self._send_next()

    def poll(self) -> list[Reply]:
        """The replies that have come in since the last call."""
        replies: list[Reply] = []
        while (reply := self._finished()) is not None:
            replies.append(reply)
            self._current = None
            self._send_next()
        return replies

    def forget(self, job_id: str) -> None:
        """Drop the requests of a job that is over; one already being worked on is still answered."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0].job_id != job_id)

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.process.kill()
            self._child.process.wait()
            self._child = None

    def _send_next(self) -> None:
        if self._current is not None or not self._waiting:
            return
        request, trace = self._waiting.popleft()
        self._current = (request, time.monotonic())
        if self._child is not None and self._child.process.poll() is not None:
            self._child = None
        child = self._child = self._child or _start(self._environment)
        assert child.process.stdin is not None
        try:
            child.process.stdin.write(json.dumps(_message(request, trace)) + "\n")
            child.process.stdin.flush()
        except BrokenPipeError:
            pass  # `_finished` finds the process dead and says so

    def _finished(self) -> Reply | None:
        if self._current is None or self._child is None:
            return None
        request, sent = self._current
        ended = self._child.process.poll()  # before the lines: what it wrote before it died still counts
        try:
            answer = json.loads(self._child.lines.get(timeout=0.2 if ended is not None else 0.0))
        except queue.Empty:
            if ended is not None:
                self._child = None
                return Reply(request, error=f"the optimizer's process died ({_cause(ended)})")
            if time.monotonic() - sent < self._patience * (CONCLUDING if isinstance(request, Conclude) else 1):
                return None
            self.close()
            return Reply(request, error=f"the optimizer did not answer within {self._patience:g} s")
        if "error" in answer:
            return Reply(request, error=answer["error"])
        if "conclusion" in answer:
            return Reply(request, conclusion=Conclusion.from_json(answer["conclusion"]))
        return Reply(request, tuple(answer["configs"]), tuple(answer["notes"]))


def _start(environment: Mapping[str, str]) -> _Child:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "service.conductor.proposing.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(environment),
        text=True,
    )
    assert process.stdout is not None
    child = _Child(process)
    threading.Thread(target=child.listen, args=(process.stdout,), daemon=True).start()
    return child


def _message(request: Request | Conclude, trace: str | None) -> dict[str, Any]:
    both = {"job_id": request.job_id, "spec": request.spec, "trace": trace}
    if isinstance(request, Conclude):
        trials = [asdict(trial) for trial in request.trials]
        return {**both, "trials": trials, "known": request.known}
    return {
        **both,
        "optimizer": request.optimizer,
        "options": request.options,
        "history": to_json(request.history),
        "n": request.n,
        "seed": request.seed,
    }


def _cause(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
