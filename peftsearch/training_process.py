"""A process that trains trials for an outside worker. It runs our `workers` package, which this one never imports.

One JSON object per line. To the process: `{"assignment": …}`, then `{"decision": …}` after each report.
From the process: `{"report": …}` any number of times, then one `{"outcome": …}`. It keeps the base model loaded between
trials, and when it dies the outside worker lives on.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from peftsearch.errors import PeftsearchError

MODULE = "workers.running.standalone"


class NoTrainer(PeftsearchError):
    """What trains is not installed here."""

    def __init__(self) -> None:
        super().__init__("training is not installed here; `pip install 'peftsearch[workers]'` brings it")


class TrainingDied(PeftsearchError):
    """The process ended in the middle of a trial; `reason` says how."""

    def __init__(self, status: int) -> None:
        self.reason = f"crash: the training process ended with {_cause(status)}"
        super().__init__(self.reason)


class TrainingProcess:
    """Trains one assignment at a time. Started with the first one and again after it died."""

    def __init__(self, artifacts: str, home: Path) -> None:
        """`artifacts`: where adapters go, a folder or an fsspec URL; `home`: a folder for caches."""
        if importlib.util.find_spec(MODULE.partition(".")[0]) is None:
            raise NoTrainer
        self._command = [sys.executable, "-P", "-m", MODULE, "--artifacts", artifacts, "--home", str(home)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def train(self, assignment: Mapping[str, Any], on_report: Callable[[Mapping[str, Any]], str]) -> Mapping[str, Any]:
        """Train and return the outcome; `on_report` answers each report with a decision. Raises TrainingDied."""
        process = self._process = self._process or self._start()
        self._write(process, {"assignment": assignment})
        while True:
            message = self._read(process)
            if "outcome" in message:
                outcome: Mapping[str, Any] = message["outcome"]
                return outcome
            self._write(process, {"decision": on_report(message["report"])})

    def kill(self) -> None:
        """End the process at once; the next `train` starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _write(self, process: subprocess.Popen[str], message: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._death(process) from None

    def _read(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise self._death(process)
        message: dict[str, Any] = json.loads(line)
        return message

    def _death(self, process: subprocess.Popen[str]) -> TrainingDied:
        self._process = None
        return TrainingDied(process.wait())


def _cause(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
