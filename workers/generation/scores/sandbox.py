"""Runs Python that a model wrote: in a process of its own, with limits of time and memory, without network.

The process has an empty environment and an empty folder. The kernel refuses it sockets (a seccomp filter, for it and
whatever it would start); Python refuses it processes, signals, foreign functions and writing outside the folder (an
audit hook). That is a guard against what models write by mistake. Who runs programs of strangers puts the worker into a
container.
"""

from __future__ import annotations

import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workers.errors import InvalidInput

MACHINES = ("aarch64", "x86_64")
_RUNNER = Path(__file__).with_name("sandboxed.py")


@dataclass(frozen=True)
class Limits:
    """What a program may use: wall clock and processor time in seconds, memory and written files in bytes."""

    seconds: float = 5.0
    memory: int = 1 << 30
    file_size: int = 1 << 24


def require_sandbox() -> None:
    """Raise `InvalidInput` with field `metrics` where programs cannot be kept off the network."""
    found = f"{platform.system()} on {platform.machine()}"
    if platform.system() != "Linux" or platform.machine() not in MACHINES:
        allowed = f"Linux on {' or '.join(MACHINES)}, where the kernel refuses a program its sockets"
        raise InvalidInput("metrics", f"pass_at_k on {found}", allowed)


def passes(source: str, limits: Limits) -> bool:
    """Whether a program runs to its last line within its limits. Raises `InvalidInput` where there is no sandbox."""
    require_sandbox()
    sign = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="peftsearch-program-") as folder:
        reader, writer = os.pipe()
        settings = (str(writer), str(limits.memory), str(limits.file_size), str(limits.seconds))
        process = subprocess.Popen(
            [sys.executable, "-I", str(_RUNNER), *settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
            pass_fds=(writer,),
            start_new_session=True,
        )
        os.close(writer)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(f"{sign}\n{source}".encode(errors="surrogatepass"), timeout=limits.seconds + _START)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with os.fdopen(reader, "rb") as said:
            return said.read(64) == sign.encode()


_START = 10.0
"""Seconds for the interpreter to start on a busy machine; the program's own time is counted inside."""
