"""The home folder as a lock and an identity: one API and one conductor at a time, recognisable after a restart."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from pathlib import Path
from typing import IO

LOCK_POLL = 0.1  # seconds


class HomeInUseError(RuntimeError):
    """Another process works on this home; the message says which one and what to do."""


class HomeLock:
    """A `flock` on `<home>/<part>.lock`. The kernel frees it however its holder ends, `kill -9` included."""

    def __init__(self, home: Path, part: str) -> None:
        self._path = home / f"{part}.lock"
        self._part = part
        self._file: IO[str] | None = None

    def acquire(self, wait: float = 0.0) -> None:
        """Take the lock, waiting up to `wait` seconds. Raises HomeInUseError when somebody else keeps it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self._path, "a+")  # noqa: SIM115 - stays open as long as the lock is held
        deadline = time.monotonic() + wait
        while not _try_lock(file):
            if time.monotonic() >= deadline:
                file.seek(0)
                holder = file.read().strip() or "another process"
                file.close()
                raise HomeInUseError(
                    f"{holder} already works on {self._path.parent}; "
                    "stop it, or choose another folder with --home or PEFTSEARCH_HOME"
                )
            time.sleep(LOCK_POLL)
        self._file = file
        self.describe(f"{self._part} (process {os.getpid()})")

    def describe(self, holder: str) -> None:
        """Say who holds the lock, for the message that the next one in line gets; only while held."""
        assert self._file is not None
        self._file.truncate(0)
        self._file.write(holder)
        self._file.flush()

    def release(self) -> None:
        """Let the next one in; harmless when not held."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def home_identity(home: Path) -> str:
    """A name for this home that survives restarts: leases taken under it are dead once its lock is free."""
    path = home / "identity"
    if not path.exists() or not path.read_text().strip():
        write_private(path, secrets.token_hex(4))  # whole or not at all: an empty name would be anybody's
    return path.read_text().strip()


def keep_private(home: Path) -> None:
    """From now on this process and its children make files and folders that only their owner may read; what an earlier
    version left readable in this home is closed."""
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    for path in (home / "token", home / "identity", *home.glob("*.db*"), *home.glob("*.lock")):
        if path.exists() and path.stat().st_uid == os.getuid():
            path.chmod(0o600)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read (mode 600), whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
