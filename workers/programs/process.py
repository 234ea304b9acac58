"""A program under way: its folder, its environment, what it says and how it is ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

KEEPER = Path(__file__).with_name("keeper.py")
_PASSED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"),
    *("PYTHONPATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "VIRTUAL_ENV", "SSL_CERT_FILE"),
)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_LONGEST_LINE = 1 << 20  # bytes of one report
_LOG_LINES = 2000
_LOG_LINE = 4096  # bytes; longer lines are cut into several


def plain_environment() -> dict[str, str]:
    """The variables of ours that code of users gets: no tokens, no addresses of databases."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


class BadReport(ValueError):
    """What a program reported cannot be read."""


class ProgramProcess:
    """Runs a command in `folder`, which holds the two named pipes of `peftsearch.program`: `reports` and `decisions`.

    The program gets no variable of the service's environment but those that programs need: no tokens, no addresses of
    databases. All it started ends with `close`, and with the death of this process.
    """

    def __init__(self, command: Sequence[str], folder: Path, threads: int, variables: Mapping[str, str]) -> None:
        environment = plain_environment() | dict.fromkeys(_THREADS, str(threads)) | dict(variables)
        pipes = {name: folder / name for name in ("reports", "decisions")}
        for pipe in pipes.values():
            os.mkfifo(pipe, 0o600)
        # Open for both, a named pipe neither blocks without its other side nor ends when a writer closes it.
        self._reports = os.open(pipes["reports"], os.O_RDWR | os.O_NONBLOCK)
        self._decisions = os.open(pipes["decisions"], os.O_RDWR | os.O_NONBLOCK)
        self._status, status = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(KEEPER), str(status), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            pass_fds=(status,),
            start_new_session=True,
        )
        os.close(status)
        self.exit_status: int | None = None
        self._buffer = b""
        self._log: deque[bytes] = deque(maxlen=_LOG_LINES)
        self._logger = threading.Thread(target=self._keep_log, daemon=True)
        self._logger.start()

    def next_report(self, within: float) -> dict[str, Any] | None:
        """The next report; None when the program has ended or `within` seconds are over (then it has no exit status).

        Raises BadReport for a line that is no JSON object.
        """
        deadline = time.monotonic() + within
        while True:
            line, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                return _read(line)
            if len(self._buffer) > _LONGEST_LINE:
                raise BadReport(f"a report of more than {_LONGEST_LINE} bytes without an end of line")
            if self._more():
                continue
            if self.exit_status is not None or (left := deadline - time.monotonic()) <= 0:
                return None
            ready, _, _ = select.select([self._reports, self._status], [], [], left)
            if self._status in ready:
                told = os.read(self._status, 16)  # nothing where the keeper itself was killed
                self.exit_status = int(told) if told else -signal.SIGKILL

    def answer(self, decision: str) -> None:
        """Tell a program that waits behind its report whether to go on."""
        with contextlib.suppress(BlockingIOError):  # it never reads what it is told
            os.write(self._decisions, f"{decision}\n".encode())

    def leave(self) -> None:
        """Ask the program to end (SIGTERM)."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"t")
            self._process.stdin.flush()

    def wait(self, seconds: float) -> None:
        """Until the program has ended, at most so long; what it still reports is not looked at."""
        deadline = time.monotonic() + seconds
        while self.exit_status is None and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(BadReport):
                self.next_report(left)

    def close(self) -> None:
        """End whatever still runs and give everything back."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._logger.join()
        for descriptor in (self._reports, self._decisions, self._status):
            os.close(descriptor)

    def log(self) -> bytes:
        """The last lines of what it printed."""
        return b"".join(self._log.copy())

    def _more(self) -> bool:
        try:
            self._buffer += os.read(self._reports, 1 << 16)
        except BlockingIOError:
            return False
        return True

    def _keep_log(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            while line := printed.readline(_LOG_LINE):
                self._log.append(line)


def _read(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise BadReport(f"found {line[:200].decode(errors='replace')!r}; allowed: a JSON object on one line")
    return told
