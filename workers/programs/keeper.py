"""Stands between a worker and a program: whichever of the two ends, nothing that the program started is left.

Run by its path: `python -I keeper.py STATUS_FD PROGRAM ARGUMENT…`. Standard input is the worker's end of a lifeline: a
byte asks the program to leave (SIGTERM to its group), its end, as when the worker is killed, ends everything at once.
The exit status, negative for a signal, is written to `STATUS_FD` when all processes are gone. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def main() -> None:
    """Run the program and tell how it ended."""
    status_fd, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(status_fd, False)
    _adopt_orphans()
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os.write(status_fd, b"127")
        return
    threading.Thread(target=_obey, args=(process.pid,), daemon=True).start()
    status = process.wait()
    _end_all(process.pid)
    os.write(status_fd, str(status).encode())


def _obey(group: int) -> None:
    while os.read(0, 1):
        _kill_group(group, signal.SIGTERM)
    _end_all(group)
    os._exit(1)


def _end_all(group: int) -> None:
    """Kill the group, and what left it: orphans become children of this process, round by round."""
    _kill_group(group, signal.SIGKILL)
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _kill_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _adopt_orphans() -> None:
    """On Linux, have descendants whose parent ends become children of this process, not of the machine's first."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> list[int]:
    """Processes whose parent this is, where the system tells (Linux)."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                parent = int(stat.read().rpartition(b")")[2].split()[1])
                found += [int(name)] if parent == os.getpid() else []
    return found


if __name__ == "__main__":
    main()
